//! `Input(n)`: what stands for the n-th input of a task in the pickle of its arguments.
//!
//! The client puts it there in place of a future. Unpickling it gives the input itself, so nothing has to look for it
//! among the arguments, however deep it lies.

use crate::interpreter::blobs::Packed;
use crate::interpreter::imports::python;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::cell::RefCell;
use std::sync::Arc;

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

/// An input of a frame's tasks. It is unpickled once: as with Dask, the tasks of one process share their inputs.
enum Known {
    Packed(Arc<Packed>),
    Object(Py<PyAny>),
}

/// The inputs of the tasks of a frame. Dropping them may run any code.
#[derive(Default)]
pub(super) struct Inputs(Vec<Known>);

/// The inputs of a frame, and which of them are those of the task at hand.
#[derive(Default)]
struct AtHand {
    frame: Vec<Known>,
    task: Vec<u32>,
}

thread_local! {
    /// The inputs of the task whose arguments this thread unpickles. Empty at all other times.
    static INPUTS: RefCell<AtHand> = const { RefCell::new(AtHand { frame: Vec::new(), task: Vec::new() }) };
}

impl Inputs {
    pub(super) fn new(inputs: Vec<Packed>) -> Self {
        Self(inputs.into_iter().map(|input| Known::Packed(Arc::new(input))).collect())
    }

    /// Unpickles the arguments of a task that has these of the inputs.
    pub(super) fn loads<'py>(
        &mut self,
        py: Python<'py>,
        arguments: &Packed,
        task: Vec<u32>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if task.is_empty() {
            return arguments.object(py);
        }
        let frame = std::mem::take(&mut self.0);
        INPUTS.set(AtHand { frame, task });
        let loaded = arguments.object(py);
        self.0 = INPUTS.take().frame;
        loaded
    }
}

impl AtHand {
    fn input(&mut self, number: usize) -> Option<&mut Known> {
        self.frame.get_mut(*self.task.get(number)? as usize)
    }
}

#[doc = stub!(input_value)]
#[pyfunction]
pub(crate) fn input_value(py: Python<'_>, number: usize) -> PyResult<Py<PyAny>> {
    let found = INPUTS.with_borrow_mut(|inputs| match inputs.input(number) {
        Some(Known::Object(object)) => Ok(Ok(object.clone_ref(py))),
        Some(Known::Packed(packed)) => Ok(Err(Arc::clone(packed))),
        None => Err(PyRuntimeError::new_err(format!(
            "input {number} exists only while the arguments of its task are unpickled, in a worker process"
        ))),
    })?;
    let packed = match found {
        Ok(object) => return Ok(object),
        Err(packed) => packed,
    };
    let object = packed.object(py)?.unbind();
    INPUTS.with_borrow_mut(|inputs| {
        if let Some(known) = inputs.input(number) {
            // What is replaced is the pickle, or this same input: it was unpickled by code of its own.
            *known = Known::Object(object.clone_ref(py));
        }
    });
    Ok(object)
}
