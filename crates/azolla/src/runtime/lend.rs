//! Slots that are lent while a task awaits by means of its own, such as an executor that blocks its thread.
//!
//! The task's thread polls one of azolla's futures. If the poll ends pending, the thread will mostly sleep
//! until it is woken, so the task lends its slot. The thread asks for a slot again when the last such
//! future has ended or is dropped, or before it waits in the ordinary way.

use super::job::Job;
use super::observe::What;
use super::wait::WaitError;
use super::worker::Worker;
use azolla_core::{Event, Wait};
use std::convert::Infallible;

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Lends the slot of the current task, unless it is lent, for one more future (`again`: for one that has
    /// lent it before).
    ///
    /// # Errors
    /// As [`WaitError`] says. The slot is not lent then.
    pub fn lend(&mut self, wait: Wait, again: bool) -> Result<(), WaitError<Infallible>> {
        if self.hand.current.as_ref().is_none_or(|current| current.seceded) {
            return Ok(());
        }
        if self.hand.lent > 0 {
            self.hand.lent += u32::from(!again);
            return Ok(());
        }
        let at = self.moment();
        self.lend_slot(|worker| Event::Park { worker, wait: wait.clone() })?;
        self.note_at(at, What::Parked { worker: self.id.0 });
        self.hand.lent = 1;
        Ok(())
    }

    /// One of the futures for which the slot is lent has ended or is dropped. After the last one, waits for a
    /// slot.
    pub fn awaits_one_less(&mut self) {
        match self.hand.lent {
            0 => {}
            1 => self.end_loan(),
            _ => self.hand.lent -= 1,
        }
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// If the slot is lent, waits for a slot.
    #[inline]
    pub(super) fn end_loan(&mut self) {
        if self.hand.lent > 0 {
            self.wait_for_slot();
        }
    }

    #[cold]
    fn wait_for_slot(&mut self) {
        self.hand.lent = 0;
        // A closed engine grants no slot. If it closes after this check, it wakes all workers.
        if !self.engine.is_closing() {
            self.engine.with(|locked| drop(locked.handle(Event::Resume(self.id))));
            self.parker.park();
        }
        drop(self.woken::<Infallible>());
    }
}
