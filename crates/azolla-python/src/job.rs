//! A Python task: the call, and the place for what comes of it.

use crate::collected::{Hidden, has_parts, visit_call};
use crate::raised::Raised;
use crate::submit::function_name;
use azolla::runtime::{Attempts, Header, Job, Status, assert_unlocked};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a task has come to.
pub(crate) type Outcome = Result<Py<PyAny>, Failure>;

/// The same, looked at.
pub(crate) type Seen<'a> = Result<&'a Py<PyAny>, &'a Failure>;

/// Why a task has no result.
#[derive(Clone)]
pub(crate) enum Failure {
    /// It raised this.
    Raised(Arc<Raised>),
    /// The engine has broken down.
    Engine(Arc<str>),
}

/// A function, what to call it with, and the context variables to call it in.
pub(crate) struct Call {
    /// The function, and after it what to call it with: as `Context.run` takes them.
    pub(crate) call: Py<PyTuple>,
    pub(crate) kwargs: Option<Py<PyDict>>,
    /// Shared by the tasks of one `map`, so each runs in a copy. None: one in which nothing is set.
    pub(crate) context: Option<Py<PyAny>>,
    /// Some argument is or holds a future, to be replaced by its result.
    pub(crate) has_futures: bool,
    /// For a call of an actor's method: the actor, whose state goes before the arguments.
    pub(crate) state: Option<Arc<PyJob>>,
}

impl Call {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            call: self.call.clone_ref(py),
            kwargs: self.kwargs.as_ref().map(|kwargs| kwargs.clone_ref(py)),
            context: self.context.as_ref().map(|context| context.clone_ref(py)),
            has_futures: self.has_futures,
            state: self.state.clone(),
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit_call(&self.call, visit)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.context)
    }
}

/// What a task's key is made of; the key itself is made when somebody asks.
pub(crate) enum Name {
    /// The user's own.
    Given(Py<PyAny>),
    /// The function's name and the digest of the call.
    Pure { function: Py<PyString>, digest: u128 },
    /// The function's name and the task's id, veiled by the cluster's own number.
    Impure { function: Py<PyString>, cluster: u128 },
}

/// What a task that has finished lets go of.
pub(crate) struct Finished {
    _call: Option<Call>,
    /// What a cancelled task comes to is nobody's.
    _refused: Option<Py<PyAny>>,
}

pub(crate) struct PyJob {
    header: Header,
    /// Kept while the task may run (again): gone once it is done or cancelled.
    call: Mutex<Option<Call>>,
    attempts: Attempts<Py<PyAny>, Failure>,
    retries: AtomicU32,
    /// The number of the client that submitted it.
    pub(crate) client: u32,
    pub(crate) name: Name,
    /// The name of the span that it belongs to, if any: those of the spans around it, and its own.
    span: Option<Py<PyTuple>>,
    /// The one object that stands for it, unless the collector sees that.
    pub(crate) hidden: Hidden,
    /// For an actor: what its calls are made by.
    pub(crate) caller: Option<Py<PyAny>>,
    /// It is a call of an actor's method, and is not made again.
    pub(crate) is_actor_call: bool,
}

impl PyJob {
    pub(crate) fn new(
        call: Call,
        retries: u32,
        name: Name,
        client: u32,
        span: Option<Py<PyTuple>>,
    ) -> Self {
        Self {
            header: Header::new(),
            caller: None,
            is_actor_call: call.state.is_some(),
            call: Mutex::new(Some(call)),
            attempts: Attempts::new(),
            retries: AtomicU32::new(retries),
            client,
            name,
            span,
            hidden: Hidden::default(),
        }
    }

    /// A task that is done already: data that was given.
    pub(crate) fn done(value: Py<PyAny>, name: Name, client: u32) -> Self {
        let job = Self {
            header: Header::new(),
            call: Mutex::new(None),
            attempts: Attempts::new(),
            retries: AtomicU32::new(0),
            client,
            name,
            span: None,
            hidden: Hidden::default(),
            caller: None,
            is_actor_call: false,
        };
        job.store(Ok(value));
        job
    }

    pub(crate) fn call(&self, py: Python<'_>) -> Option<Call> {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        call.as_ref().map(|call| call.clone_ref(py))
    }

    /// Lets go of the call, for it will not be made again.
    pub(crate) fn forget_call(&self) {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(call);
    }

    /// Stores the result of the task, as [`store`](Self::store) does, and lets go of its call: runs no
    /// code of anybody's until what comes back is dropped.
    #[must_use]
    pub(crate) fn finish(&self, result: Bound<'_, PyAny>) -> Finished {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.outcome().is_some() {
            return Finished { _call: call, _refused: Some(result.unbind()) };
        }
        if has_parts(&result) {
            self.hidden.show(result.py());
        }
        self.store(Ok(result.unbind()));
        Finished { _call: call, _refused: None }
    }

    /// Stores what the task has come to. What a cancelled task comes to is nobody's.
    pub(crate) fn store(&self, outcome: Outcome) {
        self.attempts.store(outcome);
    }

    /// For the only future on this task: what goes with it.
    ///
    /// An exception that dependents share is theirs too, and stays out of the collector's sight.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match (self.header.status(), self.outcome()) {
            (Status::Finished, Some(Ok(value))) => visit.call(value),
            (Status::Failed, Some(Err(Failure::Raised(raised)))) => {
                if Arc::strong_count(raised) == 1 {
                    visit.call(&raised.exception)?;
                    visit.call(&raised.traceback)?;
                }
                match self.call.try_lock().as_deref() {
                    Ok(Some(call)) => call.traverse(visit),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn outcome(&self) -> Option<Seen<'_>> {
        self.attempts.last()
    }

    /// Uses up one retry, if there is one left.
    pub(crate) fn take_retry(&self) -> bool {
        let left = self.retries.load(Ordering::Relaxed);
        self.retries.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }

    /// The key as Python sees it.
    pub(crate) fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.name {
            Name::Given(key) => key.bind(py).clone(),
            Name::Pure { .. } | Name::Impure { .. } => {
                PyString::new(py, &self.key_text(py)).into_any()
            }
        }
    }

    pub(crate) fn key_text(&self, py: Python<'_>) -> String {
        match &self.name {
            Name::Given(key) => key.bind(py).to_string(),
            Name::Pure { function, digest } => format!("{}-{digest:032x}", text(function, py)),
            Name::Impure { function, cluster } => {
                let id = self.header.id().map_or(0, |id| id.to_bits());
                crate::key::impure(&text(function, py), *cluster, id)
            }
        }
    }
}

fn text(string: &Py<PyString>, py: Python<'_>) -> String {
    string.bind(py).to_string_lossy().into_owned()
}

impl Job for PyJob {
    type Failure = Failure;

    fn header(&self) -> &Header {
        &self.header
    }

    fn failure(&self) -> Option<Failure> {
        self.attempts.last()?.err().cloned()
    }

    fn fail(&self, failure: Failure) {
        self.attempts.store(Err(failure));
    }

    fn fail_by_engine(&self, why: &str) {
        self.attempts.store(Err(Failure::Engine(why.into())));
    }

    fn reset(&self) {
        self.attempts.another();
    }

    fn discard(&self) {
        self.forget_call();
    }

    fn name(&self) -> String {
        let name = |py: Python<'_>| match &self.name {
            Name::Given(key) => match self.call(py) {
                Some(call) => {
                    let function = call.call.bind(py).get_item(0).ok()?;
                    function_name(&function).ok().map(|name| name.to_string())
                }
                None => Some(key.bind(py).to_string()),
            },
            Name::Pure { function, .. } | Name::Impure { function, .. } => Some(text(function, py)),
        };
        Python::try_attach(name).flatten().unwrap_or_else(|| String::from("data"))
    }

    fn size(&self) -> Option<u64> {
        let Some(Ok(value)) = self.outcome() else { return None };
        Python::try_attach(|py| crate::size::bytes_of(value.bind(py))).flatten()
    }

    fn span(&self) -> Option<String> {
        let span = self.span.as_ref()?;
        Python::try_attach(|py| {
            let tags = span.bind(py).iter();
            // What is no text is not asked for one: that would run its own code.
            let tags = tags.map(|tag| match tag.cast::<PyString>() {
                Ok(tag) => tag.to_string_lossy().into_owned(),
                Err(_) => String::from("?"),
            });
            tags.collect::<Vec<_>>().join(" / ")
        })
    }

    fn key(&self) -> String {
        Python::try_attach(|py| self.key_text(py)).unwrap_or_default()
    }
}

impl Drop for PyJob {
    fn drop(&mut self) {
        // Python's objects go with it, and with them whatever their destructors do.
        assert_unlocked();
    }
}
