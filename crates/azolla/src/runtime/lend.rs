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
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of loans so far. A loan keeps its number: what took part in an earlier loan does not end a later one.
static LOANS: AtomicU64 = AtomicU64::new(0);

/// A slot that is lent.
pub(super) struct Lent {
    number: u64,
    /// For how many futures.
    futures: u32,
}

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Lends the slot of the current task, unless it is lent, for a future that takes part in the loan `of` so far.
    /// Returns the number of the loan that it takes part in now; `None` if the task has no slot to lend. `wait` is given
    /// the engine's number.
    ///
    /// # Errors
    /// As [`WaitError`] says. The slot is not lent then.
    pub fn lend(
        &mut self,
        of: Option<u64>,
        wait: impl FnOnce(u32) -> Wait,
    ) -> Result<Option<u64>, WaitError<Infallible>> {
        if self.hand.current.as_ref().is_none_or(|current| current.seceded) {
            return Ok(None);
        }
        if let Some(lent) = &mut self.hand.lent {
            lent.futures += u32::from(of != Some(lent.number));
            return Ok(Some(lent.number));
        }
        let at = self.moment();
        let wait = wait(self.engine.number);
        self.lend_slot(|worker| Event::Park { worker, wait: wait.clone() })?;
        self.note_at(at, What::Parked { worker: self.id.0 });
        let number = LOANS.fetch_add(1, Ordering::Relaxed);
        self.hand.lent = Some(Lent { number, futures: 1 });
        Ok(Some(number))
    }

    /// A future that takes part in this loan has ended or is dropped. After the last one, waits for a slot.
    pub fn awaits_one_less(&mut self, loan: u64) {
        match &mut self.hand.lent {
            Some(lent) if lent.number == loan && lent.futures > 1 => lent.futures -= 1,
            Some(lent) if lent.number == loan => self.end_loan(),
            // It ended when the task waited in the ordinary way.
            _ => {}
        }
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// If the slot is lent, waits for a slot.
    #[inline]
    pub(super) fn end_loan(&mut self) {
        if self.hand.lent.is_some() {
            self.wait_for_slot();
        }
    }

    #[cold]
    fn wait_for_slot(&mut self) {
        self.hand.lent = None;
        // A closed engine grants no slot. If it closes after this check, it wakes all workers.
        if !self.engine.is_closing() {
            self.engine.with(|locked| drop(locked.handle(Event::Resume(self.id))));
            self.parker.park();
        }
        drop(self.woken::<Infallible>());
    }
}
