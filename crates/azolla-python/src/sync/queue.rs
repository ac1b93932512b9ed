//! The native half of `Queue`.

use super::stored::Stored;
use super::turn::Given;
use super::{Handle, PyTurn, names};
use crate::session::core::Core;
use crate::session::shared::Shared;
use azolla::sync::{Gift, Queue};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;

#[doc = stub!(QueueCore)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct QueueCore(Handle<Queue<Stored>>);

#[pymethods]
impl QueueCore {
    #[new]
    fn new(client: &Bound<'_, Core>, name: &str, maxsize: usize, own: bool) -> PyResult<Self> {
        let handle = Handle::new(client, |shared| {
            Queue::named(names(shared, own), name, maxsize)
                .map_err(|error| PyRuntimeError::new_err(error.to_string()))
        })?;
        Ok(Self(handle))
    }

    #[doc = stub!(QueueCore.put)]
    fn put(&self, value: Bound<'_, PyAny>) -> PyResult<PyTurn> {
        let shared = self.0.shared();
        let turn = self.0.get()?.turn_to_put(Stored::new(value, shared)?);
        let queue = Arc::clone(&self.0.object);
        Ok(PyTurn::new(shared, self.what(), turn, move |py, put| Ok(given(py.None(), queue, put))))
    }

    #[doc = stub!(QueueCore.get)]
    fn get(&self) -> PyResult<PyTurn> {
        let turn = self.0.get()?.turn_to_get(1);
        let (shared, queue) = (Arc::clone(self.0.shared()), Arc::clone(&self.0.object));
        Ok(PyTurn::new(self.0.shared(), self.what(), turn, move |py, got| {
            let value = got.each().next().map(|stored| stored.taken(py, &shared)).transpose()?;
            Ok(given(value.unwrap_or_else(|| py.None()), queue, got))
        }))
    }

    #[doc = stub!(QueueCore.get_many)]
    fn get_many(&self, number: usize) -> PyResult<PyTurn> {
        let turn = self.0.get()?.turn_to_get(number);
        let (shared, queue) = (Arc::clone(self.0.shared()), Arc::clone(&self.0.object));
        Ok(PyTurn::new(self.0.shared(), self.what(), turn, move |py, got| {
            list(py, got, &shared, queue)
        }))
    }

    #[doc = stub!(QueueCore.take_all)]
    fn take_all(&self, py: Python<'_>) -> PyResult<PyTurn> {
        let all = self.0.when_open(py, &self.what(), Queue::take)?;
        let given = list(py, all, self.0.shared(), Arc::clone(&self.0.object))?;
        Ok(PyTurn::over_at_once(self.0.shared(), self.what(), given))
    }

    #[doc = stub!(QueueCore.qsize)]
    fn qsize(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.when_open(py, &self.what(), Queue::len)
    }

    #[doc = stub!(QueueCore.close)]
    fn close(&self) -> PyResult<()> {
        let queue = self.0.get()?;
        if queue.is_only_handle() {
            drop(queue.take_all());
        }
        Ok(())
    }

    /// Shows the collector what goes when this goes, if it is the only handle.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(queue) = self.0.in_this_process() else { return Ok(()) };
        queue.each(|stored| stored.traverse(&visit))
    }
}

impl QueueCore {
    fn what(&self) -> String {
        self.0.object.name().to_owned()
    }
}

fn list(
    py: Python<'_>,
    got: Gift<Stored>,
    shared: &Arc<Shared>,
    queue: Arc<Queue<Stored>>,
) -> PyResult<Given> {
    let values: Vec<_> =
        got.each().map(|stored| stored.taken(py, shared)).collect::<PyResult<_>>()?;
    Ok(given(values.into_pyobject(py)?.unbind(), queue, got))
}

/// What a queue has given, and can take back. That needs no handle of its own on the queue.
fn given(value: Py<PyAny>, queue: Arc<Queue<Stored>>, gift: Gift<Stored>) -> Given {
    Given::new(value, move || queue.take_back(gift))
}
