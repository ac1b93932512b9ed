//! Waits of a task in a worker process, for tasks of its client's. The client waits, and says what has ended.

use super::wait::timed_out;
use crate::session::away::{Answered, Ended, asked, end, settle, unexpected};
use crate::task::job::PyJob;
use azolla::runtime::{Job, Status, Until, WaitError, is_over};
use azolla_process::request::{self, Request};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Returns true if these are tasks of a client in another process. All of a program's futures there are.
pub(super) fn are_away(jobs: &[Arc<PyJob>]) -> bool {
    jobs.first().is_some_and(|job| job.away().is_some())
}

/// What is left until then, in nanoseconds.
pub(crate) fn limit(deadline: Option<Instant>) -> Option<u64> {
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
    /// Those to which this process does not listen yet.
    unheard: Vec<Arc<PyJob>>,
    /// Those whose ends the client has not told yet.
    pending: FxHashMap<u64, Arc<PyJob>>,
}

impl Set {
    pub(super) fn new() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (more, unheard, pending) = Default::default();
        Self { number, more, unheard, pending }
    }

    pub(super) fn add(&mut self, job: &Arc<PyJob>) {
        if let Some(task) = job.away()
            && job.header().status() == Status::Pending
        {
            self.more.push(task);
            self.unheard.push(Arc::clone(job));
            self.pending.insert(task, Arc::clone(job));
        }
    }

    /// The jobs that were added since the last time.
    pub(super) fn new_ones(&mut self) -> Vec<Arc<PyJob>> {
        std::mem::take(&mut self.unheard)
    }

    /// What to ask for the next end; nothing if none is to come.
    pub(super) fn asks(&mut self) -> Option<(u64, Vec<u64>)> {
        (!self.pending.is_empty()).then(|| (self.number, std::mem::take(&mut self.more)))
    }

    /// Takes out the jobs whose tasks have ended.
    pub(super) fn take(&mut self, ends: Vec<(u64, Ended)>) -> Vec<(Arc<PyJob>, Ended)> {
        let taken = |(task, ended)| Some((self.pending.remove(&task)?, ended));
        ends.into_iter().filter_map(taken).collect()
    }
}

/// Waits until one of the jobs in a set has ended. `take` takes those that have out of the set.
pub(super) fn next(
    py: Python<'_>,
    (set, more): (u64, Vec<u64>),
    deadline: Option<Instant>,
    take: impl FnOnce(Vec<(u64, Ended)>) -> Vec<(Arc<PyJob>, Ended)>,
) -> Result<(), WaitError<PyErr>> {
    match asked(py, Request::Next { set, more, limit: limit(deadline) }) {
        Ok(Answered::Ends(ends)) => {
            for (job, ended) in take(ends) {
                end(py, &job, ended);
            }
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
