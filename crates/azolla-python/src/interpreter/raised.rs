//! The exceptions of failed tasks, and what clings to them.
//!
//! To raise an exception writes the frames that it passes through into its traceback, and frames
//! hold what their variables hold: often the very future that the exception came from. That ring
//! leads through the engine, where the garbage collector does not see it. So each collection begins
//! with taking the frames off again, from all exceptions that nobody but their task holds any more.

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

    /// What to raise, without the frames that raising it before has added.
    pub(crate) fn error(&self, py: Python<'_>) -> PyErr {
        self.reset_traceback(py);
        PyErr::from_value(self.exception.bind(py).clone())
    }

    fn reset_traceback(&self, py: Python<'_>) {
        let traceback = self.traceback.as_ref().map(|traceback| traceback.bind(py));
        set_traceback(self.exception.bind(py), traceback);
    }
}

/// Sets an exception's traceback as the interpreter does, whatever its class says to attributes.
pub(crate) fn set_traceback(
    exception: &Bound<'_, PyAny>,
    traceback: Option<&Bound<'_, PyTraceback>>,
) {
    let none = exception.py().None();
    let traceback = traceback.map_or(none.as_ptr(), |traceback| traceback.as_ptr());
    // SAFETY: an exception and a traceback or None, which live; and this thread is attached.
    unsafe { ffi::PyException_SetTraceback(exception.as_ptr(), traceback) };
}

/// Those that have been raised since their frames were last taken off.
static NOTED: Mutex<Vec<Weak<Raised>>> = Mutex::new(Vec::new());

fn noted() -> std::sync::MutexGuard<'static, Vec<Weak<Raised>>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes note that this is being raised.
pub(crate) fn note(raised: &Arc<Raised>) {
    if !raised.noted.swap(true, Ordering::Relaxed) {
        noted().push(Arc::downgrade(raised));
    }
}

/// Takes the frames off the exceptions that nobody else holds. One of `gc.callbacks`.
#[pyfunction]
pub(crate) fn before_collection(py: Python<'_>, phase: &str, _info: &Bound<'_, PyAny>) {
    if phase != "start" {
        return;
    }
    // Frames that go take along what they hold, and that may do anything: nothing is locked then.
    let mut taken = std::mem::take(&mut *noted());
    // One that a task lets through is the exception of several.
    let mut holders: HashMap<*mut ffi::PyObject, isize> = HashMap::new();
    for raised in taken.iter().filter_map(Weak::upgrade) {
        *holders.entry(raised.exception.as_ptr()).or_default() += 1;
    }
    taken.retain(|raised| {
        let Some(raised) = raised.upgrade() else { return false };
        let exception = raised.exception.as_ptr();
        // SAFETY: it is an object that lives, and this thread is attached.
        if unsafe { ffi::Py_REFCNT(exception) } > holders.get(&exception).copied().unwrap_or(1) {
            return true;
        }
        raised.noted.store(false, Ordering::Relaxed);
        raised.reset_traceback(py);
        false
    });
    noted().append(&mut taken);
}
