//! Slots that are lent while a task awaits by means of its own, such as an executor that blocks its thread.
//!
//! The task's thread polls one of azolla's futures. If the poll ends pending, the thread will mostly sleep
//! until it is woken, so the task lends its slot. The thread asks for a slot again when the last such
//! future has ended or is dropped. A wait in the ordinary way takes the slot and lends it anew; after it the loan goes on.

use super::header::Status;
use super::job::Job;
use super::observe::What;
use super::wait::{Until, WaitError, wait_in};
use super::worker::Worker;
use azolla_core::{Event, Wait};
use std::convert::Infallible;
use std::sync::Arc;
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

    /// Lends the slot as [`lend`](Self::lend) does, for one that waits for all of these jobs; an empty list stands for something
    /// else.
    ///
    /// # Errors
    /// As [`WaitError`] says. The slot is not lent then.
    pub fn lend_for(
        &mut self,
        of: Option<u64>,
        jobs: &[Arc<J>],
    ) -> Result<Option<u64>, WaitError<Infallible>> {
        let is_pending = |job: &&Arc<J>| job.header().status() == Status::Pending;
        let pending: Vec<_> = jobs.iter().filter(is_pending).collect();
        self.lend(of, |engine| wait_in(engine, &pending, Until::All))
    }

    /// A future that takes part in this loan has ended or is dropped. After the last one, waits for a slot.
    pub fn awaits_one_less(&mut self, loan: u64) {
        match &mut self.hand.lent {
            Some(lent) if lent.number == loan && lent.futures > 1 => lent.futures -= 1,
            Some(lent) if lent.number == loan => self.end_loan(),
            // It ended when the task seceded, or the system had no thread for it.
            _ => {}
        }
    }

    /// If the slot is lent, ends the loan for a wait in the ordinary way.
    #[inline]
    pub(super) fn set_loan_aside(&mut self) -> Option<Lent> {
        let lent = self.hand.lent.take();
        if lent.is_some() {
            self.wait_for_slot();
        }
        lent
    }

    /// Goes on with a loan after that wait. What the loan waits for may have changed meanwhile.
    #[cold]
    pub(super) fn go_on_with_loan(&mut self, lent: Lent) {
        let at = self.moment();
        let wait = Wait { tasks: Arc::default(), all: false };
        // The slot is held if it cannot be lent.
        let again: Result<(), WaitError<Infallible>> =
            self.lend_slot(|worker| Event::Park { worker, wait: wait.clone() });
        if again.is_ok() {
            self.note_at(at, What::Parked { worker: self.id.0 });
            self.hand.lent = Some(lent);
        }
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// Returns whether the slot of the current task is lent.
    #[inline]
    #[must_use]
    pub fn has_lent(&self) -> bool {
        self.hand.lent.is_some()
    }

    /// If the slot is lent, waits for a slot.
    #[inline]
    pub fn end_loan(&mut self) {
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
