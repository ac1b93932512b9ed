//! What happens when a task raises an exception. Either the task is put back for a retry, or the exception gets a note,
//! loses azolla's own frames, and is stored.

use super::job::{Failure, PyJob};
use crate::interpreter::imports::python;
use crate::interpreter::raised::{Raised, set_traceback};
use azolla::runtime::Job;
use azolla_core::Outcome;
use azolla_process::request::Role;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTraceback};

/// How the note begins that tells which task has raised an exception.
const NOTE: &str = "in the azolla task ";

/// Stores the error of a call, or uses up a retry. The task is put back only if `may_return` is true.
///
/// Whatever the exception's own code does stays in here: the task ends in any case.
pub(crate) fn fail(job: &PyJob, error: &Bound<'_, PyAny>, may_return: bool) -> Outcome {
    let py = error.py();
    if may_return && (asks_for_another_run(error) || job.header().take_retry()) {
        return Outcome::Again;
    }
    let traceback = users_traceback(error);
    // The worker's own frame would keep the call's arguments alive.
    set_traceback(error, traceback.as_ref());
    let instead = instead_of_cancellation(error);
    let error = instead.as_ref().unwrap_or(error);
    note(job, error);
    let raised = Raised::new(error.clone().unbind(), traceback.map(Bound::unbind));
    job.hidden.show(py);
    job.store(Err(Failure::Raised(Box::new(raised))));
    if job.role == Role::Call {
        job.forget_call();
    }
    Outcome::Failed
}

/// Returns true for `Reschedule`. This looks at the exception's type, since its `__class__` may be code of its own.
fn asks_for_another_run(error: &Bound<'_, PyAny>) -> bool {
    static RESCHEDULE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let reschedule = python(error.py(), &RESCHEDULE, "azolla._base.errors", "Reschedule");
    reschedule.and_then(|class| error.get_type().is_subclass(class)).unwrap_or(false)
}

/// Returns what a task fails with that ended in `asyncio.CancelledError` or `Cancelled`, though it was not cancelled.
fn instead_of_cancellation<'py>(error: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    static CANCELLED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static OWN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static INSTEAD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = error.py();
    let is = |class: &Bound<'py, PyAny>| error.get_type().is_subclass(class).unwrap_or(false);
    let of_asyncio = python(py, &CANCELLED, "asyncio", "CancelledError").ok()?;
    let own = python(py, &OWN, "azolla._base.errors", "Cancelled").ok()?;
    if !is(of_asyncio) && !is(own) {
        return None;
    }
    let instead = python(py, &INSTEAD, "azolla._base.errors", "ended_in_cancellation").ok()?;
    instead.call1((error,)).ok()
}

/// Notes on an exception that this task has raised it, unless it bears such a note: the first task has raised it, and
/// others have let it through.
fn note(job: &PyJob, error: &Bound<'_, PyAny>) {
    let py = error.py();
    let is_ours = |note: Bound<'_, PyAny>| {
        note.cast::<PyString>().is_ok_and(|note| note.to_string_lossy().starts_with(NOTE))
    };
    let notes = error.getattr(intern!(py, "__notes__")).ok();
    let notes = notes.and_then(|notes| notes.cast_into_exact::<PyList>().ok());
    if !notes.is_some_and(|notes| notes.iter().any(is_ours)) {
        // A class may refuse notes. Its error is stored all the same.
        let _ =
            error.call_method1(intern!(py, "add_note"), (format!("{NOTE}{}", job.key_text(py)),));
    }
}

/// Returns the traceback, beginning with the first frame that is not azolla's own.
fn users_traceback<'py>(error: &Bound<'py, PyAny>) -> Option<Bound<'py, PyTraceback>> {
    let py = error.py();
    // This asks the interpreter, since the exception's class may have attributes of its own.
    let mut traceback = PyErr::from_value(error.clone()).traceback(py);
    while let Some(first) = &traceback
        && is_azollas(first).unwrap_or(false)
    {
        traceback = first.getattr(intern!(py, "tb_next")).ok()?.cast_into().ok();
    }
    traceback
}

/// Returns true for a frame of azolla's own modules. A function's globals may be of a class of its own, so this asks the
/// dictionary that they are.
fn is_azollas(traceback: &Bound<'_, PyTraceback>) -> PyResult<bool> {
    let py = traceback.py();
    let globals = traceback.getattr(intern!(py, "tb_frame"))?.getattr(intern!(py, "f_globals"))?;
    let module = globals.cast::<PyDict>()?.get_item(intern!(py, "__name__"))?;
    let Some(module) = module else { return Ok(false) };
    Ok(module.cast::<PyString>().is_ok_and(|name| name.to_string_lossy().starts_with("azolla.")))
}
