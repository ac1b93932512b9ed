//! A task that runs on without a slot, and has one again.

use super::job::Job;
use super::observe::What;
use super::wait::WaitError;
use super::worker::Worker;
use azolla_core::Event;
use std::convert::Infallible;

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Lets the current task run on without a slot. Returns true if it had one; a second call does
    /// nothing.
    ///
    /// If the engine is closing, or the system has no thread for a worker that takes over the slot.
    pub fn secede(&mut self) -> Result<bool, WaitError<Infallible>> {
        self.end_loan();
        let had_slot = self.hand.current.as_ref().is_some_and(|current| !current.seceded);
        if had_slot {
            let at = self.moment();
            self.lend_slot(Event::Secede)?;
            self.note_at(at, What::Seceded { worker: self.id.0 });
            if let Some(current) = &mut self.hand.current {
                current.seceded = true;
            }
        }
        Ok(had_slot)
    }

    /// Waits until the current task, which has seceded, has its resources and a slot again. Does
    /// nothing for any other task.
    ///
    /// If the task was cancelled, the engine is closing, or tasks that wait for this one keep the resources.
    pub fn rejoin(&mut self) -> Result<(), WaitError<Infallible>> {
        if self.hand.current.as_ref().is_some_and(|current| current.seceded) {
            self.check_cancelled()?;
        }
        self.take_slot_again()
    }

    /// Does the same for a task that was cancelled too.
    pub(super) fn take_slot_again(&mut self) -> Result<(), WaitError<Infallible>> {
        if let Some(current) = &mut self.hand.current
            && std::mem::take(&mut current.seceded)
        {
            // A closed engine grants no slot. If it closes after this check, it wakes all workers.
            if !self.engine.is_closing() {
                if let Err(error) = self.engine.unless_cycle(Event::Resume(self.id)) {
                    if let Some(current) = &mut self.hand.current {
                        current.seceded = true;
                    }
                    return Err(error);
                }
                self.parker.park();
            }
            return self.woken();
        }
        Ok(())
    }
}
