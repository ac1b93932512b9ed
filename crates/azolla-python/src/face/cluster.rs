//! The engine's half of `LocalCluster`. This file starts the engine, and ends it.

use crate::child::upstream;
use crate::interpreter::imports;
use crate::runner::Start;
use crate::runner::processes::{self, Reins};
use crate::runner::records::Records;
use crate::runner::threads::Threads;
use crate::session::away;
use crate::session::gone;
use crate::session::shared::Cluster;
use crate::submit::placing::amounts;
use crate::task::job::PyJob;
use azolla::runtime::{Demand, Engine, Groups, NoGroup, Processes, Runner, Watch, Worker};
use azolla_core::GroupId;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::io;
use std::sync::{Arc, OnceLock, PoisonError};

#[doc = stub!(ClusterCore)]
#[pyclass(frozen, subclass, weakref, module = "azolla._azolla")]
pub(crate) struct ClusterCore {
    cluster: OnceLock<Arc<Cluster>>,
    /// The worker processes, if tasks run in such.
    reins: OnceLock<Reins>,
    records: Arc<Records>,
}

/// What is shown of a worker process.
type Figures = (u16, Option<u32>, u32, u64, u64);

/// Returns true if the cluster was closed, and neither was dropped nor broke down.
fn is_closed(py: Python<'_>, cluster: &Cluster) -> bool {
    let engine = &cluster.engine;
    engine.is_closing() && !engine.is_broken() && !gone::is_gone(py, engine.number())
}

fn not_started(py: Python<'_>, what: &str, error: io::Error) -> PyErr {
    let message = format!("a cluster's {what} could not be started: {error}");
    match error.into_inner().map(|error| error.downcast::<PyErr>()) {
        // Ctrl-C is raised as itself: it says nothing about why threads could not be started.
        Some(Ok(error)) if !error.is_instance_of::<PyException>(py) => *error,
        _ => PyRuntimeError::new_err(message),
    }
}

/// The runner of an engine without slots: its tasks run elsewhere.
struct NoSlots;

impl Runner<PyJob> for NoSlots {
    fn start(&self, _: Worker<PyJob>) -> io::Result<()> {
        Err(io::Error::other("this process is a worker: its tasks are run by its client's engine"))
    }
}

fn groups(workers: &[(usize, Bound<'_, PyAny>)]) -> PyResult<Groups> {
    let described = workers.iter().map(|(threads, resources)| Ok((*threads, amounts(resources)?)));
    let described = described.collect::<PyResult<Vec<_>>>()?;
    Groups::new(described.iter().map(|(threads, resources)| {
        (*threads, resources.iter().map(|(name, amount)| (name.as_str(), *amount)))
    }))
    .map_err(|error| PyValueError::new_err(error.to_string()))
}

impl ClusterCore {
    pub(crate) fn cluster(&self) -> PyResult<&Arc<Cluster>> {
        self.cluster.get().ok_or_else(|| PyRuntimeError::new_err("this cluster was never started"))
    }

    /// Its worker processes.
    ///
    /// # Errors
    /// If this cluster has none, or this process is a fork of the one that has.
    pub(crate) fn reins(&self) -> PyResult<&Reins> {
        self.cluster()?.check_process()?;
        let none = || PyRuntimeError::new_err("this cluster has no worker processes here");
        self.reins.get().ok_or_else(none)
    }
}

#[pymethods]
impl ClusterCore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { cluster: OnceLock::new(), reins: OnceLock::new(), records: Arc::default() }
    }

    /// Starts the engine. `workers` gives the number of threads and the amounts of resources of each worker.
    /// `start_thread` takes a thread's worker and starts the thread; for worker processes, `process` says how one is
    /// started. `this` is a weak reference to the cluster, and `number` is random.
    fn _start(
        &self,
        py: Python<'_>,
        workers: Vec<(usize, Bound<'_, PyAny>)>,
        start_thread: Py<PyAny>,
        process: Option<Start>,
        this: Py<PyAny>,
        number: u128,
    ) -> PyResult<()> {
        let late = Arc::new(OnceLock::new());
        let interrupt = Arc::default();
        let groups = groups(&workers)?;
        let slots = groups.slots();
        let mut store = None;
        let runner: Box<dyn Runner<PyJob>> = match process {
            Some(start) => {
                let threads: Vec<_> = workers.iter().map(|(threads, _)| *threads).collect();
                let started = processes::start(start, &threads, number, &late, &self.records)
                    .map_err(|error| not_started(py, "worker processes", error))?;
                let _ = self.reins.set(started.reins);
                store = Some(started.store);
                started.runner
            }
            None => Box::new(Threads {
                start: start_thread,
                owner: Arc::clone(&late),
                interrupt: Arc::clone(&interrupt),
            }),
        };
        let engine = Engine::start(groups, runner)
            .map_err(|error| not_started(py, &format!("{slots} threads"), error))?;
        let interrupt = interrupt.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(interrupt) = interrupt {
            engine.close();
            return Err(interrupt);
        }
        crate::task::key::set_veil(py, engine.number(), number);
        let cluster = Cluster::new(engine, this, number, store);
        let _ = late.set(Arc::downgrade(&cluster));
        self.cluster
            .set(cluster)
            .map_err(|_| PyRuntimeError::new_err("this cluster is started already"))
    }

    /// Makes this the cluster of which this process is a worker. `this` and `number` as above.
    fn _start_away(&self, this: Py<PyAny>, number: u128) -> PyResult<()> {
        let none = Groups::new(std::iter::empty::<(usize, [(&str, f64); 0])>());
        let none = none.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let engine = Engine::start(none, Box::new(NoSlots))?;
        let store = upstream::store()?;
        let cluster = Cluster::away(engine, this, number, store);
        away::set_cluster(&cluster);
        self.cluster
            .set(cluster)
            .map_err(|_| PyRuntimeError::new_err("this cluster is started already"))
    }

    /// Cancels the tasks that have not ended, and begins nothing any more. Worker processes stay. Returns at once.
    fn _close_engine(&self, py: Python<'_>) {
        if let Some(cluster) = self.cluster.get()
            && !cluster.is_forked()
        {
            let engine = &cluster.engine;
            gone::set_closed(py, engine.number());
            py.detach(|| engine.close());
        }
    }

    /// Cancels the tasks that have not ended, tells the threads to end, and ends the worker processes. Returns at once.
    fn _close(&self, py: Python<'_>) {
        self._close_engine(py);
        if let Some(reins) = self.reins.get()
            && self.cluster.get().is_some_and(|cluster| !cluster.is_forked())
        {
            reins.close();
        }
    }

    /// Returns what is known of each worker process: its number; the number by which the system knows it; how many times it
    /// was started; the bytes of memory that it takes itself, and those that it has stored. Then the bytes that have moved to a
    /// disk.
    fn _figures(&self) -> (Vec<Figures>, u64) {
        let Some(cluster) = self.cluster.get().filter(|cluster| !cluster.is_forked()) else {
            return Default::default();
        };
        let Processes { each, on_disk } = cluster.engine.runner().processes();
        let each = each.iter().map(|one| (one.number, one.id, one.starts, one.memory, one.stored));
        (each.collect(), on_disk)
    }

    /// Adds a worker process of so many threads with these amounts of resources. Returns its number.
    fn _add(&self, py: Python<'_>, threads: usize, resources: &Bound<'_, PyAny>) -> PyResult<u16> {
        let (reins, cluster, amounts) = (self.reins()?, self.cluster()?, amounts(resources)?);
        let added = py.detach(|| reins.add(&cluster.engine, threads, &amounts));
        added.map_err(|error| match error {
            NoGroup::Closing => imports::error(py, "ClosedClientError", &error.to_string()),
            NoGroup::BadAmount(_) | NoGroup::TooMany => PyValueError::new_err(error.to_string()),
            NoGroup::NoThread(_) => PyRuntimeError::new_err(error.to_string()),
        })
    }

    /// Returns how many workers there have been: the number of the next one.
    fn _places(&self) -> PyResult<usize> {
        Ok(self.cluster()?.engine.groups().len())
    }

    /// Has a worker process get no task any more. It is not replaced when it has ended.
    fn _retire(&self, py: Python<'_>, worker: u16) -> PyResult<()> {
        let (reins, cluster) = (self.reins()?, self.cluster()?);
        py.detach(|| reins.retire(&cluster.engine, worker));
        Ok(())
    }

    /// Returns for each of these worker processes whether it may get tasks: it is there, and fitted out.
    fn _ready(&self, workers: Vec<u16>) -> PyResult<Vec<bool>> {
        let reins = self.reins()?;
        Ok(workers.iter().map(|worker| reins.is_ready(*worker)).collect())
    }

    /// Returns for each of these worker processes whether it could not be started.
    fn _failed(&self, workers: Vec<u16>) -> PyResult<Vec<bool>> {
        let reins = self.reins()?;
        Ok(workers.iter().map(|worker| reins.has_failed(*worker)).collect())
    }

    /// Returns how many tasks have begun in each of these worker processes and have not ended.
    fn _at_work(&self, py: Python<'_>, workers: Vec<u16>) -> PyResult<Vec<usize>> {
        let (reins, engine) = (self.reins()?, &self.cluster()?.engine);
        Ok(py.detach(|| workers.iter().map(|worker| reins.at_work(engine, *worker)).collect()))
    }

    /// Returns how many actors and results that cannot be pickled each of these worker processes has, or how many actors it will
    /// have if those are more.
    fn _staying(&self, py: Python<'_>, workers: Vec<u16>) -> PyResult<Vec<usize>> {
        let (reins, sent) = (self.reins()?, self.cluster()?.sent.as_ref());
        let there = py.detach(|| reins.stays());
        let each = workers.iter().map(|worker| {
            let there = there.get(usize::from(*worker)).copied().unwrap_or(0);
            sent.map_or(0, |it| it.actors.of(GroupId(*worker))).max(there)
        });
        Ok(each.collect())
    }

    /// Returns true if a worker process that was retired has no task any more.
    fn _is_idle(&self, py: Python<'_>, worker: u16) -> PyResult<bool> {
        let (reins, engine) = (self.reins()?, &self.cluster()?.engine);
        Ok(py.detach(|| reins.is_idle(engine, worker)))
    }

    /// Returns how many tasks are ready or have begun, and how many seconds they take if they take as long as those of their
    /// functions have; `unknown` is what a task takes of a function of which none has ended.
    fn _work(&self, py: Python<'_>, unknown: f64) -> PyResult<(usize, f64)> {
        let engine = &self.cluster()?.engine;
        let Demand { tasks, seconds } = py.detach(|| engine.overview().demand(unknown));
        Ok((tasks, seconds))
    }

    /// Has a worker process tried again that could not be started.
    fn _start_again(&self, worker: usize) -> PyResult<()> {
        self.reins().map(|reins| reins.start_again(worker))
    }

    /// Worker processes that start from now on do not get the order of this number.
    fn _take_off(&self, gear: u64) -> PyResult<()> {
        self.reins().map(|reins| reins.take_off(gear))
    }

    /// Begins to record the runs in worker processes, or ends that. The cluster's recorder gets them.
    fn _record(&self, on: bool) {
        self.records.set(on);
    }

    /// Records that the cluster ends because nothing refers to the client any more that has made it.
    fn _set_gone(&self, py: Python<'_>) {
        if let Some(cluster) = self.cluster.get()
            && !cluster.is_forked()
        {
            gone::set_gone(py, cluster.engine.number());
        }
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.cluster.get().is_none_or(|cluster| cluster.is_forked() || cluster.engine.is_closing())
    }

    #[getter]
    fn _forked(&self) -> bool {
        self.cluster.get().is_some_and(|cluster| cluster.is_forked())
    }

    /// Raises an error if no work may be submitted. `what` names the operation in the error.
    fn _check_open(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        let cluster = self.cluster()?;
        cluster.check_process()?;
        cluster.check_open(py, what).map_err(|error| match is_closed(py, cluster) {
            true => {
                imports::error(py, "ClosedClientError", &format!("{what}: the cluster is closed"))
            }
            false => error,
        })
    }

    /// Returns the number of the worker whose thread has this number; None if there was no such thread.
    fn _worker_number(&self, thread: u32) -> PyResult<Option<u16>> {
        let cluster = self.cluster()?;
        cluster.check_process()?;
        Ok(cluster.engine.group_of(thread).map(|group| group.0))
    }

    /// Marks the calling thread as the one that runs this cluster's event loop.
    fn _set_loop_thread(&self) -> PyResult<()> {
        self.cluster()?.set_loop_thread();
        Ok(())
    }
}
