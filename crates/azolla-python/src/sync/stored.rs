//! What queues and variables hold: objects as they are, and futures, which they keep alive.

use crate::future::Future;
use crate::shared::Shared;
use pyo3::prelude::*;
use std::sync::Arc;

pub(crate) enum Stored {
    Object(Py<PyAny>),
    /// One of its own: the task is kept whatever becomes of the one that was put in.
    Future(Future),
}

impl Stored {
    pub(crate) fn new(value: Bound<'_, PyAny>, shared: &Arc<Shared>) -> PyResult<Self> {
        match value.cast::<Future>() {
            Ok(future) => future.get().another(value.py(), shared).map(Self::Future),
            Err(_) => Ok(Self::Object(value.unbind())),
        }
    }

    /// What it is to whoever takes it.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Future(future) => Ok(Py::new(py, future)?.into_any()),
        }
    }

    /// What it is to one of several who see it: each sees a future of its own.
    pub(crate) fn to_python(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Object(object) => Ok(object.clone_ref(py)),
            Self::Future(future) => Ok(Py::new(py, future.another(py, shared)?)?.into_any()),
        }
    }
}
