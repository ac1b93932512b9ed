//! The methods of `Future` for Python, and what they share: waiting, results and awaitables.

use super::actor::{class_of, proxy};
use super::callbacks::{Callback, Listening, LoopCallback, begin_callbacks};
use super::handle::{Future, Handle, let_go, raise, value};
use super::wait;
use crate::child::pickled;
use crate::interpreter::forks::forks;
use crate::interpreter::imports::python;
use crate::interpreter::words::key_words;
use crate::session::away::{about, listen, look};
use crate::session::core::Core;
use crate::session::interest::Reach;
use crate::session::reasons::{self, Why};
use crate::task::job::PyJob;
use crate::task::names::{flag, short_repr};
use azolla::runtime::{Job, Listen, Status, Until};
use azolla_process::request::Request;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};

impl Future {
    /// Returns the result of a future that has ended.
    pub(crate) fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.result_of(py, &self.job(py)?)
    }

    /// Returns the result of this future's job, which has ended. For an actor, it returns the proxy that calls the
    /// actor's methods.
    fn result_of<'py>(&self, py: Python<'py>, job: &Arc<PyJob>) -> PyResult<Bound<'py, PyAny>> {
        let value = value(py, job)?;
        match (job.is_actor(), &self.shared) {
            (true, Some(shared)) => proxy(py, &value, job, shared),
            _ => Ok(value),
        }
    }

    /// Returns the result for a task that was submitted with this future. The future may have been released since: the
    /// engine keeps the inputs of a task until the task has run.
    pub(crate) fn input<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let job = match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Handle::Live(job, _) => Some(Arc::clone(job)),
            Handle::Gone(gone) => gone.job.upgrade(),
        };
        match job {
            Some(job) => self.result_of(py, &job),
            None => self.value(py),
        }
    }

    /// Blocks until the task has ended.
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Arc<PyJob>> {
        let job = self.job(py)?;
        let deadline = wait::deadline(timeout)?;
        // The loop is for a retry: a task that failed may be pending again by now.
        while job.header().status() == Status::Pending {
            let guest = self.shared.as_deref().filter(|shared| shared.is_one_of_several());
            wait::wait(py, std::slice::from_ref(&job), Until::All, deadline, guest)?;
            self.job(py)?; // the client may have cancelled it for itself alone
        }
        Ok(job)
    }

    /// Has the future show how its task has ended, if that is known to a client in another process alone.
    fn look(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        let is_away = self.shared.as_ref().is_some_and(|shared| shared.cluster.is_away());
        match is_away.then(|| self.live()).flatten() {
            Some(job) => look(py, std::slice::from_ref(&job)),
            None => Ok(()),
        }
    }

    /// Blocks as `wait` does. A future that was released counts as ended.
    fn wait_if_live(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let shared = self.shared()?;
        shared.check_process()?;
        match self.live().map(|_| self.wait(py, timeout)) {
            Some(Err(error)) if self.live().is_some() || shared.has_left() => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns None, or an awaitable of None where callers await.
    fn ready<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static READY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let none = py.None().into_bound(py);
        match &self.shared {
            Some(shared) if shared.is_async_here(py)? => {
                python(py, &READY, "azolla._run.awaiting", "Ready")?.call1((none,))
            }
            _ => Ok(none),
        }
    }

    /// Where the caller must not block, returns a coroutine that calls `method` once this future has ended.
    fn later<'py>(
        &self,
        this: &Bound<'py, Self>,
        method: &str,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        static LATER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = this.py();
        let Some(shared) = &self.shared else { return Ok(None) };
        if !shared.is_async_here(py)? {
            return Ok(None);
        }
        let later = python(py, &LATER, "azolla._run.awaiting", "later")?;
        later.call1((this, method, timeout)).map(Some)
    }
}

#[pymethods]
impl Future {
    /// Tells Dask that in a graph such an object stands for the result of its key.
    #[classattr]
    fn __dask_future__() -> bool {
        true
    }

    #[new]
    #[pyo3(signature = (key, client=None))]
    pub(crate) fn make(
        py: Python<'_>,
        key: Bound<'_, PyAny>,
        client: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let client = match client {
            Some(client) => client,
            None => python(py, &CURRENT, "azolla._run.current", "current_or_none")?.call0()?,
        };
        if client.is_none() {
            return Ok(Self::with(None, Handle::gone(key.unbind(), None, Weak::new())));
        }
        let core = client.cast::<Core>().map_err(|_| {
            let given = short_repr(&client);
            PyTypeError::new_err(format!("Future(): client must be a Client, not {given}"))
        })?;
        let core = core.get();
        let shared = Arc::clone(core.shared()?);
        shared.check_open(py, "Future()")?;
        Ok(match core.find(&key)? {
            Some(job) => Self::new(py, job, shared),
            None => Self::with(Some(shared), Handle::gone(key.unbind(), Some("lost"), Weak::new())),
        })
    }

    #[doc = stub!(Future.key)]
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.key_object(py)
    }

    #[doc = stub!(Future.client)]
    #[getter]
    fn client<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.shared.as_ref().map(|shared| shared.client_or_stand_in(py)).transpose()
    }

    #[doc = stub!(Future.status)]
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        self.look(py)?;
        self.see_failure();
        Ok(self.last_status())
    }

    #[doc = stub!(Future.type)]
    #[getter]
    fn r#type<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(job) = self.live() else { return Ok(None) };
        match job.outcome() {
            Some(Ok(value)) if job.header().status() == Status::Finished => {
                match value.object(py) {
                    Ok(object) => Ok(Some(class_of(&object)?)),
                    // It stays in its process, or cannot be unpickled.
                    Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            _ => Ok(None),
        }
    }

    #[doc = stub!(Future.done)]
    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        self.look(py)?;
        Ok(self.last_status() != Some("pending"))
    }

    #[doc = stub!(Future.cancelled)]
    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        self.look(py)?;
        Ok(self.last_status() == Some("cancelled"))
    }

    #[doc = stub!(Future.result)]
    #[pyo3(signature = (timeout=None))]
    fn result<'py>(
        this: &Bound<'py, Self>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let future = this.get();
        if let Some(later) = future.later(this, "result", timeout.clone())? {
            return Ok(later);
        }
        future.result_of(py, &future.wait(py, timeout.as_ref())?)
    }

    #[doc = stub!(Future.wait_grown)]
    #[pyo3(signature = (timeout=None))]
    fn wait_grown<'py>(
        this: &Bound<'py, Self>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static WAIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        python(this.py(), &WAIT, "azolla._client.functions", "wait_grown")?.call1((this, timeout))
    }

    #[doc = stub!(Future.exception)]
    #[pyo3(signature = (timeout=None))]
    fn exception<'py>(
        this: &Bound<'py, Self>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let future = this.get();
        if let Some(later) = future.later(this, "exception", timeout.clone())? {
            return Ok(later);
        }
        future.wait_if_live(py, timeout.as_ref())?;
        Ok(future._exception(py))
    }

    #[doc = stub!(Future.traceback)]
    #[pyo3(signature = (timeout=None))]
    fn traceback<'py>(
        this: &Bound<'py, Self>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let future = this.get();
        if let Some(later) = future.later(this, "traceback", timeout.clone())? {
            return Ok(later);
        }
        future.wait_if_live(py, timeout.as_ref())?;
        Ok(future._traceback(py))
    }

    #[doc = stub!(Future.cancel)]
    #[pyo3(
        signature = (reason=None, msg=None, force=None, *, subtree=None, interrupt=None),
        text_signature = "($self, reason=None, msg=None, force=False, *, subtree=False, interrupt=False)"
    )]
    fn cancel<'py>(
        &self,
        py: Python<'py>,
        reason: Option<Bound<'py, PyAny>>,
        msg: Option<Bound<'py, PyAny>>,
        force: Option<Bound<'py, PyAny>>,
        subtree: Option<Bound<'py, PyAny>>,
        interrupt: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = reasons::given(reason, msg)?;
        let force = flag("cancel(): force", force.as_ref(), false)?;
        let subtree = flag("cancel(): subtree", subtree.as_ref(), false)?;
        let interrupt = flag("cancel(): interrupt", interrupt.as_ref(), false)?;
        if interrupt {
            self.check_interrupt(py)?;
        }
        self.drop_task(py, Reach { force, subtree, interrupt }, &why)?;
        self.ready(py)
    }

    #[doc = stub!(Future.retry)]
    fn retry<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self._retry(py)?;
        self.ready(py)
    }

    fn _cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.drop_task(py, Reach::default(), &Why::default())
    }

    fn _retry(&self, py: Python<'_>) -> PyResult<()> {
        let job = self.job(py)?;
        let shared = self.shared()?;
        shared.check_open(py, "retry")?;
        about(py, std::slice::from_ref(&job), Request::Retry)?;
        shared.engine.retry(&job);
        Ok(())
    }

    #[doc = stub!(Future.release)]
    fn release(&self, py: Python<'_>) {
        let Some(job) = self.live() else { return };
        let gone = Handle::gone(job.key(py).unbind(), Some("cancelled"), Arc::downgrade(&job));
        let before = std::mem::replace(
            &mut *self.handle.lock().unwrap_or_else(PoisonError::into_inner),
            gone,
        );
        before.forget_hidden();
        let_go(self.shared.as_deref(), &before);
    }

    #[doc = stub!(Future.add_done_callback)]
    fn add_done_callback(this: &Bound<'_, Self>, r#fn: Bound<'_, PyAny>) -> PyResult<()> {
        let py = this.py();
        let future = this.get();
        let shared = future.shared()?;
        shared.check_process()?;
        listen(py, &future.live())?;
        begin_callbacks(py, shared, &r#fn)?;
        Callback::add(shared, r#fn.unbind(), this)
    }

    #[doc = stub!(Future.__await__)]
    fn __await__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static AWAIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        python(this.py(), &AWAIT, "azolla._run.awaiting", "wait_for")?.call1((this,))
    }

    /// Calls `loop.call_soon_threadsafe(callback)` when the task ends, or at once if it has ended.
    fn _listen(
        &self,
        py: Python<'_>,
        r#loop: Py<PyAny>,
        callback: Py<PyAny>,
    ) -> PyResult<Listening> {
        let job = self.job(py)?;
        listen(py, [&job])?;
        let listener: Arc<dyn Listen> = Arc::new(LoopCallback { r#loop, callback });
        self.shared()?.listen(&job, &listener, 0);
        Ok(Listening { job, listener, forks: forks() })
    }

    /// What `result()` returns or raises, for a task that has ended.
    fn _now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.value(py)
    }

    /// What `exception()` returns, for a future that has ended.
    fn _exception<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.see_failure();
        let job = self.live().filter(|job| job.header().status() == Status::Failed);
        match job.as_ref().and_then(|job| job.outcome()) {
            Some(Err(failure)) => raise(py, &failure).into_value(py).into_bound(py).into_any(),
            _ => py.None().into_bound(py),
        }
    }

    /// What `traceback()` returns, for a future that has ended.
    fn _traceback<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.see_failure();
        let job = self.live();
        match job.as_ref().and_then(|job| job.outcome()) {
            Some(Err(failure)) => {
                let exception = failure.exception(py);
                let traceback =
                    exception.as_ref().and_then(|exception| exception.traceback.as_ref());
                traceback.map_or_else(|| py.None(), |tb| tb.clone_ref(py).into_any()).into_bound(py)
            }
            _ => py.None().into_bound(py),
        }
    }

    /// Shows the collector what the only future on a task keeps alive. Of a finished task that is the result. Of a
    /// failed task it is the exception, and the call that a retry would make. What a task needs that is still to run,
    /// and what several futures keep alive, is not for one future to show.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.handle.try_lock().as_deref() {
            Ok(Handle::Live(job, _)) if job.header().has_one_future() => job.traverse(&visit),
            _ => Ok(()),
        }
    }

    /// A future of the same client on the same task, whichever client is current.
    fn __copy__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, future) = (this.py(), this.get());
        let Some(job) = future.live().filter(|_| this.is_exact_instance_of::<Self>()) else {
            return Ok(this.clone().into_any());
        };
        let shared = future.shared()?;
        shared.check_process()?;
        let job = shared.cluster.one_more(job);
        Ok(Self::object(py, job, Arc::clone(shared))?.into_any())
    }

    fn __deepcopy__<'py>(
        this: &Bound<'py, Self>,
        _memo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::__copy__(this)
    }

    fn __reduce__<'py>(
        this: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>,))> {
        // The pickle names the task by its key alone.
        if let Some(job) = this.get().live() {
            let task = job.away().or_else(|| job.header().id().map(|task| task.to_bits()));
            task.into_iter().for_each(|task| pickled::note(task, Arc::<PyJob>::clone(&job)));
        }
        Ok((this.get_type().into_any(), (this.get().key_object(this.py())?,)))
    }

    /// What a digest of the future is made of. The key stands for the result. An actor changes, so a future on an actor
    /// gets a new number each time.
    fn __dask_tokenize__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(&'static str, Bound<'py, PyAny>, u64)> {
        static ACTORS: AtomicU64 = AtomicU64::new(1);
        let is_actor = self.live().is_some_and(|job| job.is_actor());
        let number = if is_actor { ACTORS.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Ok(("azolla.Future", self.key_object(py)?, number))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let (py, name) = (this.py(), this.get_type().name()?);
        let this = this.get();
        this.see_failure();
        let mut text = format!("<{name}: ");
        let begun = this.live().is_some_and(|job| job.header().is_running());
        text += if begun { "running" } else { this.last_status().unwrap_or("no client") };
        if let Some(name) = this.type_name(py)? {
            text += &format!(", type: {name}");
        }
        if let Some(error) = this.failure_words(py) {
            text += &format!(", exception: {error}");
        }
        text += &format!(", key: {}>", key_words(&this.key_object(py)?));
        Ok(text)
    }

    /// Returns the key, the exception if the task has failed, and the type if it is known, as `repr` shows them.
    fn _words(&self, py: Python<'_>) -> PyResult<(String, Option<String>, Option<String>)> {
        Ok((key_words(&self.key_object(py)?), self.failure_words(py), self.type_name(py)?))
    }

    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static HTML: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        python(this.py(), &HTML, "azolla._base.html", "future")?.call1((this,))
    }
}
