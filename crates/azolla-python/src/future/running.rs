//! A coroutine's task while it runs on the cluster's event loop. The loop reports the task's end here.

use super::callbacks::LoopCallback;
use super::gather;
use crate::child::aside;
use crate::session::shared::Cluster;
use crate::task::failing::fail;
use crate::task::job::PyJob;
use crate::task::kept;
use azolla::runtime::{Job, Listen};
use azolla_core::{Outcome, TaskId};
use azolla_process::request::Role;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[doc = stub!(Running)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Running {
    /// No Python object is touched while this is locked.
    of: Mutex<Of>,
    pub(crate) cluster: Arc<Cluster>,
    /// The number of the worker whose thread began the task.
    worker: u16,
    since: Instant,
    /// In a worker process: the client is told of the end, in another process.
    away: Option<aside::Coroutine>,
    /// The task's end has been reported. Only the first report counts.
    ended: AtomicBool,
}

/// The task that runs. Contexts refer to it for as long as they live, and an exception's frames often lead to a context.
/// So once the task has ended only its name is left here: the task's exception would be in a ring that leads through
/// the engine, where the garbage collector does not see it.
enum Of {
    Task(Arc<PyJob>),
    Ended { id: Option<TaskId>, key: Py<PyAny>, client: u32 },
}

impl Running {
    pub(crate) fn new(job: Arc<PyJob>, cluster: Arc<Cluster>, worker: u16) -> Self {
        let (of, since) = (Mutex::new(Of::Task(job)), Instant::now());
        Self { of, cluster, worker, since, away: None, ended: AtomicBool::new(false) }
    }

    /// A coroutine in a worker process. `job` is pending here until its task ends.
    pub(crate) fn away(
        job: Arc<PyJob>,
        cluster: Arc<Cluster>,
        worker: u16,
        coroutine: aside::Coroutine,
    ) -> Self {
        Self { away: Some(coroutine), ..Self::new(job, cluster, worker) }
    }

    /// Returns the task's number.
    pub(crate) fn id(&self) -> Option<TaskId> {
        match &*self.locked() {
            Of::Task(job) => job.header().id(),
            Of::Ended { id, .. } => *id,
        }
    }

    fn locked(&self) -> MutexGuard<'_, Of> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the task if it has not ended.
    fn job(&self) -> Option<Arc<PyJob>> {
        match &*self.locked() {
            Of::Task(job) => Some(Arc::clone(job)),
            Of::Ended { .. } => None,
        }
    }

    /// Returns the task to the first caller that reports its end.
    fn ends(&self) -> PyResult<Option<Arc<PyJob>>> {
        self.cluster.check_process()?;
        Ok(if self.ended.swap(true, Ordering::Relaxed) { None } else { self.job() })
    }

    fn let_go(&self, py: Python<'_>, job: &PyJob) {
        let (id, key, client) = (job.header().id(), job.key(py).unbind(), job.client());
        let before = std::mem::replace(&mut *self.locked(), Of::Ended { id, key, client });
        drop(before);
    }
}

#[pymethods]
impl Running {
    #[doc = stub!(Running.client)]
    #[getter]
    fn client<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let client = match &*self.locked() {
            Of::Task(job) => job.client(),
            Of::Ended { client, .. } => *client,
        };
        self.cluster.client_of(py, client)
    }

    #[doc = stub!(Running.cluster)]
    #[getter]
    fn cluster(&self) -> u128 {
        self.cluster.number
    }

    #[doc = stub!(Running.key)]
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let job = match &*self.locked() {
            Of::Task(job) => Arc::clone(job),
            Of::Ended { key, .. } => return key.bind(py).clone(),
        };
        job.key(py)
    }

    /// The number of the task in the client's engine, in a worker process.
    #[getter]
    fn _away(&self) -> Option<u64> {
        self.away.as_ref().map(|coroutine| coroutine.task)
    }

    #[doc = stub!(Running.worker)]
    #[getter]
    fn worker(&self) -> u16 {
        self.worker
    }

    #[doc = stub!(Running.forked)]
    #[getter]
    fn forked(&self) -> bool {
        self.cluster.is_forked()
    }

    #[doc = stub!(Running.done)]
    fn done(&self, result: Bound<'_, PyAny>) -> PyResult<()> {
        let Some(job) = self.ends()? else { return Ok(()) };
        let py = result.py();
        match &self.away {
            Some(coroutine) => {
                aside::returned(&result, coroutine, &job.key_text(py))?;
                kept::let_go(Some(&self.cluster.engine), &job);
            }
            None => {
                drop(job.finish(result));
                self.cluster.engine.finish_detached(&job, false, self.since.elapsed());
            }
        }
        self.let_go(py, &job);
        Ok(())
    }

    #[doc = stub!(Running.failed)]
    pub(crate) fn failed(&self, error: Bound<'_, PyAny>) -> PyResult<()> {
        let Some(job) = self.ends()? else { return Ok(()) };
        let py = error.py();
        if let Some(coroutine) = &self.away {
            aside::raised(&error, coroutine, &job.key_text(py))?;
            kept::let_go(Some(&self.cluster.engine), &job);
            self.let_go(py, &job);
            return Ok(());
        }
        // An actor's call that is a coroutine has given up its turn, and gets no second one.
        match fail(&job, &error, job.role != Role::Call) {
            Outcome::Again => self.cluster.engine.again_detached(&job),
            _ => self.cluster.engine.finish_detached(&job, true, self.since.elapsed()),
        }
        self.let_go(py, &job);
        Ok(())
    }

    #[doc = stub!(Running.awaits)]
    fn awaits(&self, futures: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.cluster.is_forked() {
            return Ok(());
        }
        let Some(job) = self.job() else { return Ok(()) };
        if self.away.is_some() {
            return gather::awaits_away(futures);
        }
        gather::awaits(&self.cluster, &job, futures)
    }

    #[doc = stub!(Running.on_end)]
    fn on_end(&self, r#loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        self.cluster.check_process()?;
        let listener: Arc<dyn Listen> = Arc::new(LoopCallback { r#loop, callback });
        if let Some(job) = self.job() {
            job.header().listen(&listener, 0);
        }
        Ok(())
    }
}
