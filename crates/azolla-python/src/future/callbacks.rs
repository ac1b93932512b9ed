//! What is called when a task has ended: a user's callback on the client's callback thread, or a function on an event
//! loop.

use super::handle::Future;
use crate::interpreter::beside::beside;
use crate::interpreter::forks::check_forks;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use crate::task::names::short_repr;
use azolla::runtime::{Job, Listen, Status};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyString};
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// A done-callback on its way to the client's callback thread.
pub(super) struct Callback {
    shared: Arc<Shared>,
    call: Mutex<Option<(Py<PyAny>, Py<Future>)>>,
    adding: Mutex<Adding>,
}

/// How far the call is that adds the callback. Where the task has ended it posts the callback itself, and raises what comes
/// up meanwhile: Ctrl-C, say.
enum Adding {
    By(ThreadId),
    Raises(PyErr),
    Over,
}

/// Starts the client's thread for callbacks, which raises if the system has no thread to give. When a task ends, that
/// would be too late to tell the caller.
pub(super) fn begin_callbacks(
    py: Python<'_>,
    shared: &Shared,
    function: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if !function.is_callable() {
        let message =
            format!("add_done_callback(): fn must be callable, not {}", short_repr(function));
        return Err(PyTypeError::new_err(message));
    }
    refuse_asyncio(function)?;
    if !shared.has_callbacks.load(Ordering::Relaxed) {
        let client = shared.callbacks(py)?;
        if !client.is_none() {
            let thread = client.getattr(intern!(py, "_callback_thread"))?;
            thread.call_method0(intern!(py, "start"))?;
        }
        shared.has_callbacks.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Returns an error for a callback of `asyncio.wait`. That counts ends on its own loop, and this one would come on another
/// thread, so the loop would sleep for ever.
fn refuse_asyncio(function: &Bound<'_, PyAny>) -> PyResult<()> {
    let Ok(function) = function.cast_exact::<PyFunction>() else { return Ok(()) };
    let module = function.getattr(intern!(function.py(), "__module__"))?;
    if module.cast::<PyString>().is_ok_and(|module| module == "asyncio.tasks") {
        return Err(PyTypeError::new_err(
            "asyncio.wait() takes no azolla futures: write `await azolla.wait([...])`, or wrap each \
             in asyncio.ensure_future()",
        ));
    }
    Ok(())
}

impl Callback {
    /// Has `function` called with a future once its task has ended.
    pub(super) fn add(
        shared: &Arc<Shared>,
        function: Py<PyAny>,
        future: &Bound<'_, Future>,
    ) -> PyResult<()> {
        let call = Mutex::new(Some((function, future.clone().unbind())));
        let adding = Mutex::new(Adding::By(thread::current().id()));
        let callback = Arc::new(Self { shared: Arc::clone(shared), call, adding });
        match future.get().live() {
            Some(job) => {
                let listener: Arc<dyn Listen> = Arc::<Self>::clone(&callback);
                shared.listen(&job, &listener, 0);
            }
            None => callback.post(future.py()),
        }
        let adding = mem::replace(&mut *callback.adding(), Adding::Over);
        if let Adding::Raises(error) = adding { Err(error) } else { Ok(()) }
    }

    /// No Python object is touched while this is locked.
    fn adding(&self) -> MutexGuard<'_, Adding> {
        self.adding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, py: Python<'_>) {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((function, future)) = call else { return };
        let posted = self.shared.callbacks(py).and_then(|client| {
            client.call_method1(intern!(py, "_post_callback"), (&function, &future))
        });
        let Err(error) = posted else { return };
        let mut adding = self.adding();
        if matches!(*adding, Adding::By(thread) if thread == thread::current().id()) {
            *adding = Adding::Raises(error);
            return;
        }
        drop(adding);
        error.write_unraisable(py, Some(function.bind(py)));
    }
}

impl Listen for Callback {
    fn settled(&self, _token: usize, _status: Status) {
        beside(|py| self.post(py));
    }
}

/// A function to call on an event loop when a task has ended.
pub(crate) struct LoopCallback {
    pub(crate) r#loop: Py<PyAny>,
    pub(crate) callback: Py<PyAny>,
}

impl Listen for LoopCallback {
    fn settled(&self, _token: usize, _status: Status) {
        beside(|py| {
            // The only possible error is that the loop is closed. Then no coroutine waits on it any more.
            let _ = self.r#loop.call_method1(
                py,
                intern!(py, "call_soon_threadsafe"),
                (&self.callback,),
            );
        });
    }
}

/// A listener on a job. `close` takes it off.
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Listening {
    pub(super) job: Arc<PyJob>,
    pub(super) listener: Arc<dyn Listen>,
    pub(super) forks: u64,
}

#[pymethods]
impl Listening {
    fn close(&self) {
        if check_forks(self.forks).is_ok() {
            self.job.header().unlisten(&self.listener);
        }
    }
}
