//! The engine's half of `Client`.

use super::cluster::ClusterCore;
use crate::future::callbacks::LoopCallback;
use crate::future::gather::{Errors, Gathering, gather, jobs, raise_first_failure, results};
use crate::future::handle::Future;
use crate::future::kept::{given, kept};
use crate::future::nested::{copied, copied_as_it_is, futures_in};
use crate::interpreter::gil::Steps;
use crate::interpreter::memory;
use crate::interpreter::observed::PyObservations;
use crate::interpreter::texts::text_bytes;
use crate::session::away::{about, listen};
use crate::session::core::Core;
use crate::session::interest::Reach;
use crate::session::reasons;
use crate::session::shared::Shared;
use crate::submit::away;
use crate::submit::map::map;
use crate::submit::options::Options;
use crate::submit::packing;
use crate::task::job::PyJob;
use crate::task::key::{parse, pure};
use crate::task::named::Name;
use crate::task::names::flag;
use crate::task::packed::Value;
use azolla::runtime::Job;
use azolla_process::request::Request;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::{Arc, OnceLock};

pub(crate) fn is_true(option: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
    option.map_or(Ok(false), |option| option.is_truthy())
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { shared: OnceLock::new() }
    }

    /// Makes this a client of a cluster. `this` is a weak reference to the client. With `guest` the cluster goes on
    /// when the client is closed.
    fn _join(
        &self,
        py: Python<'_>,
        cluster: &ClusterCore,
        this: Py<PyAny>,
        guest: bool,
    ) -> PyResult<()> {
        let shared = Shared::new(py, cluster.cluster()?, this, guest);
        self.shared
            .set(shared)
            .map_err(|_| PyRuntimeError::new_err("this client is started already"))
    }

    /// Cancels the tasks of these futures for this client. Futures of other clusters stay as they are.
    fn _cancel<'py>(
        &self,
        py: Python<'py>,
        futures: Vec<Bound<'py, Future>>,
        reach: (bool, bool, bool),
        reason: Option<Bound<'py, PyAny>>,
        msg: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let (force, subtree, interrupt) = reach;
        let reach = Reach { force, subtree, interrupt };
        let why = reasons::given(reason, msg)?;
        let shared = self.shared()?;
        shared.check_process()?;
        let mut steps = Steps::default();
        if interrupt {
            futures.iter().try_for_each(|future| future.get().check_interrupt(py))?;
        }
        for future in futures {
            steps.step(py)?;
            let future = future.get();
            if future.shared().is_ok_and(|of| Arc::ptr_eq(&of.engine, &shared.engine))
                && let Some(job) = future.live()
            {
                shared.cancel_because(py, &job, reach, &why)?;
            }
        }
        Ok(())
    }

    /// Has the client live as long as its futures. `afterlife` goes with the last of those made outside tasks, and `in_tasks`
    /// with the last of those that a guest makes in tasks.
    fn _leave_behind(&self, afterlife: Option<Py<PyAny>>, in_tasks: Py<PyAny>) {
        if let Some(shared) = self.shared.get() {
            shared.leave_behind(afterlife, in_tasks);
        }
    }

    /// Closes a guest: its futures hold nothing any more, and its cluster goes on.
    fn _leave(&self, py: Python<'_>) {
        if let Some(shared) = self.shared.get()
            && !shared.is_forked()
        {
            py.detach(|| shared.leave());
        }
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.shared.get().is_none_or(|shared| {
            shared.is_forked() || shared.engine.is_closing() || shared.has_left()
        })
    }

    #[getter]
    fn _forked(&self) -> bool {
        self.shared.get().is_some_and(|shared| shared.is_forked())
    }

    /// Raises an error if no work may be submitted. `what` names the operation in the error.
    fn _check_open(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        self.shared()?.check_open(py, what)
    }

    fn _set_asynchronous(&self, asynchronous: bool) -> PyResult<()> {
        let flag = &self.shared()?.asynchronous;
        flag.store(asynchronous, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Returns true if blocking calls on this thread return awaitables.
    fn _async_here(&self, py: Python<'_>) -> PyResult<bool> {
        self.shared()?.is_async_here(py)
    }

    #[doc = stub!(Core.map)]
    #[pyo3(
        signature = (func, *iterables, key=None, workers=None, retries=None, resources=None, priority=None,
            allow_other_workers=None, fifo_timeout=None, actor=None, actors=None, pure=None, batch_size=None, **kwargs),
        text_signature = "($self, func, *iterables, key=None, workers=None, retries=None, resources=None, \
            priority=None, allow_other_workers=None, fifo_timeout=None, actor=None, actors=None, pure=True, \
            batch_size=None, **kwargs)"
    )]
    #[allow(clippy::too_many_arguments)] // the signature is Dask's
    fn map<'py>(
        &self,
        func: Bound<'py, PyAny>,
        iterables: Bound<'py, PyTuple>,
        key: Option<Bound<'py, PyAny>>,
        workers: Option<Bound<'py, PyAny>>,
        retries: Option<Bound<'py, PyAny>>,
        resources: Option<Bound<'py, PyAny>>,
        priority: Option<Bound<'py, PyAny>>,
        allow_other_workers: Option<Bound<'py, PyAny>>,
        fifo_timeout: Option<Bound<'py, PyAny>>,
        actor: Option<Bound<'py, PyAny>>,
        actors: Option<Bound<'py, PyAny>>,
        pure: Option<Bound<'py, PyAny>>,
        batch_size: Option<Bound<'py, PyAny>>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _ = (fifo_timeout, batch_size); // as in submit; batches are the Python half's
        let actor = is_true(actor)? || is_true(actors)?;
        let pure = flag("map(): pure", pure.as_ref(), true)?;
        let options = Options {
            key,
            workers,
            resources,
            retries,
            priority,
            allow_other_workers,
            pure,
            actor,
        };
        let (py, shared) = (func.py(), self.shared()?);
        memory::guarded(py, || PyList::new(py, map(shared, &func, &iterables, kwargs, &options)?))
    }

    /// `gather` for callers that may block.
    fn _gather<'py>(
        &self,
        futures: Bound<'py, PyAny>,
        errors: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shared = self.shared()?;
        shared.check_process()?;
        let errors = Errors::parse(errors)?;
        memory::guarded(futures.py(), || gather(&futures, errors, shared))
    }

    /// `gather` for an event loop. Returns None if the wait is over. If not, it calls
    /// `loop.call_soon_threadsafe(callback)` when it is over.
    fn _gather_listen(
        &self,
        py: Python<'_>,
        futures: Bound<'_, PyAny>,
        errors: &Bound<'_, PyAny>,
        r#loop: Py<PyAny>,
        callback: Py<PyAny>,
    ) -> PyResult<Option<Gathering>> {
        let shared = self.shared()?;
        shared.check_process()?;
        let errors = Errors::parse(errors)?;
        let callback = LoopCallback { r#loop, callback };
        let jobs = jobs(&futures, errors)?;
        listen(py, &jobs)?;
        Ok(Gathering::begin(shared, jobs, errors, callback))
    }

    /// Returns the results in the places of futures that have ended. Before that it raises the first failure, if
    /// failures are to be raised.
    fn _gathered<'py>(
        &self,
        futures: Bound<'py, PyAny>,
        errors: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let errors = Errors::parse(errors)?;
        if errors == Errors::Raise {
            raise_first_failure(futures.py(), &jobs(&futures, errors)?)?;
        }
        results(&futures, errors)
    }

    /// Returns a future on a value that is there already.
    #[pyo3(signature = (value, key=None, hash=true))]
    fn _scatter(
        &self,
        value: Bound<'_, PyAny>,
        key: Option<Bound<'_, PyAny>>,
        hash: bool,
    ) -> PyResult<Future> {
        let shared = self.shared()?;
        memory::guarded(value.py(), || scattered(shared, value, key, hash))
    }

    /// Makes the task run to its end even if no future on it is left.
    fn _keep(&self, future: &Bound<'_, Future>) -> PyResult<()> {
        let job = future.get().job(future.py())?;
        let shared = self.shared()?;
        // What runs elsewhere is kept there.
        if !about(future.py(), std::slice::from_ref(&job), Request::Keep)? {
            shared.engine.keep(&job);
        }
        Ok(())
    }

    #[doc = stub!(Core.counters)]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let shared = self.shared()?;
        shared.check_process()?;
        let counts = shared.engine.counts();
        let dict = PyDict::new(py);
        dict.set_item("submitted", counts.submitted)?;
        dict.set_item("settled", counts.settled)?;
        dict.set_item("failed", counts.failed)?;
        dict.set_item("cancelled", counts.cancelled)?;
        dict.set_item("live", counts.live)?;
        dict.set_item("peak_live", counts.peak_live)?;
        dict.set_item("kept", counts.kept)?;
        dict.set_item("ready", counts.ready)?;
        dict.set_item("unrunnable", counts.unrunnable)?;
        dict.set_item("running", counts.busy)?;
        dict.set_item("parked", counts.parked)?;
        dict.set_item("threads", counts.workers)?;
        Ok(dict)
    }

    /// Begins to observe. Observations beyond `capacity` are dropped, and counted.
    fn _observe(&self, capacity: usize) -> PyResult<PyObservations> {
        let shared = self.shared()?;
        shared.check_process()?;
        Ok(PyObservations(shared.engine.observe(capacity)))
    }

    /// Checks every invariant of the scheduler. It is for tests.
    fn _check(&self) -> PyResult<()> {
        let shared = self.shared()?;
        shared.check_process()?;
        shared.engine.check().map_err(PyRuntimeError::new_err)
    }

    /// Returns `value` with each future replaced by a future of this client on the same task.
    fn _adopt<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let shared = self.shared()?;
        let py = value.py();
        copied(&value, &mut |future| {
            let job = future.get().job(py)?;
            let own = std::ptr::eq(
                Arc::as_ptr(&future.get().shared()?.engine),
                Arc::as_ptr(&shared.engine),
            );
            let task = job.header().id().filter(|_| own);
            match task.and_then(|task| shared.engine.find_task(task)) {
                Some(job) => {
                    let adopted = Future::new(py, job, Arc::clone(shared));
                    Ok(Some(Bound::new(py, adopted)?.into_any()))
                }
                None => Ok(Some(future.clone().into_any())),
            }
        })
    }

    /// Returns a copy of a value, for the cluster to keep.
    fn _kept<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Ok(kept(&value, self.shared()?)?.0)
    }

    /// Returns a copy of a kept value, with futures of this client.
    fn _given<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        given(&value, self.shared()?)
    }

    /// Returns the tasks that the cluster keeps, in rows of key, state and the running thread's number.
    fn _tasks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let shared = self.shared()?;
        shared.check_process()?;
        super::inspect::tasks(py, shared)
    }

    /// Returns the results that the cluster keeps, in rows of key, the object if it is here, and the bytes of its pickle
    /// if it is one.
    fn _results<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let shared = self.shared()?;
        shared.check_process()?;
        super::inspect::results(py, shared)
    }

    /// Returns the age of the cluster, what has happened to the tasks of these keys, and the states of those that are
    /// kept.
    fn _story<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<super::inspect::Story<'py>> {
        let shared = self.shared()?;
        shared.check_process()?;
        super::inspect::story(py, shared, &keys)
    }

    /// Cancels every task that is kept, in whatever state it is.
    fn _cancel_all(&self, py: Python<'_>) -> PyResult<()> {
        let shared = self.shared()?;
        shared.check_open(py, "restart")?;
        let engine = &shared.engine;
        let jobs = engine.tasks();
        py.detach(|| jobs.iter().for_each(|(job, _)| engine.cancel(job)));
        Ok(())
    }

    /// Returns a copy of a value, as a submit makes one of each argument.
    #[staticmethod]
    fn _copied<'py>(value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        copied_as_it_is(&value)
    }

    /// Returns the futures in a value, as `gather` finds them.
    #[staticmethod]
    fn _futures<'py>(value: Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, Future>>> {
        let mut futures = Vec::new();
        futures_in(&value, |future| {
            futures.push(future.clone());
            Ok(())
        })?;
        Ok(futures)
    }
}

fn scattered(
    shared: &Arc<Shared>,
    value: Bound<'_, PyAny>,
    key: Option<Bound<'_, PyAny>>,
    hash: bool,
) -> PyResult<Future> {
    let py = value.py();
    shared.check_open(py, "scatter")?;
    let value = if hash { copied_as_it_is(&value)? } else { value };
    let function = value.get_type().qualname()?.unbind();
    let (name, key) = if let Some(key) = key {
        let named = parse(&key, shared.cluster.number)?;
        if let Some(job) = shared.find_impure(&named) {
            return Ok(Future::new(py, job, Arc::clone(shared)));
        }
        (Name::Given(key.unbind()), Some(named.key))
    } else if hash
        && let Some(digest) =
            crate::token::value_token(py, &value, &crate::submit::one::future_digest)?
    {
        let key = pure(&text_bytes(function.bind(py))?, digest);
        (Name::Pure { function, digest }, Some(key))
    } else {
        (Name::Impure { function }, None)
    };
    if shared.cluster.is_away() {
        let job = away::put(shared, &value, &name, key)?;
        return Ok(Future::new(py, job, Arc::clone(shared)));
    }
    let value = match &shared.cluster.sent {
        Some(processes) => Value::Packed(packing::scattered(&value, &*processes.store)?),
        None => Value::Here(value.unbind()),
    };
    let job = Arc::new(PyJob::done(value, name, shared.number));
    let existing = shared.engine.put(Arc::clone(&job), key);
    Ok(Future::new(py, existing.unwrap_or(job), Arc::clone(shared)))
}
