//! The native half of `Queue`.

use super::stored::Stored;
use super::{Handle, PyTurn};
use crate::client::Core;
use azolla::sync::Queue;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The native half of `Queue`.
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct QueueCore(Handle<Queue<Stored>>);

#[pymethods]
impl QueueCore {
    #[new]
    fn new(client: &Bound<'_, Core>, name: &str, maxsize: usize) -> PyResult<Self> {
        let handle = Handle::new(client, |shared| {
            Queue::named(shared.engine.names(), name, maxsize)
                .map_err(|error| PyRuntimeError::new_err(error.to_string()))
        })?;
        Ok(Self(handle))
    }

    /// A wait to put this in.
    fn put(&self, value: Bound<'_, PyAny>) -> PyResult<PyTurn> {
        let shared = self.0.shared();
        let turn = self.0.get()?.turn_to_put(Stored::new(value, shared)?);
        Ok(PyTurn::new(shared, self.what(), turn, |py, _| Ok(py.None())))
    }

    /// A wait for the next.
    fn get(&self) -> PyResult<PyTurn> {
        let turn = self.0.get()?.turn_to_get(1);
        let what = self.what();
        Ok(PyTurn::new(self.0.shared(), what, turn, |py, mut got| match got.pop() {
            Some(stored) => stored.into_python(py),
            None => Ok(py.None()),
        }))
    }

    /// A wait for a list of so many.
    fn get_many(&self, number: usize) -> PyResult<PyTurn> {
        let turn = self.0.get()?.turn_to_get(number);
        Ok(PyTurn::new(self.0.shared(), self.what(), turn, list))
    }

    /// All that are there.
    fn take_all(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let all = self.0.get()?.take_all();
        list(py, self.0.open(py, &self.what(), all)?)
    }

    /// How many are there.
    fn qsize(&self, py: Python<'_>) -> PyResult<usize> {
        let len = self.0.get()?.len();
        self.0.open(py, &self.what(), len)
    }

    /// Empties the queue if this is the only handle on it.
    fn close(&self) -> PyResult<()> {
        let queue = self.0.get()?;
        if queue.is_only_handle() {
            drop(queue.take_all());
        }
        Ok(())
    }
}

impl QueueCore {
    fn what(&self) -> String {
        self.0.object.name().to_owned()
    }
}

fn list(py: Python<'_>, got: Vec<Stored>) -> PyResult<Py<PyAny>> {
    let values: Vec<_> =
        got.into_iter().map(|stored| stored.into_python(py)).collect::<PyResult<_>>()?;
    Ok(values.into_pyobject(py)?.unbind())
}
