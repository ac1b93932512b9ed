//! The native half of `Event`.

use super::turn::Given;
use super::{Handle, PyTurn, names};
use crate::session::core::Core;
use azolla::sync::Event;
use pyo3::prelude::*;
use pyo3::types::PyBool;

#[doc = stub!(EventCore)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct EventCore(Handle<Event>);

#[pymethods]
impl EventCore {
    #[new]
    fn new(client: &Bound<'_, Core>, name: &str, own: bool) -> PyResult<Self> {
        Handle::new(client, |shared| Ok(Event::named(names(shared, own), name))).map(Self)
    }

    #[doc = stub!(EventCore.wait)]
    fn wait(&self) -> PyResult<PyTurn> {
        let event = self.0.get()?;
        let what = event.name().to_owned();
        Ok(PyTurn::new(self.0.shared(), what, event.turn_to_go(), |py, ()| {
            Ok(Given::seen(PyBool::new(py, true).to_owned().into_any().unbind()))
        }))
    }

    #[doc = stub!(EventCore.set)]
    fn set(&self, py: Python<'_>) -> PyResult<()> {
        self.0.when_open(py, self.0.get()?.name(), Event::set)
    }

    #[doc = stub!(EventCore.clear)]
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.0.when_open(py, self.0.get()?.name(), Event::clear)
    }

    #[doc = stub!(EventCore.is_set)]
    fn is_set(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.when_open(py, self.0.get()?.name(), Event::is_set)
    }
}
