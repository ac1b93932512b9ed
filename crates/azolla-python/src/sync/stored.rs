//! What queues and variables hold: an object as it is, or a task, which they keep alive.

use crate::future::handle::Future;
use crate::future::kept::{given, kept};
use crate::session::shared::{Cluster, Shared};
use crate::task::job::PyJob;
use azolla::runtime::{Job, Status};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;

pub(crate) enum Stored {
    /// A copy of the object that was put in. The flag is true if it holds futures.
    Object(Py<PyAny>, bool),
    Task(Kept),
}

/// A task that the queue or variable keeps, as a future would. It stays when the future that was put in is released,
/// and when that future's client is closed.
pub(crate) struct Kept {
    job: Arc<PyJob>,
    cluster: Arc<Cluster>,
}

impl Stored {
    /// Stores a future of this cluster as its task. A future of another cluster is an object like any other.
    pub(crate) fn new(value: Bound<'_, PyAny>, shared: &Arc<Shared>) -> PyResult<Self> {
        let own = |future: &&Bound<'_, Future>| {
            let of = future.get().shared();
            of.is_ok_and(|of| Arc::ptr_eq(&of.cluster, &shared.cluster))
        };
        match value.cast::<Future>().ok().filter(own) {
            Some(future) => {
                let job = future.get().job(value.py())?;
                if job.header().status() == Status::Cancelled {
                    future.get().value(value.py())?; // raises that it was cancelled
                }
                Ok(Self::Task(Kept {
                    job: shared.cluster.one_more(job),
                    cluster: Arc::clone(&shared.cluster),
                }))
            }
            None => {
                let (copy, futures) = kept(&value, shared)?;
                Ok(Self::Object(copy.unbind(), futures))
            }
        }
    }

    /// Shows the collector what goes when this goes.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Object(object, _) => visit.call(object),
            Self::Task(kept) if kept.job.header().has_one_future() => kept.job.traverse(visit),
            Self::Task(_) => Ok(()),
        }
    }

    /// Returns the object, which no other caller gets. For a task, it makes a new future that belongs to the client `shared`.
    pub(crate) fn taken(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Object(object, false) => Ok(object.clone_ref(py)),
            _ => self.seen(py, shared),
        }
    }

    /// Does what `taken` does where others may get the object too: it is copied.
    pub(crate) fn seen(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Object(object, _) => Ok(given(object.bind(py), shared)?.unbind()),
            Self::Task(Kept { job, cluster }) => {
                let job = cluster.one_more(Arc::clone(job));
                Ok(Py::new(py, Future::new(py, job, shared.for_a_future()))?.into_any())
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.cluster.is_forked() && self.job.header().remove_future() {
            self.cluster.engine.release(self.job.header());
        }
    }
}
