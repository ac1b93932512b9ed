//! The end of a worker process: its tasks run on while what they use is torn down, so what comes of them counts no more. The
//! client has them run again, if it wants them still.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType, PyTypeMethods};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

static LEAVES: AtomicBool = AtomicBool::new(false);

#[doc = stub!(leave)]
#[pyfunction]
pub(crate) fn leave() {
    LEAVES.store(true, Ordering::Release);
}

/// Returns true if no end of a task is told any more.
pub(super) fn leaves() -> bool {
    LEAVES.load(Ordering::Acquire)
}

/// A thread for tasks begins a task, ends one, or one asks something there: once the process leaves, the thread stops here.
pub(super) fn stop_if_leaving(py: Python<'_>) {
    if leaves() {
        py.detach(|| {
            loop {
                thread::park();
            }
        });
    }
}

#[doc = stub!(open_files)]
#[pyfunction]
pub(crate) fn open_files(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.import(py, "_io", "_IOBase")?;
    let found = PyList::empty(py);
    // No other thread runs until the list has gone again. A tuple that one is making must have no other reference.
    let all = py.import("gc")?.call_method0("get_objects")?.cast_into::<PyList>()?;
    for thing in &all {
        // SAFETY: both are classes, and the GIL is held. Unlike `issubclass`, this asks neither of them.
        if unsafe { ffi::PyType_IsSubtype(thing.get_type().as_type_ptr(), class.as_type_ptr()) }
            != 0
        {
            found.append(thing)?;
        }
    }
    Ok(found)
}
