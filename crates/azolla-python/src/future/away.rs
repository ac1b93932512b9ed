//! Waits of a task in a worker process, for tasks of its client's. The client waits, and says what has ended.

use super::wait::timed_out;
use crate::session::away::{Answered, asked, settle, unexpected};
use crate::task::job::PyJob;
use azolla::runtime::{Job, Status, Until, WaitError, is_over};
use azolla_process::request::{self, Request};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Returns true if these are tasks of a client in another process. All of a program's futures there are.
pub(super) fn are_away(jobs: &[Arc<PyJob>]) -> bool {
    jobs.first().is_some_and(|job| job.away().is_some())
}

fn limit(deadline: Option<Instant>) -> Option<u64> {
    let left = deadline?.saturating_duration_since(Instant::now());
    Some(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX))
}

/// Waits for these jobs, which are away.
pub(super) fn wait(
    py: Python<'_>,
    jobs: &[Arc<PyJob>],
    until: Until,
    deadline: Option<Instant>,
) -> PyResult<()> {
    loop {
        let pending = jobs.iter().filter(|job| job.header().status() == Status::Pending);
        let pending: Vec<_> = pending.filter_map(|job| job.away()).collect();
        if is_over(jobs, pending.len(), until) {
            return Ok(());
        }
        let until = match until {
            Until::All => request::Until::All,
            Until::AllOrFailure => request::Until::AllOrFailure,
            Until::First => request::Until::First,
        };
        let results = until != request::Until::First;
        let asks = Request::Wait { tasks: pending, until, limit: limit(deadline), results };
        match asked(py, asks) {
            Ok(Answered::Ends(ends)) => settle(py, jobs, ends),
            Ok(_) => return Err(unexpected()),
            Err(error) if error.is_instance_of::<PyTimeoutError>(py) => {
                return Err(timed_out(py, jobs));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The tasks of an `as_completed` that are away, as the client knows them together.
pub(super) struct Set {
    number: u64,
    /// Those of which the client has not been told yet.
    more: Vec<u64>,
    jobs: Vec<Arc<PyJob>>,
    /// Those to which this process does not listen yet.
    unheard: Vec<Arc<PyJob>>,
}

impl Set {
    pub(super) fn new() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self { number, more: Vec::new(), jobs: Vec::new(), unheard: Vec::new() }
    }

    pub(super) fn add(&mut self, job: &Arc<PyJob>) {
        if let Some(task) = job.away()
            && job.header().status() == Status::Pending
        {
            self.more.push(task);
            self.jobs.push(Arc::clone(job));
            self.unheard.push(Arc::clone(job));
        }
    }

    /// The jobs that were added since the last time.
    pub(super) fn new_ones(&mut self) -> Vec<Arc<PyJob>> {
        std::mem::take(&mut self.unheard)
    }

    /// What to ask for the next end, and the jobs that may have ended.
    pub(super) fn asks(&mut self) -> (u64, Vec<u64>, Vec<Arc<PyJob>>) {
        self.jobs.retain(|job| job.header().status() == Status::Pending);
        (self.number, std::mem::take(&mut self.more), self.jobs.clone())
    }
}

/// Waits until one of the jobs in a set has ended.
pub(super) fn next(
    py: Python<'_>,
    (set, more, jobs): (u64, Vec<u64>, Vec<Arc<PyJob>>),
    deadline: Option<Instant>,
) -> Result<(), WaitError<PyErr>> {
    if jobs.is_empty() {
        return Ok(());
    }
    match asked(py, Request::Next { set, more, limit: limit(deadline) }) {
        Ok(Answered::Ends(ends)) => {
            settle(py, &jobs, ends);
            Ok(())
        }
        Ok(_) => Err(WaitError::Interrupted(unexpected())),
        Err(error) if error.is_instance_of::<PyTimeoutError>(py) => Err(WaitError::TimedOut),
        Err(error) => Err(WaitError::Interrupted(error)),
    }
}

/// The set is of no interest any more.
pub(super) fn forget(py: Python<'_>, set: &Set) {
    // A thread without a task cannot say so. The client forgets the set with the process.
    if crate::child::upstream::task_here().is_some() {
        let _ = asked(py, Request::Forget(set.number));
    }
}
