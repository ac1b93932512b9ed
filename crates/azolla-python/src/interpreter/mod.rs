//! What the extension needs of the Python interpreter itself: forks, imports, the garbage collector,
//! exceptions and the sizes of objects.
//!
//! This folder knows Python, and knows no task of azolla: it imports no other folder of this crate. The engine's
//! observations are here because they show tasks as numbers.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

pub(crate) mod beside;
pub(crate) mod blobs;
pub(crate) mod collector;
pub(crate) mod forks;
pub(crate) mod gil;
pub(crate) mod imports;
pub(crate) mod interrupting;
pub(crate) mod mapped;
pub(crate) mod memory;
pub(crate) mod observed;
pub(crate) mod once;
pub(crate) mod pickles;
pub(crate) mod plain;
pub(crate) mod raised;
pub(crate) mod size;
pub(crate) mod texts;
pub(crate) mod threads;
pub(crate) mod words;

/// Raises ImportError in a sub-interpreter. What the extension keeps of Python's objects, and its threads, belong to the
/// main one.
pub(crate) fn check_main() -> PyResult<()> {
    // SAFETY: this thread is attached, so it has an interpreter.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if id == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "azolla works in the main interpreter alone: its threads and what it keeps of Python's objects belong to that one",
    ))
}
