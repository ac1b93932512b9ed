//! A future of azolla's that is polled on a task's own thread lends the task's slot while it is pending.
//!
//! So a task may block its thread by an executor of its own (`block_on`), and the slot is not lost. An async
//! task needs none of it: it holds no slot while it is suspended.

use crate::error::Error;
use crate::primitives::per_thread;
use crate::runner::threads::{with_waiting_worker, with_worker};
use crate::runtime::WaitError;
use azolla_core::{TaskId, Wait};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

per_thread! {
    /// This thread polls an async task.
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// While this lives, the thread polls an async task, or runs a plain one within that.
pub(crate) struct Polls(bool);

impl Polls {
    pub(crate) fn set(polls: bool) -> Self {
        Self(POLLS.with(|own| own.replace(polls)))
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        POLLS.with(|own| own.set(self.0));
    }
}

/// What a future knows of the slot that was lent for it: the number of the loan.
#[derive(Default)]
pub(crate) struct Loan(Option<u64>);

impl Loan {
    /// The future's poll ends pending. It waits for all these tasks of the engine that `tasks` is given the number of; an
    /// empty list stands for something else.
    ///
    /// # Errors
    /// [`Error::WaitCycle`]: it would wait for ever.
    pub(crate) fn begin(&mut self, tasks: impl FnOnce(u32) -> Vec<TaskId>) -> Result<(), Error> {
        with_waiting_worker(|worker| {
            let Some(worker) = worker.filter(|_| !POLLS.with(Cell::get)) else { return Ok(()) };
            let wait = |engine| {
                let tasks = tasks(engine);
                Wait { all: !tasks.is_empty(), tasks: Arc::new(tasks) }
            };
            match worker.lend(self.0, wait) {
                Err(cycle @ WaitError::Cycle(_)) => return Err(cycle.into()),
                // The slot is held meanwhile.
                Err(_) => {}
                Ok(loan) => self.0 = loan,
            }
            Ok(())
        })
    }

    /// The future has ended.
    pub(crate) fn end(&mut self) {
        if let Some(loan) = self.0.take() {
            // A future that has gone to another thread leaves the slot lent until its task ends or waits.
            with_worker(|worker| {
                worker.into_iter().for_each(|worker| worker.awaits_one_less(loan))
            });
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.end();
    }
}

/// Polls this future, and lends the slot meanwhile.
pub(crate) fn lending<F: Future + Unpin>(future: F) -> Lending<F> {
    Lending { future, loan: Loan::default() }
}

/// What [`lending`] makes of a future.
pub(crate) struct Lending<F> {
    future: F,
    loan: Loan,
}

impl<F: Future + Unpin> Future for Lending<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let result = Pin::new(&mut this.future).poll(context);
        match &result {
            Poll::Ready(_) => this.loan.end(),
            // It waits for no task alone, so no cycle is found.
            Poll::Pending => drop(this.loan.begin(|_| Vec::new())),
        }
        result
    }
}
