//! Actors: what a call of an actor's method does. `future/actor.rs` says what a future on an actor gives, and `actor_calls.rs`
//! how an actor in a worker process is called.
//!
//! The half that reads attributes and gives coroutines their turns is Python (`azolla/_shared/actor.py`).

use super::actor_calls::function;
use super::annotations::Annotations;
use super::away;
use super::one::{Common, context, parent};
use crate::child::actors::kept_actor;
use crate::future::actor::{ANOTHER, LOST, gone, lost};
use crate::future::handle::{Future, value};
use crate::future::nested::{Function, Walk};
use crate::interpreter::collector::hide_call;
use crate::interpreter::imports::error;
use crate::interpreter::words::key_words;
use crate::session::away::unexpected;
use crate::session::shared::Shared;
use crate::task::job::{Call, PyJob, Work};
use crate::task::named::Name;
use azolla::runtime::{Job, Status, Submission, watch_all};
use azolla_core::Priority;
use azolla_process::request::Role;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;

#[doc = stub!(ActorFuture)]
#[pyclass(frozen, extends = Future, module = "azolla")]
pub(crate) struct ActorFuture;

#[pymethods]
impl ActorFuture {
    #[new]
    #[pyo3(signature = (key, client=None))]
    fn make(
        py: Python<'_>,
        key: Bound<'_, PyAny>,
        client: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(Future::make(py, key, client)?).add_subclass(Self))
    }
}

#[doc = stub!(actor_state)]
#[pyfunction]
pub(crate) fn actor_state<'py>(future: &Bound<'py, Future>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = future.py();
    let job = live(py, future.get())?;
    match number(future.get().shared()?, &job) {
        Some(number) => Ok(kept_actor(py, number)),
        None => value(py, &job).map(Some),
    }
}

#[doc = stub!(check_actor)]
#[pyfunction]
pub(crate) fn check_actor(future: &Bound<'_, Future>) -> PyResult<()> {
    live(future.py(), future.get()).map(drop)
}

#[doc = stub!(read_actor)]
#[pyfunction]
pub(crate) fn read_actor<'py>(
    future: &Bound<'py, Future>,
    name: Bound<'py, PyString>,
    label: Bound<'py, PyString>,
) -> PyResult<Bound<'py, ActorFuture>> {
    let py = future.py();
    let (job, shared) = (live(py, future.get())?, future.get().shared()?);
    // It takes less time than what it would wait for.
    let common = Common::of_call(shared, &label, Priority::new(f64::INFINITY))?;
    let (function, number) = (function(py, Role::Read)?, number(shared, &job));
    let whole = (function, number, name).into_pyobject(py)?;
    submit(&common, common.call_of(job, Role::Read, &whole, None)?)
}

/// Submits what was made of a call, and returns its future.
fn submit<'py>(
    common: &Common<'_, 'py>,
    submission: Submission<PyJob>,
) -> PyResult<Bound<'py, ActorFuture>> {
    let (py, shared) = (common.py, common.shared);
    let job = if shared.cluster.is_away() {
        away::submit_all(common, &[submission])?.pop().ok_or_else(unexpected)?
    } else {
        let job = Arc::clone(&submission.payload);
        shared.engine.submit(submission);
        job
    };
    let future = Future::new(py, job, Arc::clone(shared));
    Bound::new(py, PyClassInitializer::from(future).add_subclass(ActorFuture))
}

/// Returns the number of an actor in a worker process, by which that process knows it; `None` for one in this process.
fn number(shared: &Shared, actor: &PyJob) -> Option<u64> {
    match shared.cluster.has_processes() {
        true => actor.away().or_else(|| actor.header().id().map(|task| task.to_bits())),
        false => None,
    }
}

/// Returns the actor's job, if the actor still exists or is still to be made.
fn live(py: Python<'_>, future: &Future) -> PyResult<Arc<PyJob>> {
    let shared = future.shared()?;
    shared.check_process()?;
    let Some(job) = future.live() else {
        let key = future.key_object(py)?;
        let why = if shared.has_left() { "the client is closed" } else { "it was released" };
        return Err(error(py, LOST, &gone(&key_words(&key), why)));
    };
    if shared.engine.is_broken() {
        shared.check_open(py, "actor")?;
    }
    if shared.engine.is_closing() {
        return Err(lost(py, &job, "the client is closed"));
    }
    match job.header().status() {
        Status::Cancelled => Err(lost(py, &job, "it was cancelled")),
        Status::Failed => value(py, &job).map(|_| job),
        // Of one whose client is in another process, that one knows.
        Status::Pending | Status::Finished if job.away().is_none() && !job.is_actor() => {
            Err(lost(py, &job, ANOTHER))
        }
        Status::Pending | Status::Finished => match job.lost() {
            Some(why) => Err(lost(py, &job, &why)),
            None => Ok(job),
        },
    }
}

#[doc = stub!(Method)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Method {
    actor: Py<Future>,
    name: Py<PyString>,
    /// The name of its calls: the class and the method.
    label: Py<PyString>,
    kind: u64,
    wrapped: Py<PyAny>,
}

/// What a method is made of.
type Parts<'py> =
    (Bound<'py, Future>, Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyAny>);

#[pymethods]
impl Method {
    #[new]
    fn new(
        actor: Py<Future>,
        name: Bound<'_, PyString>,
        label: Bound<'_, PyString>,
        wrapped: Py<PyAny>,
    ) -> PyResult<Self> {
        let kind = label.hash()? as u64;
        Ok(Self { actor, name: name.unbind(), label: label.unbind(), kind, wrapped })
    }

    #[getter]
    fn __name__(&self, py: Python<'_>) -> Py<PyString> {
        self.name.clone_ref(py)
    }

    /// The function of the actor's class.
    #[getter]
    fn __wrapped__(&self, py: Python<'_>) -> Py<PyAny> {
        self.wrapped.clone_ref(py)
    }

    /// Calls the method after the calls that were made before. Futures among the arguments are passed as they are.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, ActorFuture>> {
        let py = args.py();
        let future = self.actor.get();
        let actor = live(py, future)?;
        let shared = future.shared()?;
        if shared.cluster.has_processes() {
            let common = Common::of_call(shared, self.label.bind(py), None)?;
            let function = function(py, Role::Call)?.clone();
            let number = number(shared, &actor).into_pyobject(py)?;
            let first = [function, number, self.name.bind(py).clone().into_any()];
            let whole: Vec<_> = first.into_iter().chain(args.iter()).collect();
            let whole = PyTuple::new(py, whole)?;
            return submit(&common, common.call_of(actor, Role::Call, &whole, kwargs.as_ref())?);
        }
        let Some(caller) = actor.caller() else {
            return Err(lost(py, &actor, ANOTHER));
        };
        // A call is made once, so these copies are what it is made with.
        let mut as_it_is = |future: &Bound<'py, Future>| Ok(Some(future.clone().into_any()));
        let mut walk = Walk::at_submit(&mut as_it_is);
        let mut whole = vec![caller.bind(py).clone(), self.name.bind(py).clone().into_any()];
        whole.extend(args.iter());
        let whole = PyTuple::new(py, whole)?;
        let whole = walk.call(&whole, Function::Stays)?.unwrap_or(whole);
        let kwargs = walk.keywords(kwargs.as_ref())?.or(kwargs);
        hide_call(&whole);
        let context = context(py)?;
        let span = Annotations::here(py, context.is_some())?.span().map(Bound::unbind);
        let call = Work::Here(Call {
            call: whole.unbind(),
            kwargs: kwargs.map(Bound::unbind),
            context: context.map(Bound::unbind),
            state: Some(Arc::clone(&actor)),
        });
        let name = Name::Impure { function: self.label.clone_ref(py) };
        let mut job = PyJob::new(call, 0, name, shared.number, span);
        job.role = Role::Call;
        let job = Arc::new(job);
        shared.engine.submit(Submission {
            parent: parent(py, shared)?,
            inputs: watch_all(&[actor]),
            call: true,
            ..Submission::new(Arc::clone(&job), self.kind)
        });
        let future = Future::new(py, job, Arc::clone(shared));
        Bound::new(py, PyClassInitializer::from(future).add_subclass(ActorFuture))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, Parts<'py>) {
        let parts = (
            self.actor.bind(py).clone(),
            self.name.bind(py).clone(),
            self.label.bind(py).clone(),
            self.wrapped.bind(py).clone(),
        );
        (py.get_type::<Self>().into_any(), parts)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.actor)?;
        visit.call(&self.wrapped)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<method {} of the actor {}>", self.label, self.actor.get().key_object(py)?))
    }
}
