//! What stays in this process: the states of actors and the results that cannot be pickled, by the numbers of the tasks that
//! have made them.

#[cfg(target_os = "linux")]
use super::upstream::task_here;
use crate::interpreter::imports::python;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A state, and what makes the calls of the actor once it has had a coroutine.
type States = HashMap<u64, (Py<PyAny>, Option<Py<PyAny>>)>;

/// A thread locks it only while it holds the GIL, and runs no user code meanwhile.
static STATES: Mutex<Option<States>> = Mutex::new(None);

fn states() -> MutexGuard<'static, Option<States>> {
    STATES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[doc = stub!(task_at_hand)]
#[cfg(target_os = "linux")]
#[pyfunction]
pub(crate) fn task_at_hand(py: Python<'_>) -> Option<(u64, Bound<'_, PyAny>)> {
    task_here().map(|task| (task.number, task.key(py)))
}

#[doc = stub!(keep_actor)]
#[pyfunction]
pub(crate) fn keep_actor(number: u64, state: Py<PyAny>) {
    let before = states().get_or_insert_default().insert(number, (state, None));
    drop(before);
}

#[doc = stub!(kept_actor)]
#[pyfunction]
pub(crate) fn kept_actor(py: Python<'_>, number: u64) -> Option<Bound<'_, PyAny>> {
    states().as_ref()?.get(&number).map(|(state, _)| state.bind(py).clone())
}

#[doc = stub!(keep_caller)]
#[pyfunction]
pub(crate) fn keep_caller(number: u64, caller: Py<PyAny>) {
    if let Some((_, kept)) = states().as_mut().and_then(|all| all.get_mut(&number)) {
        *kept = Some(caller);
    }
}

#[doc = stub!(kept_caller)]
#[pyfunction]
pub(crate) fn kept_caller(py: Python<'_>, number: u64) -> Option<Bound<'_, PyAny>> {
    Some(states().as_ref()?.get(&number)?.1.as_ref()?.bind(py).clone())
}

/// Keeps the result of a task, which cannot be pickled because of this error. Returns the pickle of what stands for it.
///
/// # Errors
/// If it does not stay: the task's error.
pub(super) fn stay<'py>(
    number: u64,
    key: &str,
    result: &Bound<'py, PyAny>,
    error: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    static STAND_IN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = result.py();
    let is_actor = states().as_ref().is_some_and(|states| states.contains_key(&number));
    let stand_in = python(py, &STAND_IN, "azolla._process.staying", "stand_in")?;
    let pickle = stand_in.call1((number, key, error, is_actor))?.cast_into::<PyBytes>()?;
    keep_actor(number, result.clone().unbind());
    Ok(pickle)
}

/// Takes out the states that are not needed any more. Dropping them may run any code.
pub(super) fn take(numbers: &[u64]) -> Vec<(Py<PyAny>, Option<Py<PyAny>>)> {
    match &mut *states() {
        Some(states) => numbers.iter().filter_map(|number| states.remove(number)).collect(),
        None => Vec::new(),
    }
}
