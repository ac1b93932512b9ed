//! What this thread is at work on: its worker with the task that runs, or a cluster's event loop.
//!
//! The thread knows its engine, and no cluster.

use crate::task::job::PyJob;
use azolla::runtime::{Engine, Worker};
use azolla_core::TaskId;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Arc;

thread_local! {
    /// Dropped by [`end`] alone: a thread that the interpreter's end takes down must not come back to
    /// the engine, and through it to Python.
    static WORKER: RefCell<Option<ManuallyDrop<Worker<PyJob>>>> = const { RefCell::new(None) };
    /// The engine whose client's event loop runs on this thread, by address.
    static LOOP_OF: Cell<usize> = const { Cell::new(0) };
}

/// Makes this thread the worker's.
pub(crate) fn begin(worker: Option<Worker<PyJob>>) {
    WORKER.set(worker.map(ManuallyDrop::new));
}

/// Has this thread's worker leave the engine.
pub(crate) fn end() {
    drop(WORKER.take().map(ManuallyDrop::into_inner));
}

/// In the child of a fork this thread is no worker's: its engine must not be touched.
pub(super) fn abandon() {
    let _ = WORKER.try_with(|worker| {
        if let Ok(mut worker) = worker.try_borrow_mut() {
            // Not dropped: that would tell the engine.
            *worker = None;
        }
    });
    LOOP_OF.set(0);
}

/// Calls `f` with this thread's worker, also between two tasks.
pub(crate) fn own<R>(f: impl FnOnce(&mut Worker<PyJob>) -> R) -> PyResult<R> {
    WORKER.with(|worker| match worker.borrow_mut().as_mut() {
        Some(worker) => Ok(f(worker)),
        None => Err(PyRuntimeError::new_err("this thread is no worker's")),
    })
}

/// Calls `f` with the worker whose task runs on this thread: `None` outside tasks.
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&mut Worker<PyJob>>) -> R) -> R {
    let mut f = Some(f);
    let mut call = |worker: Option<&mut Worker<PyJob>>| {
        f.take().expect("it is called once")(worker.filter(|worker| worker.current().is_some()))
    };
    // Already borrowed means that the worker itself is at work on this thread, say dropping an
    // object whose finalizer has led here. That is outside tasks too.
    let inside = WORKER.try_with(|worker| {
        worker.try_borrow_mut().ok().map(|mut worker| call(worker.as_deref_mut()))
    });
    match inside {
        Ok(Some(result)) => result,
        _ => call(None),
    }
}

/// The task that runs on this thread: its id and job.
pub(crate) fn current_task() -> Option<(TaskId, Arc<PyJob>)> {
    with_worker(|worker| {
        let worker = worker?;
        worker.current().zip(worker.job().map(Arc::clone))
    })
}

/// Returns true if a task of this engine runs on this thread.
pub(super) fn is_in_task_of(engine: &Arc<Engine<PyJob>>) -> bool {
    with_worker(|worker| worker.is_some_and(|worker| Arc::ptr_eq(worker.engine(), engine)))
}

/// Returns true if some client's event loop runs on this thread.
pub(crate) fn is_loop_thread() -> bool {
    LOOP_OF.get() != 0
}

/// Returns true if the event loop of this engine's cluster runs on this thread.
pub(super) fn is_loop_of(engine: &Arc<Engine<PyJob>>) -> bool {
    LOOP_OF.get() == Arc::as_ptr(engine).addr()
}

/// Makes this thread the one of the event loop of this engine's cluster.
pub(super) fn set_loop_of(engine: &Arc<Engine<PyJob>>) {
    LOOP_OF.set(Arc::as_ptr(engine).addr());
}
