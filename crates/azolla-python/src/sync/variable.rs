//! The native half of `Variable`.

use super::stored::Stored;
use super::turn::Given;
use super::{Handle, PyTurn, names};
use crate::session::core::Core;
use azolla::sync::Variable;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;

#[doc = stub!(VariableCore)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct VariableCore(Handle<Variable<Stored>>);

#[pymethods]
impl VariableCore {
    #[new]
    fn new(client: &Bound<'_, Core>, name: &str, own: bool) -> PyResult<Self> {
        let handle = Handle::new(client, |shared| {
            Variable::named(names(shared, own), name)
                .map_err(|error| PyRuntimeError::new_err(error.to_string()))
        })?;
        Ok(Self(handle))
    }

    #[doc = stub!(VariableCore.set)]
    fn set(&self, value: Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let what = self.0.get()?.name();
        let stored = Stored::new(value, self.0.shared())?;
        self.0.when_open(py, what, |variable| variable.set(stored))
    }

    #[doc = stub!(VariableCore.get)]
    fn get(&self) -> PyResult<PyTurn> {
        let variable = self.0.get()?;
        let (turn, shared) = (variable.turn_to_get(), Arc::clone(self.0.shared()));
        let what = variable.name().to_owned();
        Ok(PyTurn::new(self.0.shared(), what, turn, move |py, stored| {
            stored.seen(py, &shared).map(Given::seen)
        }))
    }

    #[doc = stub!(VariableCore.delete)]
    fn delete(&self, py: Python<'_>) -> PyResult<()> {
        self.0.when_open(py, self.0.get()?.name(), Variable::delete)
    }

    /// Shows the collector what goes when this goes, if it is the only handle.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(variable) = self.0.in_this_process() else { return Ok(()) };
        variable.each(|stored| stored.traverse(&visit))
    }
}
