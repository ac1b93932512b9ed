//! What Python asks about the task on the calling thread: its client and its key. And what lets that task go on without
//! a slot.

use crate::child::aside::{self, Coroutine};
use crate::child::upstream::{self, goes_on_elsewhere, task_here};
use crate::future::away::limit;
use crate::future::gather::{self, Errors};
use crate::future::running::Running;
use crate::future::wait::{deadline, exception};
use crate::interpreter::imports::python;
use crate::session::at_hand;
use crate::session::away::{self, Answered, asked, listen};
use crate::session::owner::cluster_here;
use crate::session::thread::{current_task, set_callers_loop, with_worker};
use crate::task::job::PyJob;
use crate::task::named::Name;
use azolla::runtime::{Patience, Submission, Worker};
use azolla_process::request::Request;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::convert::Infallible;
use std::sync::Arc;

#[doc = stub!(secede)]
#[pyfunction]
pub(crate) fn secede(py: Python<'_>) -> PyResult<Option<bool>> {
    if task_here().is_some() {
        return done(asked(py, Request::Secede)?).map(Some);
    }
    py.detach(|| with_worker(|worker| worker.map(Worker::secede)))
        .transpose()
        .map_err(|error| exception(py, error.never_interrupted()))
}

#[doc = stub!(rejoin)]
#[pyfunction]
pub(crate) fn rejoin(py: Python<'_>) -> PyResult<bool> {
    if task_here().is_some() {
        return done(asked(py, Request::Rejoin)?);
    }
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
    if task_here().is_some() {
        listen(py, &jobs)?;
        return away::lend(py, &jobs, loan);
    }
    let lent =
        py.detach(|| with_worker(|worker| worker.map(|worker| worker.lend_for(loan, &jobs))));
    lent.transpose().map(Option::flatten).map_err(|error| exception(py, error.never_interrupted()))
}

#[doc = stub!(end_loan)]
#[pyfunction]
pub(crate) fn end_loan(py: Python<'_>, loan: u64) -> PyResult<()> {
    if task_here().is_some() {
        return asked(py, Request::EndLoan(loan)).map(drop);
    }
    py.detach(|| with_worker(|worker| worker.into_iter().for_each(|it| it.awaits_one_less(loan))));
    Ok(())
}

#[doc = stub!(awaits)]
#[pyfunction]
pub(crate) fn awaits(futures: &Bound<'_, PyAny>) -> PyResult<()> {
    if task_here().is_some() {
        return gather::awaits_away(futures);
    }
    let Some((_, job)) = current_task() else { return Ok(()) };
    let Some(cluster) = cluster_here() else { return Ok(()) };
    gather::awaits(&cluster, &job, futures)
}

#[doc = stub!(is_cancelled)]
#[pyfunction]
pub(crate) fn is_cancelled(py: Python<'_>) -> PyResult<bool> {
    if task_here().is_some() {
        return done(asked(py, Request::IsCancelled)?);
    }
    Ok(with_worker(|worker| worker.is_some_and(|worker| worker.is_cancelled())))
}

#[doc = stub!(check_cancelled)]
#[pyfunction]
pub(crate) fn check_cancelled(py: Python<'_>) -> PyResult<()> {
    if task_here().is_some() {
        return asked(py, Request::CheckCancelled).map(drop);
    }
    let checked = py.detach(|| {
        with_worker(|worker| worker.map_or(Ok(()), |worker| worker.check_cancelled::<Infallible>()))
    });
    checked.map_err(|error| exception(py, error.never_interrupted()))
}

#[doc = stub!(sleep_in_task)]
#[pyfunction]
pub(crate) fn sleep_in_task(py: Python<'_>, seconds: &Bound<'_, PyAny>) -> PyResult<bool> {
    let deadline = deadline(Some(seconds))?;
    if task_here().is_some() {
        return done(asked(py, Request::Sleep(limit(deadline)))?);
    }
    let slept = py.detach(|| {
        let patience = Patience { deadline, interrupt: None };
        with_worker(|worker| worker.map(|worker| worker.sleep::<Infallible>(patience)))
    });
    let slept = slept.transpose().map_err(|error| exception(py, error.never_interrupted()))?;
    Ok(slept.is_some())
}

#[doc = stub!(shield_task)]
#[pyfunction]
pub(crate) fn shield_task(py: Python<'_>, begins: bool) -> PyResult<()> {
    if task_here().is_some() {
        upstream::shield(begins);
        return asked(py, Request::Shield(begins)).map(drop);
    }
    at_hand::shield(begins);
    with_worker(|worker| match worker {
        Some(worker) if begins => worker.shield(),
        Some(worker) => worker.end_shield(),
        None => {}
    });
    Ok(())
}

#[doc = stub!(in_plain_task)]
#[pyfunction]
pub(crate) fn in_plain_task() -> bool {
    task_here().is_some() || with_worker(|worker| worker.is_some())
}

#[doc = stub!(coroutines_run_here)]
#[pyfunction]
pub(crate) fn coroutines_run_here() {
    set_callers_loop();
}

#[doc = stub!(thread_client)]
#[pyfunction]
pub(crate) fn thread_client(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    if aside::is_there() {
        return client(py).map(Some);
    }
    let Some((_, job)) = current_task() else { return Ok(None) };
    cluster_here().map(|cluster| cluster.client_of(py, job.client())).transpose()
}

#[doc = stub!(thread_running)]
#[pyfunction]
pub(crate) fn thread_running(py: Python<'_>) -> PyResult<Option<Running>> {
    if let Some(task) = task_here() {
        client(py)?; // it makes the cluster
        let Some(cluster) = away::cluster() else { return Ok(None) };
        let job = Arc::new(PyJob::pending(Name::Given(task.key(py).unbind()), 0));
        return Ok(Some(Running::new(job, Arc::clone(cluster), 0)));
    }
    Ok(running())
}

#[doc = stub!(detach)]
#[pyfunction]
pub(crate) fn detach(
    coroutine: &Bound<'_, PyAny>,
    worker: u16,
    context: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = coroutine.py();
    let Some(task) = task_here() else {
        return Err(PyRuntimeError::new_err("a coroutine came from outside a task"));
    };
    client(py)?; // it makes the cluster
    let Some(cluster) = away::cluster() else { return Err(away::unexpected()) };
    let Answered::Tasks(tasks) = asked(py, Request::Detach)? else {
        return Err(away::unexpected());
    };
    goes_on_elsewhere(py);
    // The job here is pending until the client's task ends, say since it is cancelled.
    let Some(number) = tasks.first().copied() else {
        return coroutine.call_method0(intern!(py, "close")).map(drop);
    };
    let name = Name::Away(task.key(py).unbind(), number);
    let job = Arc::new(PyJob::pending(name, 0));
    cluster.engine.submit(Submission::new(Arc::clone(&job), 0));
    let recorded = task.recorded.then_some(task.began);
    let coroutine_of = Coroutine { task: number, recorded };
    let running = Running::away(Arc::clone(&job), Arc::clone(cluster), worker, coroutine_of);
    let running = Bound::new(py, running)?;
    let begun = listen(py, [&job]).and_then(|()| cluster.object(py)).and_then(|object| {
        object.call_method1(intern!(py, "_run_coroutine"), (coroutine, &running, context))
    });
    if let Err(error) = begun {
        running.get().failed(error.into_value(py).into_bound(py).into_any())?;
    }
    Ok(())
}

#[doc = stub!(secret)]
#[pyfunction]
pub(crate) fn secret(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, azolla::runtime::secret())
}

#[doc = stub!(share_secret)]
#[pyfunction]
pub(crate) fn share_secret(secret: &[u8]) -> PyResult<bool> {
    let secret = secret.try_into().map_err(|_| PyValueError::new_err("this is no secret"))?;
    Ok(azolla::runtime::share_secret(secret))
}

#[doc = stub!(forget)]
#[pyfunction]
pub(crate) fn forget(number: u64) {
    upstream::forget(number);
}

#[doc = stub!(ask)]
#[pyfunction]
pub(crate) fn ask<'py>(py: Python<'py>, what: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    away::called(py, what, |packed| packed.object(py))
}

/// Returns the client of the task here, in a worker process.
fn client(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static CLIENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &CLIENT, "azolla._client.in_process", "client")?.call0()
}

fn done(answer: Answered) -> PyResult<bool> {
    match answer {
        Answered::Done(done) => Ok(done),
        _ => Err(away::unexpected()),
    }
}

fn running() -> Option<Running> {
    let (_, job) = current_task()?;
    let cluster = cluster_here()?;
    let worker = with_worker(|worker| worker.map(|worker| worker.group().0))?;
    Some(Running::new(job, cluster, worker))
}

#[doc = stub!(thread_task)]
#[pyfunction]
pub(crate) fn thread_task(py: Python<'_>) -> PyResult<Option<(Bound<'_, PyAny>, u32)>> {
    if let Some(task) = task_here() {
        return Ok(Some((task.key(py), 0)));
    }
    let task = with_worker(|worker| {
        let worker = worker?;
        let number = worker.number();
        worker.job().map(|job| (Arc::clone(job), number))
    });
    Ok(task.map(|(job, number)| (job.key(py), number)))
}
