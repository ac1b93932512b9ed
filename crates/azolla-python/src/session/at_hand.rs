//! Which tasks the threads of this process run, for those that interrupt them.
//!
//! A thread notes its task here when that begins, and takes it back when it ends. It does so with the GIL. So whoever holds the
//! GIL sees what each thread is at, and no thread goes on to another task meanwhile.

use crate::interpreter::interrupting::{Aim, Interrupt, raise_in, take_back, this_thread};
use crate::task::job::PyJob;
use azolla::runtime::Job;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::ffi::c_ulong;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What one thread runs. It is read and changed with the GIL alone.
#[derive(Default)]
pub(crate) struct AtHand {
    /// Python's number of the thread.
    thread: AtomicU64,
    /// The task; null between tasks. It is compared, and never followed.
    job: AtomicPtr<PyJob>,
    /// The thread is to raise an exception in it.
    interrupted: AtomicBool,
    /// How many shields it is under.
    shields: AtomicU32,
}

thread_local! {
    /// What this thread runs, if it is a worker's.
    static HERE: RefCell<Option<Arc<AtHand>>> = const { RefCell::new(None) };
}

/// All that live.
static ALL: Mutex<Vec<Weak<AtHand>>> = Mutex::new(Vec::new());

impl AtHand {
    /// The calling thread is the one.
    pub(crate) fn is_here(self: &Arc<Self>) {
        self.thread.store(this_thread(), Ordering::Relaxed);
        HERE.set(Some(Arc::clone(self)));
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(self));
    }

    /// The thread begins this task.
    #[inline]
    pub(crate) fn begins(&self, job: &Arc<PyJob>) {
        self.job.store(Arc::as_ptr(job).cast_mut(), Ordering::Relaxed);
    }

    /// The task ends: nothing that was sent to it comes up any more.
    #[inline]
    pub(crate) fn ends(&self, py: Python<'_>) {
        self.job.store(ptr::null_mut(), Ordering::Relaxed);
        self.shields.store(0, Ordering::Relaxed);
        if self.interrupted.load(Ordering::Relaxed) {
            self.interrupted.store(false, Ordering::Relaxed);
            take_back(py);
        }
    }
}

/// The task on this thread is under one shield more, or one less.
pub(crate) fn shield(begins: bool) {
    let here = HERE.try_with(|here| here.borrow().clone()).ok().flatten();
    if let Some(here) = here {
        let shields = here.shields.load(Ordering::Relaxed);
        let shields = if begins { shields + 1 } else { shields.saturating_sub(1) };
        here.shields.store(shields, Ordering::Relaxed);
    }
}

/// A task that was cancelled and is to stop soon, if a thread of this process runs it.
pub(crate) struct Running(pub(crate) Weak<PyJob>);

impl Interrupt for Running {
    fn is_over(&mut self, py: Python<'_>) -> bool {
        let over = Aim::new(py).and_then(|aim| self.interrupted(py, &aim));
        over.unwrap_or_else(|error| {
            error.write_unraisable(py, None);
            true
        })
    }
}

impl Running {
    /// From here on no Python code runs, so the threads stand still.
    fn interrupted(&self, py: Python<'_>, aim: &Aim<'_>) -> PyResult<bool> {
        let here = |one: &Weak<AtHand>| {
            let one = one.upgrade()?;
            ptr::eq(one.job.load(Ordering::Relaxed), self.0.as_ptr()).then_some(one)
        };
        let found = ALL.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(here);
        // The thread holds its job, so this reference is not the last one.
        let (Some(at_hand), Some(job)) = (found, self.0.upgrade()) else { return Ok(true) };
        if !job.header().is_interrupted() {
            // A wait has told it, or it has been sent.
            return Ok(!at_hand.interrupted.load(Ordering::Relaxed));
        }
        let is_shielded = at_hand.shields.load(Ordering::Relaxed) > 0;
        let thread = at_hand.thread.load(Ordering::Relaxed) as c_ulong;
        if !is_shielded && raise_in(py, aim, thread)? {
            at_hand.interrupted.store(true, Ordering::Relaxed);
            job.header().take_interrupt();
        }
        Ok(false)
    }
}
