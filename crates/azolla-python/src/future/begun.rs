//! What an executor's future asks of the task that it stands for: whether it has begun, and to cancel it if not.

use super::handle::Future;
use crate::session::away::about;
use crate::task::job::PyJob;
use azolla::runtime::{Engine, Job};
use azolla_process::request::Request;
use pyo3::prelude::*;
use std::slice;
use std::sync::Arc;

#[doc = stub!(has_begun)]
#[pyfunction]
pub(crate) fn has_begun(py: Python<'_>, future: &Future) -> PyResult<bool> {
    let Some(job) = future.live() else { return Ok(false) };
    match job.away() {
        Some(_) if job.header().is_settled() => Ok(false),
        Some(task) => about(py, slice::from_ref(&job), |_| Request::HasBegun(task)),
        None => Ok(job.header().is_running()),
    }
}

#[doc = stub!(cancel_unless_begun)]
#[pyfunction]
#[pyo3(name = "cancel_unless_begun")]
pub(crate) fn withdraw(py: Python<'_>, future: &Future) -> PyResult<bool> {
    let (Some(job), shared) = (future.live(), future.shared()?) else { return Ok(false) };
    shared.check_process()?;
    if let Some(task) = job.away()
        && (job.header().is_settled()
            || !about(py, slice::from_ref(&job), |_| Request::CancelUnlessBegun(task))?)
    {
        return Ok(false);
    }
    Ok(py.detach(|| cancel_unless_begun(&shared.engine, &job)))
}

/// Cancels a task unless it has begun. Returns true if it is cancelled by this.
pub(crate) fn cancel_unless_begun(engine: &Engine<PyJob>, job: &Arc<PyJob>) -> bool {
    let is_cancelled = engine.cancel_unless_begun(job);
    if is_cancelled {
        job.forget_call();
    }
    is_cancelled
}
