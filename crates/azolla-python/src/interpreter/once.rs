//! Large buffers that several calls have in common: each goes to shared memory once.
//!
//! Calls are pickled one by one, and each is what it was at its submit. So a large array that goes to a hundred calls would
//! be stored a hundred times. A caller that knows better, as joblib does of the calls of one loop, says so.

use azolla_process::place::Stored;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a buffer begins, and its length.
type Name = (usize, usize);

/// The buffers that were stored, by name. Each is kept, so no other gets its name.
type Known = FxHashMap<Name, (PyUntypedBuffer, Arc<Stored>)>;

#[doc = stub!(StoredOnce)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct StoredOnce {
    least: usize,
    known: Mutex<Known>,
}

thread_local! {
    /// What this thread has entered, the latest last.
    static ENTERED: RefCell<Vec<Py<StoredOnce>>> = const { RefCell::new(Vec::new()) };
}

#[pymethods]
impl StoredOnce {
    #[new]
    fn new(least: usize) -> Self {
        Self { least, known: Mutex::default() }
    }

    fn __enter__(this: Py<Self>) {
        ENTERED.with_borrow_mut(|entered| entered.push(this));
    }

    fn __exit__(&self, _class: Py<PyAny>, _error: Py<PyAny>, _traceback: Py<PyAny>) {
        let last = ENTERED.with_borrow_mut(Vec::pop);
        drop(last);
    }

    #[doc = stub!(StoredOnce.clear)]
    fn clear(&self) {
        let known = std::mem::take(&mut *self.known());
        drop(known);
    }
}

impl StoredOnce {
    /// No user code runs while this is locked.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where a buffer was stored, or stores it by `store`.
pub(super) fn stored_once(
    py: Python<'_>,
    buffer: PyUntypedBuffer,
    store: impl FnOnce(&PyUntypedBuffer) -> PyResult<Arc<Stored>>,
) -> PyResult<Arc<Stored>> {
    let here = ENTERED.with_borrow(|entered| entered.last().map(|last| last.clone_ref(py)));
    let Some(here) = here.filter(|here| buffer.len_bytes() >= here.get().least) else {
        return store(&buffer);
    };
    let name = (buffer.buf_ptr() as usize, buffer.len_bytes());
    let known = here.get().known().get(&name).map(|(_, stored)| Arc::clone(stored));
    if let Some(stored) = known {
        return Ok(stored);
    }
    let stored = store(&buffer)?;
    let before = here.get().known().insert(name, (buffer, Arc::clone(&stored)));
    drop(before);
    Ok(stored)
}
