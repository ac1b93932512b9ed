//! The work of this thread: its worker with the running task, or a cluster's event loop.
//!
//! It is known by its engine; `owner` knows the cluster.

use crate::task::job::PyJob;
use azolla::runtime::{Engine, Worker};
use azolla_core::TaskId;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Arc;

thread_local! {
    /// This thread's worker. Only [`end`] drops it: a thread that the interpreter takes down as it ends must
    /// not come back to the engine, and through it to Python.
    static WORKER: RefCell<Option<ManuallyDrop<Worker<PyJob>>>> = const { RefCell::new(None) };
    /// Says whether the process has died for whose task this thread works.
    static HAS_DIED: RefCell<Option<Box<dyn Fn() -> bool>>> = const { RefCell::new(None) };
    /// The address of the engine whose cluster's event loop runs on this thread; 0 if none does.
    static LOOP_OF: Cell<usize> = const { Cell::new(0) };
    /// True once coroutine tasks have run on this thread, on an event loop of the program.
    static CALLERS_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread the worker's.
pub(crate) fn begin(worker: Option<Worker<PyJob>>) {
    WORKER.set(worker.map(ManuallyDrop::new));
}

/// Has this thread's worker leave the engine.
pub(crate) fn end() {
    drop(WORKER.take().map(ManuallyDrop::into_inner));
}

/// Detaches this thread from its worker in the child of a fork, where the engine must not be touched.
pub(super) fn abandon() {
    let _ = WORKER.try_with(|worker| {
        if let Ok(mut worker) = worker.try_borrow_mut() {
            // `ManuallyDrop` keeps the worker from being dropped, which would tell the engine.
            *worker = None;
        }
    });
    LOOP_OF.set(0);
    CALLERS_LOOP.set(false);
}

/// Lends this thread a worker while it calls `f`: what `f` does counts as done by the worker's task. A wait in it ends once
/// `has_died` returns true. Returns the worker too.
pub(crate) fn lend<R>(
    worker: Worker<PyJob>,
    has_died: impl Fn() -> bool + 'static,
    f: impl FnOnce() -> R,
) -> (Worker<PyJob>, R) {
    begin(Some(worker));
    let result = watching(has_died, f);
    let worker = WORKER.take().map(ManuallyDrop::into_inner);
    (worker.expect("it was lent"), result)
}

/// Calls `f`. A wait in it ends once `is_unwanted` returns true.
pub(crate) fn watching<R>(is_unwanted: impl Fn() -> bool + 'static, f: impl FnOnce() -> R) -> R {
    HAS_DIED.set(Some(Box::new(is_unwanted)));
    let result = f();
    HAS_DIED.set(None);
    result
}

/// Returns true if the process has died for whose task this thread works; `None` if it works for itself.
pub(crate) fn has_died() -> Option<bool> {
    HAS_DIED.try_with(|died| died.borrow().as_ref().map(|died| died())).ok().flatten()
}

/// Calls `f` with this thread's worker, also between two tasks.
pub(crate) fn own<R>(f: impl FnOnce(&mut Worker<PyJob>) -> R) -> PyResult<R> {
    WORKER.with(|worker| match worker.borrow_mut().as_mut() {
        Some(worker) => Ok(f(worker)),
        None => Err(PyRuntimeError::new_err("this thread is no worker's")),
    })
}

/// Drops the tasks of which this thread's worker has let go: their finalizers run here, between two tasks.
pub(crate) fn drop_gone() -> PyResult<()> {
    while let Some(gone) = own(|worker| worker.next_gone())? {
        drop(gone);
    }
    Ok(())
}

/// Calls `f` with the worker whose task runs on this thread, or with `None` outside tasks.
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&mut Worker<PyJob>>) -> R) -> R {
    let mut f = Some(f);
    let mut call = |worker: Option<&mut Worker<PyJob>>| {
        f.take().expect("it is called once")(worker.filter(|worker| worker.current().is_some()))
    };
    // If the worker is borrowed already, its own code runs on this thread: it drops an object, say, whose
    // finalizer has called this. That too is outside tasks.
    let inside = WORKER.try_with(|worker| {
        worker.try_borrow_mut().ok().map(|mut worker| call(worker.as_deref_mut()))
    });
    match inside {
        Ok(Some(result)) => result,
        _ => call(None),
    }
}

/// Returns the id and the job of the task that runs on this thread.
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
    LOOP_OF.get() != 0 || CALLERS_LOOP.get()
}

/// Returns true if the event loop of this engine's cluster runs on this thread.
pub(super) fn is_loop_of(engine: &Arc<Engine<PyJob>>) -> bool {
    LOOP_OF.get() == Arc::as_ptr(engine).addr()
}

/// Makes this thread the one of the event loop of this engine's cluster.
pub(super) fn set_loop_of(engine: &Arc<Engine<PyJob>>) {
    LOOP_OF.set(Arc::as_ptr(engine).addr());
}

/// Notes that coroutine tasks run on this thread, on an event loop of the program.
pub(crate) fn set_callers_loop() {
    CALLERS_LOOP.set(true);
}
