//! Actors: what a call of an actor's method does. `future/actor.rs` says what a future on an actor gives.
//!
//! The half that reads attributes and gives coroutines their turns is Python (`azolla/_shared/actor.py`).

use super::annotations::Annotations;
use super::one::{context, parent};
use crate::future::actor::lost;
use crate::future::handle::{Future, value};
use crate::future::nested::{Function, Walk};
use crate::interpreter::collector::hide_call;
use crate::interpreter::imports::error;
use crate::task::job::{Call, PyJob, Work};
use crate::task::named::Name;
use azolla::runtime::{Job, Status, Submission, watch_all};
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

/// Returns the state of the actor that this future is on, so that Python can read its attributes.
#[pyfunction]
pub(crate) fn actor_state<'py>(future: &Bound<'py, Future>) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    let job = live(py, future.get())?;
    value(py, &job)
}

/// Returns the actor's job, if the actor still exists or is still to be made.
fn live(py: Python<'_>, future: &Future) -> PyResult<Arc<PyJob>> {
    let shared = future.shared()?;
    shared.check_process()?;
    let Some(job) = future.live() else {
        let key = future.key_object(py)?;
        let why = if shared.has_left() { "the client is closed" } else { "it was released" };
        return Err(error(py, "ActorLostError", &format!("the actor {key} is gone: {why}")));
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
        Status::Pending | Status::Finished => Ok(job),
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
        let Some(caller) = actor.caller() else {
            return Err(lost(py, &actor, "its key is another task's"));
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
        let job = Arc::new(PyJob::new(call, 0, name, shared.number, span));
        shared.engine.submit(Submission {
            parent: parent(py)?,
            inputs: watch_all(&[actor]),
            call: true,
            ..Submission::new(Arc::clone(&job), self.kind)
        });
        let future = Future::new(py, job, Arc::clone(shared));
        Bound::new(py, PyClassInitializer::from(future).add_subclass(ActorFuture))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.actor)?;
        visit.call(&self.wrapped)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<method {} of the actor {}>", self.label, self.actor.get().key_object(py)?))
    }
}
