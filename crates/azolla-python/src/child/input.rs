//! `Input(n)`: what stands for the n-th input of a task in the pickle of its arguments.
//!
//! The client puts it there in place of a future. Unpickling it gives the input itself, so nothing has to look for it
//! among the arguments, however deep it lies.

use crate::interpreter::imports::python;
use crate::interpreter::pickles::loads;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::cell::RefCell;

#[doc = stub!(Input)]
#[pyclass(frozen, name = "Input", module = "azolla._azolla")]
pub(crate) struct Input {
    #[doc = stub!(Input.number)]
    #[pyo3(get)]
    number: u32,
}

#[pymethods]
impl Input {
    #[new]
    pub(crate) fn new(number: u32) -> Self {
        Self { number }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(&'py Bound<'py, PyAny>, (u32,))> {
        static VALUE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Ok((python(py, &VALUE, "azolla._azolla", "input_value")?, (self.number,)))
    }
}

/// An input of the task whose arguments are being unpickled.
enum Known {
    Pickle(Py<PyBytes>),
    Object(Py<PyAny>),
}

thread_local! {
    /// The inputs of the task whose arguments this thread unpickles. Empty at all other times.
    static INPUTS: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// Unpickles the arguments of a task that has these inputs.
pub(super) fn loads_with<'py>(
    py: Python<'py>,
    arguments: &[u8],
    inputs: Vec<Py<PyBytes>>,
) -> PyResult<Bound<'py, PyAny>> {
    if inputs.is_empty() {
        return loads(py, arguments);
    }
    INPUTS.set(inputs.into_iter().map(Known::Pickle).collect());
    let loaded = loads(py, arguments);
    // Dropping an input may run any code. So the list is empty before.
    drop(INPUTS.take());
    loaded
}

#[doc = stub!(input_value)]
#[pyfunction]
pub(crate) fn input_value(py: Python<'_>, number: usize) -> PyResult<Py<PyAny>> {
    let pickle = INPUTS.with_borrow(|inputs| match inputs.get(number) {
        Some(Known::Object(object)) => Ok(Ok(object.clone_ref(py))),
        Some(Known::Pickle(pickle)) => Ok(Err(pickle.clone_ref(py))),
        None => Err(PyRuntimeError::new_err(format!(
            "input {number} exists only while the arguments of its task are unpickled, in a worker process"
        ))),
    })?;
    let pickle = match pickle {
        Ok(object) => return Ok(object),
        Err(pickle) => pickle,
    };
    let object = loads(py, pickle.as_bytes(py))?.unbind();
    INPUTS.with_borrow_mut(|inputs| {
        if let Some(known) = inputs.get_mut(number) {
            // What is replaced is a pickle, or this same input: its pickle was unpickled by code of its own.
            *known = Known::Object(object.clone_ref(py));
        }
    });
    Ok(object)
}
