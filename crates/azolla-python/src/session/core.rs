//! The class that Python's `Client` extends. It finds the client's session, and tasks by their keys.
//!
//! The class is here, and not in `face`, because an unpickled future asks it for its task. Its methods for
//! Python are in `face`.

use super::shared::Shared;
use crate::task::job::PyJob;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::{Arc, OnceLock};

#[doc = stub!(Core)]
#[pyclass(frozen, subclass, weakref, module = "azolla._azolla")]
pub(crate) struct Core {
    pub(crate) shared: OnceLock<Arc<Shared>>,
}

impl Core {
    pub(crate) fn shared(&self) -> PyResult<&Arc<Shared>> {
        let never = || PyRuntimeError::new_err("this client was never started");
        self.shared.get().map(Shared::here).ok_or_else(never)
    }

    /// Returns the job that has this key, and counts one more future on it.
    pub(crate) fn find(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Arc<PyJob>>> {
        self.shared()?.find(key)
    }
}
