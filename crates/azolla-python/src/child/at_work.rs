//! Which threads of this process are at work on which tasks, for those that look at their stacks. A thread says once that it
//! is there; what it is at work on it notes for itself in any case.

use super::upstream::Upstream;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_ulong;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The threads for tasks: Python's identifiers of them, and what has their tasks at hand.
static THREADS: Mutex<Vec<(c_ulong, Weak<Upstream>)>> = Mutex::new(Vec::new());

/// This is the thread whose tasks `upstream` has at hand.
pub(super) fn add(upstream: &Arc<Upstream>) {
    // SAFETY: this only asks the system for the number of the calling thread.
    let thread = unsafe { ffi::PyThread_get_thread_ident() };
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|(_, upstream)| upstream.strong_count() > 0);
    threads.push((thread, Arc::downgrade(upstream)));
}

#[doc = stub!(tasks_here)]
#[pyfunction]
pub(crate) fn tasks_here() -> Vec<(c_ulong, u64, String)> {
    let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let at_work = |(thread, upstream): (c_ulong, Weak<Upstream>)| {
        let task = upstream.upgrade()?.at_hand()?;
        Some((thread, task.number, task.key.to_string()))
    };
    threads.into_iter().filter_map(at_work).collect()
}
