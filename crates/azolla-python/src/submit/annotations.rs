//! The notes that `azolla.annotate` has made: on the tasks that are submitted here, and on the task that submits them.

use crate::child::pickled::{Named, collecting};
use crate::interpreter::imports::python;
use crate::interpreter::pickles::whole;
use crate::session::thread::current_task;
use crate::task::packed::Notes;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

/// The notes on the tasks that are submitted here, if there are any.
pub(crate) struct Annotations<'py>(Option<Bound<'py, PyDict>>);

impl<'py> Annotations<'py> {
    /// Reads the notes from the context. An empty context has none.
    pub(crate) fn here(py: Python<'py>, has_context: bool) -> PyResult<Self> {
        static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if !has_context {
            return Ok(Self(None));
        }
        let noted = python(py, &CURRENT, "azolla._base.annotations", "current")?.call0()?;
        Ok(Self(noted.cast_into().ok()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns what a task in a worker process is to know of itself, and the tasks whose futures are in that. `key` is its
    /// key, if that is no text.
    pub(super) fn packed(
        &self,
        py: Python<'py>,
        key: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Packed> {
        if key.is_none() && self.is_empty() {
            return Ok(None);
        }
        let notes = (key, &self.0).into_pyobject(py)?;
        let (pickle, futures) = collecting(|| whole(notes.as_any()));
        Ok(Some((pickle?.into(), futures)))
    }

    /// Returns the name of the span.
    pub(crate) fn span(&self) -> Option<Bound<'py, PyTuple>> {
        let span = self.get("span").ok()??.cast_into::<PyDict>().ok()?;
        span.get_item("name").ok()??.cast_into().ok()
    }

    pub(super) fn get(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.as_ref().map_or(Ok(None), |noted| noted.get_item(name))
    }

    /// Does the same, but leaves out the notes on the task that submits: these hold for that task, and not for the
    /// tasks that it grows. (If the children of a task on a GPU took a GPU without being told to, the task would wait
    /// for itself.)
    pub(crate) fn own(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(noted) = self.get(name)?.filter(|noted| !noted.is_none()) else { return Ok(None) };
        let of_task = match notes_of_task(noted.py())? {
            Some(of_task) => of_task.get_item(name)?,
            None => None,
        };
        Ok(Some(noted).filter(|noted| of_task.is_none_or(|inherited| !inherited.is(noted))))
    }
}

/// Returns the notes on the task that runs on this thread.
fn notes_of_task<'py>(py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
    static OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static OF_TASK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let noted = match current_task() {
        Some((_, job)) => {
            let Some(context) = job.call(py).and_then(|call| call.context) else { return Ok(None) };
            python(py, &OF, "azolla._base.annotations", "of")?.call1((context,))?
        }
        // One that was sent to this process.
        None => python(py, &OF_TASK, "azolla._base.annotations", "of_task")?.call0()?,
    };
    Ok(noted.cast_into().ok())
}

/// What a task is to know of itself, and the tasks whose futures are in that.
pub(super) type Packed = Option<(Notes, Named)>;
