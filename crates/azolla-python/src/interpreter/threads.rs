//! The end of a Python thread. Something can be done there, whatever has ended the thread.
//!
//! Python code cannot promise that: an exception may leave it at any point, also in a `finally`.

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use std::thread;

/// Has `f` called on this thread when the thread ends, once its Python code has ended. `f` is not called if the
/// interpreter takes the thread down as it ends.
pub(crate) fn at_end_of_thread(py: Python<'_>, f: fn()) -> PyResult<()> {
    const NAME: &std::ffi::CStr = c"azolla.at_end_of_thread";
    let here = thread::current().id();
    // The interpreter drops a thread's dictionary on the thread itself as the thread ends. When the interpreter ends,
    // the main thread drops those of all other threads.
    let end = move |f: fn(), _| {
        if thread::current().id() == here {
            f();
        }
    };
    let capsule = PyCapsule::new_with_value_and_destructor(py, f, NAME, end)?;
    // SAFETY: this thread is attached. The interpreter lends the dictionary, or gives null if it has none.
    let dict = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyThreadState_GetDict()) };
    let none = || PyRuntimeError::new_err("this thread has no state of Python");
    dict.ok_or_else(none)?.cast::<PyDict>()?.set_item("azolla", capsule)
}
