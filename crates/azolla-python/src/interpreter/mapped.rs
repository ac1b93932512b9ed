//! Large data as Python reads it: copied if it is not that large, else mapped.
//!
//! Whoever gets it may write to it, and nothing else sees that. A read-only array stays one: its pickle says so.

use super::forks::children;
use azolla_process::place::{MAPPED, Memory, Place, Stored};
use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// Some mapped memory, which arrays refer to. The place lasts as long. If this process has forked meanwhile, the child may
/// have the same arrays, and nothing tells when it drops them: then the place lasts as long as this process does.
#[pyclass(frozen, module = "azolla._azolla")]
struct Mapped {
    memory: Box<dyn Memory>,
    place: ManuallyDrop<Arc<Place>>,
    children: u64,
}

#[pymethods]
impl Mapped {
    /// # Safety
    /// Python calls this, with a view to fill in.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        let memory = &slf.get().memory;
        let (start, length) = (memory.start().cast(), memory.length() as ffi::Py_ssize_t);
        // SAFETY: the view refers to this object, which keeps so many bytes mapped, and may be written to.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 0, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.children == children() {
            // SAFETY: nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.place) };
        }
    }
}

/// Returns the data as an object that has it for its buffer, and that may be written to.
pub(super) fn buffer<'py>(py: Python<'py>, stored: &Stored) -> PyResult<Bound<'py, PyAny>> {
    let place = stored.place();
    if stored.length() > MAPPED {
        return mapped(py, place);
    }
    let fill = |bytes: &mut [u8]| place.read(bytes).map_err(no_memory);
    Ok(PyByteArray::new_with(py, stored.length() as usize, fill)?.into_any())
}

/// Returns the data as an object to read.
pub(super) fn bytes<'py>(py: Python<'py>, stored: &Stored) -> PyResult<Bound<'py, PyAny>> {
    let place = stored.place();
    if stored.length() > MAPPED {
        return mapped(py, place);
    }
    let fill = |bytes: &mut [u8]| place.read(bytes).map_err(no_memory);
    Ok(PyBytes::new_with(py, stored.length() as usize, fill)?.into_any())
}

fn mapped(py: Python<'_>, place: Arc<Place>) -> PyResult<Bound<'_, PyAny>> {
    // It may have to be read from a disk.
    let memory = py.detach(|| place.map()).map_err(no_memory)?;
    let mapped =
        Bound::new(py, Mapped { memory, place: ManuallyDrop::new(place), children: children() })?;
    Ok(PyMemoryView::from(&mapped)?.into_any())
}

/// Returns what Python raises for an error of the system about large data: MemoryError, if there is no room for it.
pub(crate) fn no_memory(error: io::Error) -> PyErr {
    use ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    let what = format!("azolla has no memory for large data: {error}");
    match error.kind() {
        OutOfMemory | StorageFull | FileTooLarge | QuotaExceeded => PyMemoryError::new_err(what),
        _ => PyOSError::new_err(format!("azolla cannot reach large data: {error}")),
    }
}
