//! What a task that was cancelled notices while it runs: its waits end, unless they are under a shield.

use super::header::Status;
use super::job::Job;
use super::wait::{Latch, Patience, WaitError};
use super::worker::Worker;
use azolla_core::Wait;
use std::sync::Arc;

impl<J: Job + ?Sized> Worker<J> {
    /// Returns true if the current task was cancelled, or the engine is closing.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.job().is_some_and(|job| job.header().status() == Status::Cancelled)
    }

    /// If the current task was cancelled and is not shielded.
    pub fn check_cancelled<E>(&self) -> Result<(), WaitError<E>> {
        if !self.is_cancelled() || self.is_shielded() {
            return Ok(());
        }
        // The close cancels all tasks.
        if self.engine.is_closing() {
            return Err(WaitError::Closed);
        }
        let told = |job: &Arc<J>| {
            job.header().take_interrupt();
            job.key()
        };
        Err(WaitError::Cancelled(self.job().map_or_else(String::new, told)))
    }

    /// Between this and [`end_shield`](Self::end_shield) waits of the current task go on though it is cancelled.
    /// Shields nest.
    pub fn shield(&mut self) {
        if let Some(current) = &mut self.hand.current {
            current.shields += 1;
        }
    }

    /// Ends the latest shield.
    pub fn end_shield(&mut self) {
        if let Some(current) = &mut self.hand.current {
            current.shields = current.shields.saturating_sub(1);
        }
    }

    /// A call of an actor always is: its state would be left half changed.
    pub(super) fn is_shielded(&self) -> bool {
        let current = self.hand.current.as_ref();
        current.is_some_and(|current| current.shields > 0 || current.job.header().is_call())
    }
}

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Lends the slot of the current task until patience is at its end, or the task is cancelled.
    ///
    /// As [`WaitError`] says.
    pub fn sleep<E>(&mut self, patience: Patience<'_, E>) -> Result<(), WaitError<E>> {
        let latch = Latch::new(Some(&*self), 1, false);
        match self.wait(&latch, Wait { tasks: Arc::default(), all: false }, || {}, patience) {
            Err(WaitError::TimedOut) => Ok(()),
            result => result,
        }
    }
}
