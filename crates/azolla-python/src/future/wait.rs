//! How a thread blocks: it gives up the GIL and answers Ctrl-C. Inside a task it lends its slot.

use super::away;
use crate::child::upstream::task_here;
use crate::interpreter::imports::error;
use crate::session::away::{listen, look};
use crate::session::owner::is_between_tasks;
use crate::session::reasons::was_cancelled;
use crate::session::shared::Shared;
use crate::session::thread::{has_died, with_worker};
use crate::task::job::PyJob;
use azolla::runtime::{Completions, Job, Patience, Status, Until, WaitError};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Waits for jobs. `several` is the client that has the futures, if its waits may end before the jobs do: it may leave the
/// cluster, or cancel a future while the job goes on for other clients.
pub(crate) fn wait(
    py: Python<'_>,
    jobs: &[Arc<PyJob>],
    until: Until,
    deadline: Option<Instant>,
    several: Option<&Shared>,
) -> PyResult<()> {
    if away::are_away(jobs) {
        if task_here().is_some() {
            return away::wait(py, jobs, until, deadline);
        }
        listen(py, jobs)?;
        if deadline.is_some() {
            look(py, jobs)?;
        }
    }
    let Some(client) = several else { return wait_for_all(py, jobs, until, deadline, None) };
    let (mut jobs, since) = (Cow::Borrowed(jobs), client.epoch());
    loop {
        match wait_for_all(py, &jobs, until, deadline, Some((client, since))) {
            Err(_) if !client.has_left() && is_over(client, &jobs, since) => {
                // A future that was cancelled has ended.
                if until != Until::All {
                    return Ok(());
                }
                jobs.to_mut().retain(|job| !client.has_dropped(job, since));
            }
            result => return result,
        }
    }
}

/// Returns true if the client has cancelled futures on one of the jobs, for itself alone, since this epoch.
fn is_over(client: &Shared, jobs: &[Arc<PyJob>], since: u32) -> bool {
    client.epoch() != since && jobs.iter().any(|job| client.has_dropped(job, since))
}

fn wait_for_all(
    py: Python<'_>,
    jobs: &[Arc<PyJob>],
    until: Until,
    deadline: Option<Instant>,
    several: Option<(&Shared, u32)>,
) -> PyResult<()> {
    let result = py.detach(|| {
        with_worker(|worker| {
            let in_task = worker.is_some();
            let mut outside = outside(deadline);
            let mut interrupted = || {
                if several.is_some_and(|(client, since)| {
                    client.has_left() || is_over(client, jobs, since)
                }) {
                    return Err(left());
                }
                check_process()?;
                if in_task { Ok(()) } else { outside() }
            };
            let is_endless = in_task && several.is_none() && has_died().is_none();
            let interrupt: Option<&mut dyn FnMut() -> PyResult<()>> =
                if is_endless { None } else { Some(&mut interrupted) };
            azolla::runtime::wait(worker, jobs, until, Patience { deadline, interrupt })
        })
    });
    result.map_err(|error| match error {
        WaitError::TimedOut => timed_out(py, jobs),
        error => exception(py, error),
    })
}

/// Returns an error if this thread works for a task of a process that has died.
pub(crate) fn check_process() -> PyResult<()> {
    match has_died() {
        Some(true) => {
            Err(PyRuntimeError::new_err("the worker process that asked for this has died"))
        }
        _ => Ok(()),
    }
}

/// The error of a wait for these jobs when its time is up. It names one that has not ended.
pub(crate) fn timed_out(py: Python<'_>, jobs: &[Arc<PyJob>]) -> PyErr {
    let mut late = jobs.iter().filter(|job| job.header().status() == Status::Pending);
    let first = late.next();
    let late = first.iter().count() + late.count();
    let key = first.or(jobs.first()).map(|job| job.key_text(py)).unwrap_or_default();
    PyTimeoutError::new_err(if jobs.len() <= 1 {
        format!("{key}: the time was up before the result was there")
    } else {
        format!("the time was up: {late} of {} tasks have not ended, among them {key}", jobs.len())
    })
}

/// Waits for the next completion. Returns `None` when all waiting threads were sent away since the caller read `since`,
/// the count of such times.
pub(crate) fn next(
    py: Python<'_>,
    completions: &Completions<PyJob>,
    deadline: Option<Instant>,
    since: u64,
) -> Result<Option<usize>, WaitError<PyErr>> {
    py.detach(|| {
        with_worker(|worker| {
            let mut outside = outside(deadline);
            let interrupt: Option<&mut dyn FnMut() -> PyResult<()>> =
                if worker.is_some() { None } else { Some(&mut outside) };
            completions.next_since(worker, deadline, interrupt, Some(since))
        })
    })
}

/// The error that ends a wait when the client leaves its cluster.
pub(crate) fn left() -> PyErr {
    let message = "the client was closed during the wait";
    Python::try_attach(|py| error(py, "CancelledByCloseError", message))
        .unwrap_or_else(|| PyRuntimeError::new_err(message))
}

/// How long a finalizer that runs between two tasks may wait when it sets no timeout.
const BETWEEN_TASKS: Duration = Duration::from_secs(1);

/// What breaks off a wait outside tasks. On the main thread, that is a signal. A finalizer that runs between two tasks
/// of a worker also has a limit: it may itself hold up what it waits for.
pub(crate) fn outside(deadline: Option<Instant>) -> impl FnMut() -> PyResult<()> {
    let limit = (deadline.is_none() && is_between_tasks()).then(|| Instant::now() + BETWEEN_TASKS);
    move || {
        if limit.is_some_and(|limit| Instant::now() >= limit) {
            return Err(PyRuntimeError::new_err(
                "a finalizer has waited without a timeout between two tasks of this thread, which \
                 may hold up what it waits for",
            ));
        }
        // When the interpreter is ending there are no signals any more, and no Python code to report to.
        Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(()))
    }
}

pub(crate) fn exception(py: Python<'_>, wait_error: WaitError<PyErr>) -> PyErr {
    match wait_error {
        WaitError::Interrupted(error) => error,
        WaitError::TimedOut => {
            PyTimeoutError::new_err("the time was up before the result was there")
        }
        WaitError::Cancelled(key) => error(py, "Cancelled", &was_cancelled(&key)),
        WaitError::Closed => {
            error(py, "CancelledByCloseError", "the client was closed during the wait")
        }
        WaitError::NoThread(reason) => PyRuntimeError::new_err(format!(
            "this task cannot wait: no thread could be started to take over its slot ({reason})"
        )),
        WaitError::Cycle(keys) => error(
            py,
            "WaitCycleError",
            &format!("these tasks would wait for each other for ever: {}", keys.join(" -> ")),
        ),
    }
}

/// Returns when a user's timeout is up. It is given in seconds, as a `timedelta`, or as text such as `"500ms"`.
pub(crate) fn deadline(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Instant>> {
    static SECONDS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(timeout) = timeout.filter(|timeout| !timeout.is_none()) else { return Ok(None) };
    let number = timeout.is_instance_of::<PyFloat>() || timeout.is_instance_of::<PyInt>();
    let as_float = if number { timeout.extract().ok() } else { None };
    let seconds: f64 = if let Some(seconds) = as_float {
        seconds
    } else {
        let parse = crate::interpreter::imports::python(
            timeout.py(),
            &SECONDS,
            "azolla._base.time",
            "seconds",
        )?;
        parse.call1((timeout,))?.extract()?
    };
    if seconds.is_nan() {
        return Err(PyTypeError::new_err("a timeout is a number of seconds, not NaN"));
    }
    // A timeout too long for a `Duration` is no timeout.
    let Ok(duration) = Duration::try_from_secs_f64(seconds.max(0.0)) else { return Ok(None) };
    Ok(Instant::now().checked_add(duration))
}
