//! What an executor's future asks of the task that it stands for: whether it has begun, and to cancel it if not.

use super::handle::Future;
use azolla::runtime::Job;
use pyo3::prelude::*;

#[doc = stub!(has_begun)]
#[pyfunction]
pub(crate) fn has_begun(future: &Future) -> bool {
    future.live().is_some_and(|job| job.header().is_running())
}

#[doc = stub!(cancel_unless_begun)]
#[pyfunction]
pub(crate) fn cancel_unless_begun(py: Python<'_>, future: &Future) -> PyResult<bool> {
    let (Some(job), shared) = (future.live(), future.shared()?) else { return Ok(false) };
    shared.check_process()?;
    let is_cancelled = py.detach(|| shared.engine.cancel_unless_begun(&job));
    if is_cancelled {
        job.forget_call();
    }
    Ok(is_cancelled)
}
