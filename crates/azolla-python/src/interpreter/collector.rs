//! What Python's garbage collector sees of futures: those in which there is something to find.
//!
//! The collector walks all that it knows of again and again, and a program may hold hundreds of
//! thousands of futures. One on a task that has not ended holds nothing that could lead back to it, and
//! neither does one on a number or a text. So the one object that stands for a pending task is kept out
//! of the collector's sight until the task ends with something that has parts, as CPython keeps tuples
//! of numbers out of it (`_PyTuple_MaybeUntrack`).
//!
//! The same goes for the tuples that calls are kept in, of which nobody but the task knows: what is in
//! one is shown as if the task held it itself.
//!
//! All this happens with the GIL held, and so one after the other.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The one object that stands for a job, while it is out of the collector's sight.
#[derive(Default)]
pub(crate) struct Hidden(AtomicPtr<ffi::PyObject>);

impl Hidden {
    /// Takes the only object that stands for a pending task, its future, out of the collector's sight.
    pub(crate) fn hide(&self, future: &Bound<'_, PyAny>) {
        debug_assert!(has_parts(future), "the collector knows futures");
        // SAFETY: the object is alive, of a type that the collector knows, and the GIL is held.
        unsafe { ffi::PyObject_GC_UnTrack(future.as_ptr().cast()) };
        self.0.store(future.as_ptr(), Ordering::Relaxed);
    }

    /// The object goes, or is about to be shown.
    pub(crate) fn forget(&self) -> *mut ffi::PyObject {
        // Mostly there is none, and a look costs less than an exchange.
        if self.0.load(Ordering::Relaxed).is_null() {
            return ptr::null_mut();
        }
        self.0.swap(ptr::null_mut(), Ordering::Relaxed)
    }

    /// Puts it into the collector's sight.
    pub(crate) fn show(&self, _py: Python<'_>) {
        let hidden = self.forget();
        if !hidden.is_null() {
            // SAFETY: whoever drops the object forgets it first, with the GIL held, as it is here; so it
            // is alive. It was taken out of the collector's sight, and nobody else puts it back.
            unsafe { ffi::PyObject_GC_Track(hidden.cast()) };
        }
    }
}

/// Takes the tuple of a call, which must be nobody else's, out of the collector's sight.
pub(crate) fn hide_call(call: &Bound<'_, PyTuple>) {
    // SAFETY: the tuple is alive, of a type that the collector knows, and the GIL is held.
    unsafe { ffi::PyObject_GC_UnTrack(call.as_ptr().cast()) };
}

/// Shows the collector the tuple of a call, or if it does not see that, what is in it.
pub(crate) fn visit_call(call: &Py<PyTuple>, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    let tuple = call.as_ptr();
    // SAFETY: the collector runs, and so the GIL is held; the tuple is alive.
    let (tracked, refs) =
        unsafe { (ffi::PyObject_GC_IsTracked(tuple) != 0, ffi::Py_REFCNT(tuple) as isize) };
    if tracked {
        return visit.call(call);
    }
    // Somebody who runs the call has it too: what is in it is not only the task's.
    if refs > 1 {
        return Ok(());
    }
    // SAFETY: as above.
    let length = unsafe { ffi::PyTuple_Size(tuple) };
    for place in 0..length {
        // SAFETY: the place is within the tuple, which lends the item: it is not let go of here.
        let item = unsafe {
            let item = ffi::PyTuple_GetItem(tuple, place);
            ManuallyDrop::new(Bound::from_owned_ptr(Python::assume_attached(), item).unbind())
        };
        visit.call(&*item)?;
    }
    Ok(())
}

/// Whether the collector may find anything in this object.
pub(crate) fn has_parts(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: an object's type is alive as long as the object.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object.as_ptr())) };
    flags & ffi::Py_TPFLAGS_HAVE_GC != 0
}
