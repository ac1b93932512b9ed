//! What a `Future` is: a handle on a job, together with the client that has the job. The job counts its handles.
//!
//! The handle does not wait, and calls nothing back. The methods that Python calls are in `methods`.

use crate::interpreter::gil::one_more_dropped;
use crate::interpreter::imports::error;
use crate::interpreter::raised::is_collecting;
use crate::interpreter::words::{exception_words, key_words};
use crate::session::interest::{Reach, not_interrupted};
use crate::session::reasons::{self, Why};
use crate::session::shared::Shared;
use crate::task::job::{Failure, PyJob};
use crate::task::packed::Value;
use azolla::runtime::{Job, Status, dropping};
use azolla_process::request::Role;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use std::mem::ManuallyDrop;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak};

#[doc = stub!(Future)]
#[pyclass(frozen, subclass, weakref, generic, module = "azolla")]
pub(crate) struct Future {
    pub(super) shared: Option<Arc<Shared>>,
    // Taken out only when the future is dropped.
    pub(super) handle: ManuallyDrop<Mutex<Handle>>,
}

pub(super) enum Handle {
    /// The job counts this handle. The number is the epoch of the future: by it, the client knows whether it has
    /// cancelled the future for itself alone.
    Live(Arc<PyJob>, u32),
    /// The future was released, or never had a job.
    Gone(Box<Gone>),
}

pub(super) struct Gone {
    pub(super) key: Py<PyAny>,
    /// What `Future.status` returns.
    pub(super) status: Option<&'static str>,
    pub(super) job: Weak<PyJob>,
}

impl Handle {
    pub(super) fn gone(key: Py<PyAny>, status: Option<&'static str>, job: Weak<PyJob>) -> Self {
        Self::Gone(Box::new(Gone { key, status, job }))
    }
}

impl Future {
    /// Makes the future for a job that has counted it already.
    pub(crate) fn new(py: Python<'_>, job: Arc<PyJob>, shared: Arc<Shared>) -> Self {
        // When two futures stand on one job, the collector must see both.
        job.hidden.show(py);
        let handle = if let Some(epoch) = shared.remember(&job) {
            Handle::Live(job, epoch)
        } else {
            // Another thread closed the client just now.
            if job.header().remove_future() {
                shared.engine.release(job.header());
            }
            Handle::gone(job.key(py).unbind(), Some("cancelled"), Arc::downgrade(&job))
        };
        Self::with(Some(shared), handle)
    }

    pub(super) fn with(shared: Option<Arc<Shared>>, handle: Handle) -> Self {
        Self { shared, handle: ManuallyDrop::new(Mutex::new(handle)) }
    }

    /// Makes the Python object for a job, as [`new`](Self::new) makes the future. It hides the object from the
    /// collector while it is the only future on a pending job.
    pub(crate) fn object(
        py: Python<'_>,
        job: Arc<PyJob>,
        shared: Arc<Shared>,
    ) -> PyResult<Bound<'_, Self>> {
        let object = Bound::new(py, Self::new(py, Arc::clone(&job), shared))?;
        if job.header().has_one_future() && job.header().status() == Status::Pending {
            job.hidden.hide(object.as_any());
            if job.has_parts {
                // An input's error may have failed the task just now, without the GIL.
                fence(Ordering::SeqCst);
                if job.outcome().is_some() {
                    job.hidden.show(py);
                }
            }
        }
        Ok(object)
    }

    pub(crate) fn shared(&self) -> PyResult<&Arc<Shared>> {
        self.shared.as_ref().ok_or_else(|| {
            PyValueError::new_err(
                "this future was unpickled where there was no client: make a Client first, then unpickle it",
            )
        })
    }

    /// Returns the job, unless the future was released or its client has left the cluster.
    pub(crate) fn live(&self) -> Option<Arc<PyJob>> {
        if self.shared.as_ref().is_some_and(|shared| shared.has_left()) {
            return None;
        }
        match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Handle::Live(job, epoch) if !self.was_dropped(job, *epoch) => Some(Arc::clone(job)),
            _ => None,
        }
    }

    /// Returns the job. A future that was released raises `FutureCancelledError`.
    pub(crate) fn job(&self, py: Python<'_>) -> PyResult<Arc<PyJob>> {
        self.shared()?.check_process()?;
        self.live().ok_or_else(|| {
            if let Some(job) = self.dropped() {
                return reasons::cancelled(py, &job, "this future was cancelled");
            }
            let key = self.key_object(py).map_or_else(|_| String::new(), |key| key_words(&key));
            if self.shared.as_ref().is_some_and(|shared| shared.has_left()) {
                let message = format!("{key}: the client is closed, and its futures with it");
                return error(py, "CancelledByCloseError", &message);
            }
            error(py, "FutureCancelledError", &format!("{key}: {}", self.why_gone()))
        })
    }

    /// Returns what became of a future that has no job.
    fn why_gone(&self) -> &'static str {
        match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Handle::Gone(gone) if gone.status == Some("lost") => {
                "the client has no task of this key: it is lost, or never was"
            }
            _ => "this future was released",
        }
    }

    /// Returns the job of a future that this client has cancelled for itself alone.
    fn dropped(&self) -> Option<Arc<PyJob>> {
        if self.shared.as_ref().is_some_and(|shared| shared.has_left()) {
            return None;
        }
        match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Handle::Live(job, _) => Some(Arc::clone(job)),
            Handle::Gone(_) => None,
        }
    }

    /// Cancels the task for this client.
    pub(super) fn drop_task(&self, py: Python<'_>, reach: Reach, why: &Why) -> PyResult<()> {
        if let (Some(shared), Some(job)) = (&self.shared, self.live()) {
            shared.check_process()?;
            shared.cancel_because(py, &job, reach, why)?;
        }
        Ok(())
    }

    /// Returns an error if the task is not to be interrupted.
    pub(crate) fn check_interrupt(&self, py: Python<'_>) -> PyResult<()> {
        match self.live() {
            Some(job) if job.role == Role::Call => {
                Err(PyValueError::new_err(not_interrupted(&job.key_text(py))))
            }
            _ => Ok(()),
        }
    }

    /// Returns why the task was cancelled, if the program gave a reason.
    pub(super) fn why_cancelled(&self, py: Python<'_>) -> Option<Arc<Why>> {
        match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Handle::Live(job, _) => reasons::why(py, job),
            Handle::Gone(_) => None,
        }
    }

    /// Returns true if the future was released, or was lost from the beginning. In the child of a fork it raises.
    pub(crate) fn is_released(&self) -> PyResult<bool> {
        self.shared()?.check_process()?;
        Ok(self.live().is_none())
    }

    /// Returns true if the task has failed or was cancelled, or the future was released. A caller sees the failure by this.
    /// An error for each of very many futures would take long to make.
    pub(super) fn has_no_result(&self) -> PyResult<bool> {
        self.see_failure();
        Ok(self.is_released()? || matches!(self.last_status(), Some("error" | "cancelled")))
    }

    /// Returns true if the client has cancelled this future, and the task goes on for other clients.
    fn was_dropped(&self, job: &Arc<PyJob>, epoch: u32) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.has_dropped(job, epoch))
    }

    pub(crate) fn key_object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let job = match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Handle::Live(job, _) => Arc::clone(job),
            Handle::Gone(gone) => return Ok(gone.key.bind(py).clone()),
        };
        Ok(job.key(py))
    }

    /// Returns the exception of a failed task in words, cut short.
    pub(super) fn failure_words(&self, py: Python<'_>) -> Option<String> {
        let job = self.live().filter(|job| job.header().status() == Status::Failed)?;
        let failure = job.outcome()?.err()?;
        match &*failure {
            Failure::Told(_, why) => Some(why.to_string()),
            failure => {
                failure.exception(py).map(|failed| exception_words(failed.exception.bind(py)))
            }
        }
    }

    /// Returns the name of the result's type, if the result is an object of this process. A pickle is not read for this: that
    /// may run the user's code.
    pub(super) fn type_name(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let job = self.live().filter(|job| job.header().status() == Status::Finished);
        let Some(Ok(value)) = job.as_ref().and_then(|job| job.outcome()) else { return Ok(None) };
        let Some(object) = value.here() else { return Ok(None) };
        let name = object.bind(py).get_type().getattr(intern!(py, "__qualname__"))?;
        Ok(Some(name.to_string()))
    }

    /// Returns an error in the child of a fork, where a program that polls would poll for ever.
    pub(super) fn check_process(&self) -> PyResult<()> {
        self.shared.as_ref().map_or(Ok(()), |shared| shared.check_process())
    }

    /// Records that a caller sees that the task has failed, if it has.
    pub(super) fn see_failure(&self) {
        if let Some(job) = self.live()
            && job.header().status() == Status::Failed
        {
            job.header().see_failure();
        }
    }

    /// Returns the status. In a forked child, that is the status at the fork.
    pub(super) fn last_status(&self) -> Option<&'static str> {
        if self.shared.as_ref().is_some_and(|shared| shared.has_left()) {
            return Some("cancelled");
        }
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        match &*handle {
            Handle::Gone(gone) => gone.status,
            Handle::Live(job, epoch) if self.was_dropped(job, *epoch) => Some("cancelled"),
            Handle::Live(job, _) => Some(match job.header().status() {
                Status::Pending => "pending",
                Status::Finished => "finished",
                Status::Failed => "error",
                Status::Cancelled => "cancelled",
            }),
        }
    }
}

impl Handle {
    /// Has the job forget the future's object, which the collector does not see. The object must be alive still.
    pub(super) fn forget_hidden(&self) {
        if let Self::Live(job, _) = self {
            job.hidden.forget();
        }
    }
}

/// Gives up one handle on its job.
pub(super) fn let_go(shared: Option<&Shared>, handle: &Handle) {
    if let (Some(shared), Handle::Live(job, epoch)) = (shared, handle) {
        shared.let_go(job, *epoch);
    }
}

impl Drop for Future {
    fn drop(&mut self) {
        if is_collecting() {
            // The collector drops the exception too, if it was the future's alone.
            self.see_failure();
        }
        // SAFETY: the future is being dropped, so nothing looks at its handle again.
        let handle = unsafe { ManuallyDrop::take(&mut self.handle) };
        let handle = handle.into_inner().unwrap_or_else(PoisonError::into_inner);
        let shared = self.shared.take();
        // Now, since the object goes when this returns, and what follows may have to wait.
        handle.forget_hidden();
        // The result may hold the last future on another task, and so on.
        dropping(move || {
            let_go(shared.as_deref(), &handle);
            drop(handle);
        });
        one_more_dropped();
    }
}

/// Returns the result of a job that has ended, or raises its error.
pub(crate) fn value<'py>(py: Python<'py>, job: &PyJob) -> PyResult<Bound<'py, PyAny>> {
    match (job.header().status(), job.outcome()) {
        (Status::Finished, Some(Ok(value))) => {
            value.object(py).map_err(|error| noted(py, error, job, &value))
        }
        (Status::Failed, Some(Err(failure))) => {
            job.header().see_failure();
            Err(raise(py, &failure))
        }
        (Status::Pending, _) => Err(PyValueError::new_err("this future has not ended")),
        _ => Err(reasons::cancelled(py, job, "the task was cancelled")),
    }
}

/// Returns the error of a result's unpickling, with a note of the task. What stands for a result has named it.
fn noted(py: Python<'_>, error: PyErr, job: &PyJob, value: &Value) -> PyErr {
    if !matches!(value, Value::Stays(_)) {
        let note = format!("this happened when the result of {} was unpickled", job.key_text(py));
        let _ = error.value(py).call_method1(intern!(py, "add_note"), (note,));
    }
    error
}

/// Returns the exception object that the task raised, in the state that it had when the task ended.
pub(crate) fn raise(py: Python<'_>, failure: &Failure) -> PyErr {
    // The traceback stays as long as it was, however often the exception is raised.
    if let Some(exception) = failure.exception(py) {
        crate::interpreter::raised::note(&exception);
    }
    failure.error(py)
}
