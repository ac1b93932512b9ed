//! The exceptions of failed tasks, and the frames that raising adds to them.
//!
//! Raising an exception writes the frames that it passes through into its traceback. Frames hold their variables, and
//! one of these is often the future that the exception came from. That ring leads through the engine, where the garbage
//! collector does not see it. So when a collection starts, the frames are taken off again, from every exception that
//! only its task still holds.

use super::collector::show_listed;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTraceback;
use pyo3::{PyTraverseError, PyVisit};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// An exception with the traceback that it had when the task ended.
pub(crate) struct Exception {
    pub(crate) exception: Py<PyAny>,
    pub(crate) traceback: Option<Py<PyTraceback>>,
    noted: AtomicBool,
}

/// The exception of one task.
///
/// Tasks that let an input's exception through share it at first, since the engine passes it on without the GIL. The
/// garbage collector counts references, so it can look into an exception only where each task has a reference of its
/// own. A shared exception gets that when the collector first comes upon it.
pub(crate) struct Raised {
    /// Engine threads read it without the GIL, so a fork may find it being read, and the child reads it all the same. It is
    /// written with the GIL held.
    now: RwLock<Arc<Exception>>,
    /// The collection in which the collector last came upon this, twice its number, and one more if it was let in.
    seen: AtomicU64,
}

/// The number of collections that have started.
static COLLECTIONS: AtomicU64 = AtomicU64::new(1);

impl Exception {
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

    fn another(&self, py: Python<'_>) -> Self {
        let traceback = self.traceback.as_ref().map(|traceback| traceback.clone_ref(py));
        Self::new(self.exception.clone_ref(py), traceback)
    }
}

impl Raised {
    pub(crate) fn new(exception: Py<PyAny>, traceback: Option<Py<PyTraceback>>) -> Self {
        let exception = Exception::new(exception, traceback);
        Self { now: RwLock::new(Arc::new(exception)), seen: AtomicU64::new(0) }
    }

    pub(crate) fn exception(&self) -> Arc<Exception> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the collector the exception, unless other tasks share it. Then this task gets references of its own, for the
    /// next collection.
    ///
    /// The collector asks several times, and must always get the same answer. Meanwhile another thread may make a further
    /// task share the exception, without the GIL. So the first answer in a collection counts for all of it.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let collection = COLLECTIONS.load(Ordering::Relaxed) << 1;
        let mut seen = self.seen.load(Ordering::Relaxed);
        if seen & !1 != collection {
            seen = collection | u64::from(self.is_its_own());
            self.seen.store(seen, Ordering::Relaxed);
        }
        if seen & 1 == 0 {
            return Ok(());
        }
        let now = self.exception();
        visit.call(&now.exception)?;
        visit.call(&now.traceback)
    }

    /// Returns true if no other task shares the exception. Otherwise makes it so, and returns false.
    fn is_its_own(&self) -> bool {
        let shared = self.exception();
        if Arc::strong_count(&shared) == 2 {
            return true;
        }
        // SAFETY: the collector runs, so this thread is attached.
        let py = unsafe { Python::assume_attached() };
        let own = Arc::new(shared.another(py));
        note(&shared);
        note(&own);
        // If it is being read, a later collection tries again. In a forked child, that may be for ever.
        if let Ok(mut now) = self.now.try_write() {
            *now = own;
        }
        false // no object goes with what is dropped: the other has references to all of them
    }
}

impl Clone for Raised {
    fn clone(&self) -> Self {
        Self { now: RwLock::new(self.exception()), seen: AtomicU64::new(0) }
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
static NOTED: Mutex<Vec<Weak<Exception>>> = Mutex::new(Vec::new());

fn noted() -> MutexGuard<'static, Vec<Weak<Exception>>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that this exception is being raised.
pub(crate) fn note(raised: &Arc<Exception>) {
    if !raised.noted.swap(true, Ordering::Relaxed) {
        let mut noted = noted();
        if noted.len() == noted.capacity() {
            // The program may have switched the collector off. Dropping a weak reference runs no code of Python's.
            noted.retain(|raised| raised.strong_count() > 0);
            let left = noted.len();
            noted.reserve(left);
        }
        noted.push(Arc::downgrade(raised));
    }
}

thread_local! {
    /// True while the garbage collector is at work on this thread.
    static COLLECTING: Cell<bool> = const { Cell::new(false) };
}

/// Returns true while the garbage collector is at work on this thread. What it drops may be in parts: an
/// exception whose arguments are gone crashes the interpreter when it is put into words.
pub(crate) fn is_collecting() -> bool {
    COLLECTING.get()
}

#[doc = stub!(before_collection)]
#[pyfunction]
pub(crate) fn before_collection(py: Python<'_>, phase: &str, _info: &Bound<'_, PyAny>) {
    COLLECTING.set(phase == "start");
    if phase != "start" {
        return;
    }
    COLLECTIONS.fetch_add(1, Ordering::Relaxed);
    show_listed(py);
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
