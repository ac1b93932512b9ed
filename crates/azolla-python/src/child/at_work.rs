//! Which threads of this process are at work on which tasks, for those that look at their stacks, and for those that interrupt
//! them. A thread says once that it is there; what it is at work on it notes for itself in any case.

use super::upstream::Upstream;
use crate::interpreter::interrupting::{Aim, Interrupt, insist, this_thread};
use pyo3::prelude::*;
use std::ffi::c_ulong;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a task that was cancelled may take to come, say behind others of its frame. Then it is taken for one that has ended.
const COMES: Duration = Duration::from_millis(100);

/// The threads for tasks: Python's identifiers of them, and what has their tasks at hand.
static THREADS: Mutex<Vec<(c_ulong, Weak<Upstream>)>> = Mutex::new(Vec::new());

/// This is the thread whose tasks `upstream` has at hand.
pub(super) fn add(upstream: &Arc<Upstream>) {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|(_, upstream)| upstream.strong_count() > 0);
    threads.push((this_thread(), Arc::downgrade(upstream)));
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

/// The task of this number is to stop soon. The calling thread does not hold the GIL.
pub(super) fn interrupt(task: u64) {
    let until = Instant::now() + COMES;
    let _ = Python::try_attach(|py| insist(py, Box::new(Here { task, until: Some(until) })));
}

/// A task that is to stop soon.
struct Here {
    task: u64,
    /// How long it may take to come; `None` once it was seen.
    until: Option<Instant>,
}

impl Interrupt for Here {
    fn is_over(&mut self, py: Python<'_>) -> bool {
        let over = Aim::new(py).map(|aim| self.interrupted(py, &aim));
        over.unwrap_or_else(|error| {
            error.write_unraisable(py, None);
            true
        })
    }
}

impl Here {
    fn interrupted(&mut self, py: Python<'_>, aim: &Aim<'_>) -> bool {
        let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut at_it = threads.into_iter().filter_map(|(thread, upstream)| {
            upstream.upgrade()?.interrupt(py, aim, (thread, self.task))
        });
        match at_it.next() {
            Some(knows) => {
                self.until = None;
                knows
            }
            None => self.until.is_none_or(|until| Instant::now() >= until),
        }
    }
}
