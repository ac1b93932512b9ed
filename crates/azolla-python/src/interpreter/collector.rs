//! Hides futures from Python's garbage collector while the collector could find nothing in them.
//!
//! The collector walks all objects that it knows, again and again, and a program may hold hundreds of thousands of
//! futures. A future on a task that has not ended holds nothing that could lead back to the future. Nor does a future
//! on a number or a text. So the only future on a pending task stays hidden until the task ends with a result that has
//! parts. CPython hides tuples of numbers in the same way (`_PyTuple_MaybeUntrack`).
//!
//! The tuple that holds a call is hidden too, since only the task refers to it. The collector is shown the items of the
//! tuple as if the task held them itself.
//!
//! All this happens with the GIL held, so no two threads do it at once. Only the engine ends tasks without the GIL: those
//! that an input's error has failed. Their futures are listed, and shown before the next collection.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};
use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The only future on a job, while it is hidden from the collector; null otherwise. The lowest bit of the address is set
/// while the job stands in `LISTED`.
#[derive(Default)]
pub(crate) struct Hidden(AtomicPtr<ffi::PyObject>);

/// The addresses of the `Hidden`s whose futures are to be shown. What is listed lives: the future keeps the job, and takes
/// it off the list before it goes.
///
/// Threads lock the list without the GIL, so a fork may find it locked. The child begins another one.
static LISTED: AtomicPtr<Mutex<BTreeSet<usize>>> = AtomicPtr::new(&raw const FIRST as *mut _);
static FIRST: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

fn listed() -> MutexGuard<'static, BTreeSet<usize>> {
    // SAFETY: a list is never dropped.
    let listed = unsafe { &*LISTED.load(Ordering::Acquire) };
    listed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins another list, in the child of a fork. What its parent has listed stays hidden there.
pub(crate) fn begin_list() {
    LISTED.store(Box::into_raw(Box::default()), Ordering::Release);
}

/// Shows the collector the futures on tasks that have failed without the GIL. Called when a collection starts.
pub(crate) fn show_listed(py: Python<'_>) {
    let mut listed = listed();
    for hidden in std::mem::take(&mut *listed) {
        // SAFETY: what is listed lives. Its future cannot go before the GIL is released.
        let hidden = unsafe { &*ptr::with_exposed_provenance::<Hidden>(hidden) };
        track(py, hidden.0.swap(ptr::null_mut(), Ordering::Relaxed));
    }
}

/// Tracks a future that `hide` has untracked; null is none.
fn track(_py: Python<'_>, hidden: *mut ffi::PyObject) {
    let hidden = hidden.map_addr(|address| address & !1);
    if !hidden.is_null() {
        // SAFETY: a thread that drops the object calls `forget` first, with the GIL held, and this thread holds the GIL;
        // so the object is alive. `hide` untracked it, and its address has just been taken out of its place.
        unsafe { ffi::PyObject_GC_Track(hidden.cast()) };
    }
}

impl Hidden {
    /// Hides the only future on a pending task from the collector.
    pub(crate) fn hide(&self, future: &Bound<'_, PyAny>) {
        debug_assert!(has_parts(future), "the collector knows futures");
        // SAFETY: the object is alive, of a type that the collector knows, and the GIL is held.
        unsafe { ffi::PyObject_GC_UnTrack(future.as_ptr().cast()) };
        self.0.store(future.as_ptr(), Ordering::Relaxed);
    }

    /// Forgets the hidden future, which is being dropped. Returns its place's content, null if none was hidden.
    pub(crate) fn forget(&self) -> *mut ffi::PyObject {
        // Mostly none is hidden, and a load costs less than an exchange.
        if self.0.load(Ordering::Relaxed).is_null() {
            return ptr::null_mut();
        }
        let before = self.0.swap(ptr::null_mut(), Ordering::Relaxed);
        if before.addr() & 1 != 0 {
            listed().remove(&ptr::from_ref(self).addr());
        }
        before
    }

    /// Shows the hidden future to the collector again.
    pub(crate) fn show(&self, py: Python<'_>) {
        track(py, self.forget());
    }

    /// Has the hidden future shown before the next collection. Needs no GIL.
    pub(crate) fn list(&self) {
        // The task's outcome is stored before this look, and `hide` stores before it looks at the outcome.
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed).is_null() {
            return;
        }
        let mut listed = listed();
        let mark = |future: *mut ffi::PyObject| {
            (!future.is_null()).then(|| future.map_addr(|address| address | 1))
        };
        if self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mark).is_ok() {
            listed.insert(ptr::from_ref(self).expose_provenance());
        }
    }
}

/// Hides the tuple of a call from the collector. Only the task may refer to the tuple.
pub(crate) fn hide_call(call: &Bound<'_, PyTuple>) {
    // SAFETY: the tuple is alive, of a type that the collector knows, and the GIL is held.
    unsafe { ffi::PyObject_GC_UnTrack(call.as_ptr().cast()) };
}

/// Shows the collector the tuple of a call or, if the tuple is hidden, its items.
pub(crate) fn visit_call(call: &Py<PyTuple>, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    let tuple = call.as_ptr();
    // SAFETY: the collector runs, and so the GIL is held; the tuple is alive.
    let (tracked, refs) =
        unsafe { (ffi::PyObject_GC_IsTracked(tuple) != 0, ffi::Py_REFCNT(tuple) as isize) };
    if tracked {
        return visit.call(call);
    }
    // A worker that runs the call refers to the tuple too. Then the items do not belong to the task alone.
    if refs > 1 {
        return Ok(());
    }
    // SAFETY: as above.
    let length = unsafe { ffi::PyTuple_Size(tuple) };
    for place in 0..length {
        // SAFETY: the place is within the tuple. The tuple lends the item, so `ManuallyDrop` keeps the reference from
        // being given up.
        let item = unsafe {
            let item = ffi::PyTuple_GetItem(tuple, place);
            ManuallyDrop::new(Bound::from_owned_ptr(Python::assume_attached(), item).unbind())
        };
        visit.call(&*item)?;
    }
    Ok(())
}

/// Returns true if the collector may find anything in this object.
pub(crate) fn has_parts(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: an object's type is alive as long as the object.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object.as_ptr())) };
    flags & ffi::Py_TPFLAGS_HAVE_GC != 0
}
