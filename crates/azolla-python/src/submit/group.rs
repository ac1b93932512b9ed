//! The group in which work is submitted here, if there is one.

use crate::future::handle::Future;
use crate::interpreter::imports::python;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many blocks of groups are entered in this process. With none nobody is asked.
static ENTERED: AtomicUsize = AtomicUsize::new(0);

#[doc = stub!(group_entered)]
#[pyfunction]
pub(crate) fn group_entered() {
    ENTERED.fetch_add(1, Ordering::Relaxed);
}

#[doc = stub!(group_left)]
#[pyfunction]
pub(crate) fn group_left() {
    ENTERED.fetch_sub(1, Ordering::Relaxed);
}

/// Returns the gate of the group of this client's cluster in whose block this is called.
pub(crate) fn group_here(py: Python<'_>, shared: &Shared) -> PyResult<Option<Arc<PyJob>>> {
    static GATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if ENTERED.load(Ordering::Relaxed) == 0 {
        return Ok(None);
    }
    let gate = python(py, &GATE, "azolla._run.groups", "gate_here")?.call0()?;
    let Ok(gate) = gate.cast::<Future>() else { return Ok(None) };
    let of = gate.get().shared()?;
    if !Arc::ptr_eq(&of.engine, &shared.engine) {
        return Ok(None);
    }
    gate.get().job(py).map(Some)
}

/// Returns true if these are all the context variables that tell of groups.
pub(super) fn is_entered(context: &Bound<'_, PyAny>) -> PyResult<bool> {
    static HERE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if ENTERED.load(Ordering::Relaxed) == 0 {
        return Ok(false);
    }
    context.contains(python(context.py(), &HERE, "azolla._run.groups", "here")?)
}
