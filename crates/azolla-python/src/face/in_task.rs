//! What Python asks about the task on the calling thread: its client and its key. And what lets that task go on without
//! a slot.

use crate::future::gather::{self, Errors};
use crate::future::running::Running;
use crate::future::wait::exception;
use crate::session::owner::cluster_here;
use crate::session::thread::{current_task, set_callers_loop, with_worker};
use azolla::runtime::Worker;
use pyo3::prelude::*;
use std::sync::Arc;

#[doc = stub!(secede)]
#[pyfunction]
pub(crate) fn secede(py: Python<'_>) -> PyResult<Option<bool>> {
    py.detach(|| with_worker(|worker| worker.map(Worker::secede)))
        .transpose()
        .map_err(|error| exception(py, error.never_interrupted()))
}

#[doc = stub!(rejoin)]
#[pyfunction]
pub(crate) fn rejoin(py: Python<'_>) -> PyResult<bool> {
    py.detach(|| with_worker(|worker| worker.map(Worker::rejoin)))
        .map_or(Ok(false), |result| result.map(|()| true))
        .map_err(|error| exception(py, error.never_interrupted()))
}

#[doc = stub!(lend)]
#[pyfunction]
#[pyo3(signature = (futures, loan=None))]
pub(crate) fn lend(
    py: Python<'_>,
    futures: &Bound<'_, PyAny>,
    loan: Option<u64>,
) -> PyResult<Option<u64>> {
    let jobs = gather::jobs(futures, Errors::Skip)?;
    let lent =
        py.detach(|| with_worker(|worker| worker.map(|worker| worker.lend_for(loan, &jobs))));
    lent.transpose().map(Option::flatten).map_err(|error| exception(py, error.never_interrupted()))
}

#[doc = stub!(end_loan)]
#[pyfunction]
pub(crate) fn end_loan(py: Python<'_>, loan: u64) {
    py.detach(|| with_worker(|worker| worker.into_iter().for_each(|it| it.awaits_one_less(loan))));
}

#[doc = stub!(awaits)]
#[pyfunction]
pub(crate) fn awaits(futures: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some((_, job)) = current_task() else { return Ok(()) };
    let Some(cluster) = cluster_here() else { return Ok(()) };
    gather::awaits(&cluster, &job, futures)
}

#[doc = stub!(in_plain_task)]
#[pyfunction]
pub(crate) fn in_plain_task() -> bool {
    with_worker(|worker| worker.is_some())
}

#[doc = stub!(coroutines_run_here)]
#[pyfunction]
pub(crate) fn coroutines_run_here() {
    set_callers_loop();
}

#[doc = stub!(thread_client)]
#[pyfunction]
pub(crate) fn thread_client(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some((_, job)) = current_task() else { return Ok(None) };
    cluster_here().map(|cluster| cluster.client_of(py, job.client())).transpose()
}

#[doc = stub!(thread_running)]
#[pyfunction]
pub(crate) fn thread_running() -> Option<Running> {
    let (_, job) = current_task()?;
    let cluster = cluster_here()?;
    let worker = with_worker(|worker| worker.map(|worker| worker.group().0))?;
    Some(Running::new(job, cluster, worker))
}

#[doc = stub!(thread_task)]
#[pyfunction]
pub(crate) fn thread_task(py: Python<'_>) -> PyResult<Option<(Bound<'_, PyAny>, u32)>> {
    let task = with_worker(|worker| {
        let worker = worker?;
        let number = worker.number();
        worker.job().map(|job| (Arc::clone(job), number))
    });
    Ok(task.map(|(job, number)| (job.key(py), number)))
}
