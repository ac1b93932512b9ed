//! A client's dashboard. It runs on a Python thread, since Python turns errors into text.

use super::cluster::ClusterCore;
use crate::interpreter::forks::{check_forks, forks};
use crate::task::job::PyJob;
use azolla::runtime::{Job, Watch};
use azolla_dashboard::{Handle, Recording, Server};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

#[doc = stub!(Dashboard)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Dashboard {
    server: Mutex<Option<Server>>,
    handle: Handle,
    engine: Arc<azolla::runtime::Engine<PyJob>>,
    recordings: Mutex<Vec<Recording>>,
    forks: u64,
}

/// A failed task and its exception. Where the engine has broken, there is a text in place of the exception.
type Failed<'py> = (u64, Bound<'py, PyAny>);

#[pymethods]
impl Dashboard {
    /// Listens on `address`, or on the next port that is free, or without an address nowhere. `private`: what is only read
    /// needs the token too.
    #[new]
    fn new(
        cluster: &Bound<'_, ClusterCore>,
        address: Option<&str>,
        name: &str,
        private: bool,
    ) -> PyResult<Self> {
        let engine = Arc::clone(&cluster.get().cluster()?.engine);
        let watch: Arc<dyn Watch> = Arc::<azolla::runtime::Engine<PyJob>>::clone(&engine);
        let server = match address {
            Some(address) => Server::bind(address, watch, name),
            None => Server::without_page(watch, name),
        };
        let server = server.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => {
                pyo3::exceptions::PyValueError::new_err(error.to_string())
            }
            _ => PyOSError::new_err(error.to_string()),
        })?;
        let (handle, server) = (server.handle(), Mutex::new(Some(server)));
        if private {
            handle.require_token();
        }
        Ok(Self { server, handle, engine, recordings: Mutex::default(), forks: forks() })
    }

    #[doc = stub!(Dashboard.link)]
    #[getter]
    fn link(&self) -> &str {
        self.handle.link()
    }

    #[doc = stub!(Dashboard.run)]
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Failed<'py>>>> {
        // The server is taken out while it runs, so that no lock is held.
        let Some(mut server) = self.lock(&self.server).take() else { return Ok(None) };
        if !py.detach(|| server.run()) {
            return Ok(None);
        }
        *self.lock(&self.server) = Some(server);
        let failed = self.engine.take_failures();
        let failed = failed.iter().filter_map(|job| {
            let task = job.header().id()?.to_bits();
            Some((task, job.outcome()?.err()?.object(py)))
        });
        Ok(Some(failed.collect()))
    }

    #[doc = stub!(Dashboard.add_error)]
    fn add_error(&self, py: Python<'_>, task: u64, text: &str) {
        if let Some(task) = azolla_core::TaskId::from_bits(task)
            && let Some(info) = Watch::task(&*self.engine, task)
        {
            py.detach(|| self.handle.add_error(&info, text));
        }
    }

    #[doc = stub!(Dashboard.close)]
    fn close(&self) {
        if check_forks(self.forks).is_ok() {
            self.handle.close();
        }
    }

    #[doc = stub!(Dashboard.start_recording)]
    fn start_recording(&self, py: Python<'_>) -> PyResult<()> {
        check_forks(self.forks)?;
        let recording = py.detach(|| self.handle.record());
        self.lock(&self.recordings).push(recording);
        Ok(())
    }

    #[doc = stub!(Dashboard.stop_recording)]
    fn stop_recording(&self) -> PyResult<()> {
        let recording = self.lock(&self.recordings).pop();
        recording.map(drop).ok_or_else(|| PyRuntimeError::new_err("nothing is being recorded"))
    }

    #[doc = stub!(Dashboard.trace)]
    fn trace(&self, py: Python<'_>) -> String {
        py.detach(|| self.handle.trace())
    }

    #[doc = stub!(Dashboard.report)]
    fn report(&self, py: Python<'_>) -> String {
        py.detach(|| self.handle.report())
    }
}

#[doc = stub!(time_left)]
#[pyfunction]
pub(crate) fn time_left(
    py: Python<'_>,
    cluster: &Bound<'_, ClusterCore>,
) -> PyResult<(u64, Option<(f64, f64)>)> {
    let engine = Arc::clone(&cluster.get().cluster()?.engine);
    Ok(py.detach(|| {
        let overview = engine.overview();
        let left = azolla_dashboard::estimate(&overview).seconds;
        (overview.counts.live, left.map(|range| (range.low, range.high)))
    }))
}

impl Dashboard {
    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
