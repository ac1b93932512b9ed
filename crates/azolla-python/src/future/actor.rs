//! What a future on an actor gives: not the state itself, but an `Actor`, which calls the state's methods.
//!
//! `submit/actor.rs` makes those calls. The other half of both is Python (`azolla/_shared/actor.py`).

use super::handle::Future;
use crate::interpreter::imports::{error, python};
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use azolla::runtime::Job;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::sync::Arc;

#[doc = stub!(actor_caller)]
#[pyfunction]
pub(crate) fn actor_caller(py: Python<'_>) -> PyResult<Py<PyAny>> {
    caller(py)
}

/// Returns the function that makes an actor's calls: a method of a new `Turns`.
pub(crate) fn caller(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static CALLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &CALLER, "azolla._shared.actor", "caller")?.call0().map(Bound::unbind)
}

/// Returns the class of a result. Of an actor in a worker process that is the class of its state.
pub(super) fn class_of<'py>(result: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static STAND_IN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = result.py();
    match result.get_type().is(python(py, &STAND_IN, "azolla._process.actors", "StandIn")?) {
        true => result.getattr(intern!(py, "cls")),
        false => Ok(result.get_type().into_any()),
    }
}

/// Makes the `Actor` for a future on an actor. The `Actor` has a future of its own.
pub(crate) fn proxy<'py>(
    py: Python<'py>,
    state: &Bound<'py, PyAny>,
    job: &Arc<PyJob>,
    shared: &Arc<Shared>,
) -> PyResult<Bound<'py, PyAny>> {
    static PROXY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let task = job.header().id();
    let Some(job) = task.and_then(|task| shared.engine.find_task(task)) else {
        return Err(lost(py, job, "it was released"));
    };
    let future = Future::new(py, job, Arc::clone(shared));
    python(py, &PROXY, "azolla._shared.actor", "proxy")?.call1((class_of(state)?, future))
}

#[doc = stub!(arrived_actor)]
#[pyfunction]
pub(crate) fn arrived_actor<'py>(
    cls: Bound<'py, PyAny>,
    key: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    static ACTOR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = cls.py();
    python(py, &ACTOR, "azolla._shared.actor", "Actor")?.call1((cls, py.None(), key))
}

/// Makes the error for an actor that is gone.
pub(crate) fn lost(py: Python<'_>, job: &PyJob, why: &str) -> PyErr {
    error(py, LOST, &gone(&job.key_text(py), why))
}

/// The class of that error.
pub(crate) const LOST: &str = "ActorLostError";

/// Why an actor is gone whose key now names a task that is no actor.
pub(crate) const ANOTHER: &str = "its key is another task's";

/// Returns the message of that error.
pub(crate) fn gone(key: &str, why: &str) -> String {
    format!("the actor {key} is gone: {why}")
}
