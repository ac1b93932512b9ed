//! What happens when the system has no memory to give: the work in progress ends, and the next submission raises
//! `MemoryError`.
//!
//! Rust aborts the process when an allocation fails. So the extension keeps a reserve. An allocation that fails takes a part
//! of it and tries again. From then on submissions are refused, until the reserve can be filled again.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

#[global_allocator]
static ALLOCATOR: WithReserve = WithReserve;

/// The system's allocator, with the reserve behind it.
struct WithReserve;

/// A part of the reserve. Nothing is written into it, so it takes addresses, and no memory.
const PART: Layout = match Layout::from_size_align(2 << 20, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("the layout is valid"),
};

const PARTS: usize = 16;

static RESERVE: [AtomicPtr<u8>; PARTS] = [const { AtomicPtr::new(ptr::null_mut()) }; PARTS];

/// A part of the reserve is missing.
static SHORT: AtomicBool = AtomicBool::new(true);

// SAFETY: the memory is the system allocator's, which gets the same layouts.
unsafe impl GlobalAlloc for WithReserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, here and below.
        or_of_reserve(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        or_of_reserve(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above. If it fails, the old memory is as it was.
        or_of_reserve(size, || unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[inline(always)]
fn or_of_reserve(size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let memory = allocate();
    if memory.is_null() { of_reserve(size, &allocate) } else { memory }
}

#[cold]
fn of_reserve(size: usize, allocate: &dyn Fn() -> *mut u8) -> *mut u8 {
    SHORT.store(true, Ordering::Relaxed);
    if size > PARTS * PART.size() {
        return ptr::null_mut();
    }
    for part in &RESERVE {
        let part = part.swap(ptr::null_mut(), Ordering::AcqRel);
        if part.is_null() {
            continue;
        }
        // SAFETY: `fill` has allocated it with this layout, and only this thread has taken it.
        unsafe { System.dealloc(part, PART) };
        let memory = allocate();
        if !memory.is_null() {
            return memory;
        }
    }
    ptr::null_mut()
}

/// Raises `MemoryError` if memory has been short and still is.
#[inline]
pub(crate) fn check() -> PyResult<()> {
    if SHORT.load(Ordering::Relaxed) { fill() } else { Ok(()) }
}

/// Calls `f`. If it panics because Python has no memory for a new object, raises `MemoryError` instead.
#[inline]
pub(crate) fn guarded<T>(py: Python<'_>, f: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        // PyO3 says this where Python has given it no object.
        if said(&*panic).is_some_and(|said| said.contains("PyObject pointer is null")) {
            drop(PyErr::take(py));
            return Err(too_little());
        }
        resume_unwind(panic)
    })
}

/// Returns the text of a panic, if it has one.
pub(crate) fn said(panic: &(dyn Any + Send)) -> Option<&str> {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied())
}

fn too_little() -> PyErr {
    PyMemoryError::new_err("azolla takes no more work: the process has too little memory left")
}

#[cold]
fn fill() -> PyResult<()> {
    // First, so that a thread which takes a part meanwhile is not forgotten.
    SHORT.store(false, Ordering::Relaxed);
    for part in &RESERVE {
        if !part.load(Ordering::Relaxed).is_null() {
            continue;
        }
        // SAFETY: the layout has a size.
        let new = unsafe { System.alloc(PART) };
        if new.is_null() {
            SHORT.store(true, Ordering::Relaxed);
            return Err(too_little());
        }
        if part.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            // SAFETY: it was allocated just now with this layout. Another thread has filled the place.
            unsafe { System.dealloc(new, PART) };
        }
    }
    Ok(())
}
