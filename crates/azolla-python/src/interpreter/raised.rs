//! The exceptions of failed tasks, and the frames that raising adds to them.
//!
//! Raising an exception writes the frames that it passes through into its traceback. Frames hold their variables, and
//! one of these is often the future that the exception came from. That ring leads through the engine, where the garbage
//! collector does not see it. So when a collection starts, the frames are taken off again, from every exception that
//! only its task still holds.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTraceback;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// An exception with the traceback that it had when the task ended.
pub(crate) struct Raised {
    pub(crate) exception: Py<PyAny>,
    pub(crate) traceback: Option<Py<PyTraceback>>,
    noted: AtomicBool,
}

impl Raised {
    pub(crate) fn new(exception: Py<PyAny>, traceback: Option<Py<PyTraceback>>) -> Self {
        Self { exception, traceback, noted: AtomicBool::new(false) }
    }

    /// Returns the error to raise, without the frames that raising it earlier has added.
    pub(crate) fn error(&self, py: Python<'_>) -> PyErr {
        self.reset_traceback(py);
        PyErr::from_value(self.exception.bind(py).clone())
    }

    fn reset_traceback(&self, py: Python<'_>) {
        let traceback = self.traceback.as_ref().map(|traceback| traceback.bind(py));
        set_traceback(self.exception.bind(py), traceback);
    }
}

/// Sets an exception's traceback as the interpreter does. The exception's class has no say in it.
pub(crate) fn set_traceback(
    exception: &Bound<'_, PyAny>,
    traceback: Option<&Bound<'_, PyTraceback>>,
) {
    let none = exception.py().None();
    let traceback = traceback.map_or(none.as_ptr(), |traceback| traceback.as_ptr());
    // SAFETY: the exception lives, as does the traceback or None, and this thread is attached.
    unsafe { ffi::PyException_SetTraceback(exception.as_ptr(), traceback) };
}

/// The exceptions that have been raised since their frames were last taken off.
static NOTED: Mutex<Vec<Weak<Raised>>> = Mutex::new(Vec::new());

fn noted() -> std::sync::MutexGuard<'static, Vec<Weak<Raised>>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that this exception is being raised.
pub(crate) fn note(raised: &Arc<Raised>) {
    if !raised.noted.swap(true, Ordering::Relaxed) {
        noted().push(Arc::downgrade(raised));
    }
}

/// Takes the frames off the exceptions that only their tasks hold. One of `gc.callbacks`.
#[pyfunction]
pub(crate) fn before_collection(py: Python<'_>, phase: &str, _info: &Bound<'_, PyAny>) {
    if phase != "start" {
        return;
    }
    // Dropping frames drops what they hold, which may run any code. So nothing is locked meanwhile.
    let mut taken = std::mem::take(&mut *noted());
    // A task that lets an input's exception through has the same exception: several tasks may hold it.
    let mut holders: HashMap<*mut ffi::PyObject, isize> = HashMap::new();
    for raised in taken.iter().filter_map(Weak::upgrade) {
        *holders.entry(raised.exception.as_ptr()).or_default() += 1;
    }
    taken.retain(|raised| {
        let Some(raised) = raised.upgrade() else { return false };
        let exception = raised.exception.as_ptr();
        // SAFETY: the object lives, and this thread is attached.
        if unsafe { ffi::Py_REFCNT(exception) } > holders.get(&exception).copied().unwrap_or(1) {
            return true;
        }
        raised.noted.store(false, Ordering::Relaxed);
        raised.reset_traceback(py);
        false
    });
    noted().append(&mut taken);
}
