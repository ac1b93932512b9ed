//! What happens when a task raises an exception. Either the task is put back for a retry, or the exception gets a note,
//! loses azolla's own frames, and is stored.

use super::job::{Failure, PyJob};
use crate::interpreter::imports::python;
use crate::interpreter::raised::{Raised, set_traceback};
use azolla::runtime::Job;
use azolla_core::Outcome;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTraceback};
use std::sync::Arc;

/// Stores the error of a call, or uses up a retry. The task is put back only if `may_return` is true.
pub(crate) fn fail(job: &PyJob, error: &Bound<'_, PyAny>, may_return: bool) -> PyResult<Outcome> {
    static RESCHEDULE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = error.py();
    let reschedule = python(py, &RESCHEDULE, "azolla._base.errors", "Reschedule")?;
    if may_return && (error.is_instance(reschedule)? || job.header().take_retry()) {
        return Ok(Outcome::Again);
    }
    let traceback = users_traceback(error)?;
    // The worker's own frame would keep the call's arguments alive.
    set_traceback(error, traceback.as_ref());
    let note = format!("in the azolla task {}", job.key_text(py));
    let notes = error.getattr(intern!(py, "__notes__"));
    let noted = notes.is_ok_and(|notes| notes.contains(&note).unwrap_or(false));
    if !noted {
        // A class may refuse notes. Its error is stored all the same.
        let _ = error.call_method1(intern!(py, "add_note"), (note,));
    }
    let raised = Raised::new(error.clone().unbind(), traceback.map(Bound::unbind));
    job.hidden.show(py);
    job.store(Err(Failure::Raised(Arc::new(raised))));
    if job.is_actor_call {
        job.forget_call();
    }
    Ok(Outcome::Failed)
}

/// Returns the traceback, beginning with the first frame that is not azolla's own.
fn users_traceback<'py>(error: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTraceback>>> {
    let py = error.py();
    // This asks the interpreter, since the exception's class may have attributes of its own.
    let mut traceback = PyErr::from_value(error.clone()).traceback(py);
    while let Some(first) = &traceback {
        let globals = first.getattr(intern!(py, "tb_frame"))?.getattr(intern!(py, "f_globals"))?;
        let module = globals.call_method1(intern!(py, "get"), (intern!(py, "__name__"),))?;
        let module = module.cast::<PyString>().map(|name| name.to_string_lossy().into_owned());
        if !module.is_ok_and(|name| name.starts_with("azolla.")) {
            break;
        }
        traceback = first.getattr(intern!(py, "tb_next"))?.cast_into().ok();
    }
    Ok(traceback)
}
