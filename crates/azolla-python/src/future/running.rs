//! A coroutine's task while it runs on the cluster's event loop. The loop reports the task's end here.

use super::callbacks::LoopCallback;
use crate::session::shared::Cluster;
use crate::task::failing::fail;
use crate::task::job::PyJob;
use azolla::runtime::{Job, Listen};
use azolla_core::Outcome;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[doc = stub!(Running)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Running {
    pub(crate) job: Arc<PyJob>,
    pub(crate) cluster: Arc<Cluster>,
    /// The number of the worker whose thread began the task.
    worker: u16,
    since: Instant,
    /// The task's end has been reported. Only the first report counts.
    ended: AtomicBool,
}

impl Running {
    pub(crate) fn new(job: Arc<PyJob>, cluster: Arc<Cluster>, worker: u16) -> Self {
        Self { job, cluster, worker, since: Instant::now(), ended: AtomicBool::new(false) }
    }
}

#[pymethods]
impl Running {
    #[doc = stub!(Running.client)]
    #[getter]
    fn client<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.cluster.client_of(py, self.job.client())
    }

    #[doc = stub!(Running.cluster)]
    #[getter]
    fn cluster(&self) -> u128 {
        self.cluster.number
    }

    #[doc = stub!(Running.key)]
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.job.key(py)
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
        self.cluster.check_process()?;
        if self.ended.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        drop(self.job.finish(result));
        self.cluster.engine.finish_detached(&self.job, false, self.since.elapsed());
        Ok(())
    }

    #[doc = stub!(Running.failed)]
    pub(crate) fn failed(&self, error: Bound<'_, PyAny>) -> PyResult<()> {
        self.cluster.check_process()?;
        if self.ended.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        // An actor's call that is a coroutine has given up its turn, and gets no second one.
        match fail(&self.job, &error, !self.job.is_actor_call) {
            Outcome::Again => self.cluster.engine.again_detached(&self.job),
            _ => self.cluster.engine.finish_detached(&self.job, true, self.since.elapsed()),
        }
        Ok(())
    }

    #[doc = stub!(Running.on_end)]
    fn on_end(&self, r#loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        self.cluster.check_process()?;
        let listener: Arc<dyn Listen> = Arc::new(LoopCallback { r#loop, callback });
        self.job.header().listen(&listener, 0);
        Ok(())
    }
}
