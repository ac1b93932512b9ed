//! `wait` as Python calls it: for all of several futures, or for the first of them.

use super::handle::Future;
use super::wait;
use azolla::runtime::Until;
use pyo3::prelude::*;
use std::sync::Arc;

#[doc = stub!(wait)]
#[pyfunction]
#[pyo3(name = "wait", signature = (futures, timeout=None, first=false))]
pub(crate) fn wait_for(
    futures: Bound<'_, PyAny>,
    timeout: Option<Bound<'_, PyAny>>,
    first: bool,
) -> PyResult<()> {
    let deadline = wait::deadline(timeout.as_ref())?;
    let until = if first { Until::First } else { Until::All };
    // A released future counts as ended.
    let mut jobs = Vec::new();
    let mut guest = None;
    for future in futures.try_iter()? {
        let future = future?.cast_into::<Future>()?;
        let shared = future.get().shared()?;
        shared.check_process()?;
        if guest.is_none() && shared.is_one_of_several() {
            guest = Some(Arc::clone(shared));
        }
        match future.get().live() {
            Some(job) => jobs.push(job),
            None if first => return Ok(()),
            None => {}
        }
    }
    wait::wait(futures.py(), &jobs, until, deadline, guest.as_deref())
}

#[doc = stub!(timed_out)]
#[pyfunction]
pub(crate) fn timed_out<'py>(
    py: Python<'py>,
    futures: Vec<Bound<'py, Future>>,
) -> Bound<'py, PyAny> {
    let jobs: Vec<_> = futures.iter().filter_map(|future| future.get().live()).collect();
    wait::timed_out(py, &jobs).into_value(py).into_bound(py).into_any()
}

#[doc = stub!(why_cancelled)]
#[pyfunction]
pub(crate) fn why_cancelled(
    py: Python<'_>,
    future: &Bound<'_, Future>,
) -> Option<(Option<String>, Option<String>)> {
    future.get().why_cancelled(py).map(|why| (why.reason.clone(), why.msg.clone()))
}
