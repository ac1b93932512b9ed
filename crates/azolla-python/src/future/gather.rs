//! `gather`: replaces futures by their results, in whatever containers they are nested.

use super::callbacks::LoopCallback;
use super::handle::{Future, value};
use super::nested::{copied, futures_in};
use super::wait;
use crate::child::aside;
use crate::child::upstream::task_here;
use crate::interpreter::forks::{check_forks, forks};
use crate::session::away::{asked, coroutine_here};
use crate::session::shared::{Cluster, Shared};
use crate::task::job::PyJob;
use crate::task::names::short_repr;
use azolla::runtime::{Job, Listen, Status, Until};
use azolla_process::request::Request;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What `gather` does with a future that has no result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errors {
    Raise,
    Skip,
}

impl Errors {
    pub(crate) fn parse(errors: &Bound<'_, PyAny>) -> PyResult<Self> {
        match errors.extract().unwrap_or_default() {
            "raise" => Ok(Self::Raise),
            "skip" => Ok(Self::Skip),
            _ => {
                let given = short_repr(errors);
                let message = format!("errors must be 'raise' or 'skip', not {given}");
                Err(PyValueError::new_err(message))
            }
        }
    }
}

/// Waits for the futures in `futures`, and returns the same containers with the results in their places. `shared` is
/// the client that gathers.
pub(crate) fn gather<'py>(
    futures: &Bound<'py, PyAny>,
    errors: Errors,
    shared: &Shared,
) -> PyResult<Bound<'py, PyAny>> {
    let py = futures.py();
    let listed = listed(futures, errors)?;
    let is_list = listed.is_some();
    let jobs = listed.map_or_else(|| nested(futures, errors), Ok)?;
    let until = if errors == Errors::Raise { Until::AllOrFailure } else { Until::All };
    let since = shared.epoch();
    wait::wait(py, &jobs, until, None, Some(shared).filter(|shared| shared.is_one_of_several()))?;
    // A future that the client has cancelled, for itself alone, raises before those that have not ended.
    if errors == Errors::Raise && shared.epoch() != since {
        shared.check_not_dropped(py, &jobs, since)?;
    }
    if errors == Errors::Raise {
        raise_first_failure(py, &jobs)?;
        if is_list && !jobs.iter().any(|job| job.is_actor()) {
            return values(py, &jobs);
        }
    }
    results(futures, errors)
}

/// Returns the results of jobs that have ended.
fn values<'py>(py: Python<'py>, jobs: &[Arc<PyJob>]) -> PyResult<Bound<'py, PyAny>> {
    // The results go straight into the list: a vector in between would be as long.
    let mut failed = None;
    let value = |job| {
        value(py, job).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            py.None().into_bound(py)
        })
    };
    let values = PyList::new(py, jobs.iter().map(|job| &**job).map(value))?;
    failed.map_or_else(|| Ok(values.into_any()), Err)
}

/// Returns the jobs of all futures in these containers.
pub(crate) fn jobs(futures: &Bound<'_, PyAny>, errors: Errors) -> PyResult<Vec<Arc<PyJob>>> {
    listed(futures, errors)?.map_or_else(|| nested(futures, errors), Ok)
}

/// Tells the engine that this task, which runs without a worker or without a slot, awaits these futures.
pub(crate) fn awaits(cluster: &Cluster, job: &PyJob, futures: &Bound<'_, PyAny>) -> PyResult<()> {
    let awaited = jobs(futures, Errors::Skip)?;
    let told = cluster.engine.awaits(job, &awaited);
    told.map_err(|error| wait::exception(futures.py(), error.never_interrupted()))
}

/// Tells the client that the task here, which runs in a worker process, awaits these futures.
pub(crate) fn awaits_away(futures: &Bound<'_, PyAny>) -> PyResult<()> {
    let awaited = jobs(futures, Errors::Skip)?;
    let pending = awaited.iter().filter(|job| job.header().status() == Status::Pending);
    let tasks: Vec<_> = pending.filter_map(|job| job.away()).collect();
    let py = futures.py();
    if tasks.is_empty() && task_here().is_none() {
        let coroutine = coroutine_here(py)?;
        return aside::ask_then(py, coroutine, Request::Awaits(tasks), |_, _| ()).map(drop);
    }
    asked(py, Request::Awaits(tasks)).map(drop)
}

/// Returns the job of a future. One that was released raises, or has none if errors are skipped.
fn job(future: &Bound<'_, Future>, errors: Errors) -> PyResult<Option<Arc<PyJob>>> {
    match errors == Errors::Skip && future.get().is_released()? {
        true => Ok(None),
        false => future.get().job(future.py()).map(Some),
    }
}

/// Does the same for the most common case: a list that holds nothing but futures.
fn listed(futures: &Bound<'_, PyAny>, errors: Errors) -> PyResult<Option<Vec<Arc<PyJob>>>> {
    let Ok(list) = futures.cast_exact::<PyList>() else { return Ok(None) };
    let mut jobs = Vec::with_capacity(list.len());
    for item in list.iter() {
        let Ok(future) = item.cast::<Future>() else { return Ok(None) };
        jobs.extend(job(future, errors)?);
    }
    Ok(Some(jobs))
}

/// Does the same for any nesting.
fn nested(futures: &Bound<'_, PyAny>, errors: Errors) -> PyResult<Vec<Arc<PyJob>>> {
    let mut jobs = Vec::new();
    futures_in(futures, |future| {
        jobs.extend(job(future, errors)?);
        Ok(())
    })?;
    Ok(jobs)
}

/// Raises the error of the first job that failed or was cancelled, if there is one.
pub(crate) fn raise_first_failure(py: Python<'_>, jobs: &[Arc<PyJob>]) -> PyResult<()> {
    for job in jobs {
        match job.header().status() {
            Status::Failed | Status::Cancelled => {
                // The caller is told of one failure. It has asked for all, and is told of no other.
                for job in jobs {
                    job.header().see_failure();
                }
                value(py, job)?;
            }
            Status::Pending | Status::Finished => {}
        }
    }
    Ok(())
}

/// Returns the same nesting with results in the place of futures. All futures must have ended.
pub(crate) fn results<'py>(
    futures: &Bound<'py, PyAny>,
    errors: Errors,
) -> PyResult<Bound<'py, PyAny>> {
    copied(futures, &mut |future: &Bound<'py, Future>| {
        if errors == Errors::Skip && future.get().has_no_result()? {
            return Ok(None);
        }
        match future.get().value(future.py()) {
            // A retry has begun, say. A result that is there and cannot come is not left out.
            Err(_) if errors == Errors::Skip && future.get().last_status() != Some("finished") => {
                Ok(None)
            }
            value => value.map(Some),
        }
    })
}

/// An event loop's wait for several jobs. `close` breaks it off.
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Gathering {
    jobs: Vec<Arc<PyJob>>,
    listener: Arc<dyn Listen>,
    forks: u64,
}

struct Countdown {
    missing: AtomicUsize,
    /// Which jobs have been counted, by token. One that has ended may be told of again when its client cancels the future.
    told: Box<[AtomicBool]>,
    /// A job without a result ends the wait.
    failure_ends: bool,
    ended: AtomicBool,
    callback: LoopCallback,
}

impl Gathering {
    /// Begins to listen. Returns None if there is nothing to wait for.
    pub(crate) fn begin(
        shared: &Shared,
        jobs: Vec<Arc<PyJob>>,
        errors: Errors,
        callback: LoopCallback,
    ) -> Option<Self> {
        let unsuccessful =
            |job: &Arc<PyJob>| matches!(job.header().status(), Status::Failed | Status::Cancelled);
        if errors == Errors::Raise && jobs.iter().any(unsuccessful) {
            return None;
        }
        let pending: Vec<Arc<PyJob>> =
            jobs.into_iter().filter(|job| job.header().status() == Status::Pending).collect();
        if pending.is_empty() {
            return None;
        }
        let listener: Arc<dyn Listen> = Arc::new(Countdown {
            missing: AtomicUsize::new(pending.len()),
            told: pending.iter().map(|_| AtomicBool::new(false)).collect(),
            failure_ends: errors == Errors::Raise,
            ended: AtomicBool::new(false),
            callback,
        });
        for (token, job) in pending.iter().enumerate() {
            shared.listen(job, &listener, token);
        }
        Some(Self { jobs: pending, listener, forks: forks() })
    }
}

#[pymethods]
impl Gathering {
    fn close(&self) {
        if check_forks(self.forks).is_err() {
            return;
        }
        for job in &self.jobs {
            job.header().unlisten(&self.listener);
        }
    }
}

impl Listen for Countdown {
    fn settled(&self, token: usize, status: Status) {
        if self.told[token].swap(true, Ordering::AcqRel) {
            return;
        }
        let failed = self.failure_ends && status != Status::Finished;
        let last = self.missing.fetch_sub(1, Ordering::AcqRel) == 1;
        if (failed || last) && !self.ended.swap(true, Ordering::AcqRel) {
            self.callback.settled(token, status);
        }
    }
}
