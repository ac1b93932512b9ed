//! A Python task: the call, and the place for what comes of it.

use super::names::function_name;
use crate::interpreter::collector::{Hidden, has_parts, visit_call};
use crate::interpreter::raised::Raised;
use azolla::runtime::{Header, Job, Slot, Status, assert_unlocked};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;

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
    /// For a call of an actor's method: the actor, whose state goes before the arguments.
    pub(crate) state: Option<Arc<PyJob>>,
}

// What a task takes is what a million of them take.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PyJob>() <= 136);

impl Call {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            call: self.call.clone_ref(py),
            kwargs: self.kwargs.as_ref().map(|kwargs| kwargs.clone_ref(py)),
            context: self.context.as_ref().map(|context| context.clone_ref(py)),
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
    Impure { function: Py<PyString> },
}

/// What a task that has finished lets go of.
pub(crate) struct Finished {
    _call: Option<Call>,
    /// What a cancelled task comes to is nobody's.
    _refused: Option<Py<PyAny>>,
}

pub(crate) struct PyJob {
    /// The call is kept while the task may run (again): gone once it is done or cancelled.
    slot: Slot<Py<PyAny>, Call, Failure>,
    /// The key, or the name of the function.
    named: Py<PyAny>,
    /// Of a pure call.
    digest: [u64; 2],
    /// The one object that stands for it, unless the collector sees that.
    pub(crate) hidden: Hidden,
    rare: Option<Box<Rare>>,
    key_is: KeyIs,
    /// Some argument is or holds a future, to be replaced by its result.
    pub(crate) has_futures: bool,
    /// It is a call of an actor's method, and is not made again.
    pub(crate) is_actor_call: bool,
}

/// What a key is made of.
#[derive(Clone, Copy)]
enum KeyIs {
    Given,
    Pure,
    Impure,
}

/// What only some tasks have.
#[derive(Default)]
struct Rare {
    /// The name of the span that it belongs to, if any: those of the spans around it, and its own.
    span: Option<Py<PyTuple>>,
    /// For an actor: what its calls are made by.
    caller: Option<Py<PyAny>>,
}

impl PyJob {
    pub(crate) fn new(
        call: Call,
        retries: u32,
        name: Name,
        client: u32,
        span: Option<Py<PyTuple>>,
    ) -> Self {
        let is_actor_call = call.state.is_some();
        let mut job = Self::of(Slot::with_work(call, retries), name, client);
        job.is_actor_call = is_actor_call;
        job.rare = span.map(|span| Box::new(Rare { span: Some(span), caller: None }));
        job
    }

    fn of(slot: Slot<Py<PyAny>, Call, Failure>, name: Name, client: u32) -> Self {
        slot.header().set_client(client);
        let (named, digest, key_is) = match name {
            Name::Given(key) => (key, 0, KeyIs::Given),
            Name::Pure { function, digest } => (function.into_any(), digest, KeyIs::Pure),
            Name::Impure { function } => (function.into_any(), 0, KeyIs::Impure),
        };
        Self {
            slot,
            named,
            digest: [(digest >> 64) as u64, digest as u64],
            hidden: Hidden::default(),
            rare: None,
            key_is,
            has_futures: false,
            is_actor_call: false,
        }
    }

    /// A task that is done already: data that was given.
    pub(crate) fn done(value: Py<PyAny>, name: Name, client: u32) -> Self {
        let job = Self::of(Slot::empty(), name, client);
        job.store(Ok(value));
        job
    }

    pub(crate) fn call(&self, py: Python<'_>) -> Option<Call> {
        self.slot.with_the_work(|call| call.clone_ref(py))
    }

    /// Lets go of the call, for it will not be made again.
    pub(crate) fn forget_call(&self) {
        drop(self.slot.take_work());
    }

    /// Stores the result of the task, as [`store`](Self::store) does, and lets go of its call: runs no
    /// code of anybody's until what comes back is dropped.
    #[must_use]
    pub(crate) fn finish(&self, result: Bound<'_, PyAny>) -> Finished {
        let call = self.slot.take_work();
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
        self.slot.store(outcome, None);
    }

    /// For the only future on this task: what goes with it.
    ///
    /// An exception that dependents share is theirs too, and stays out of the collector's sight.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match (self.header().status(), self.outcome()) {
            (Status::Finished, Some(Ok(value))) => visit.call(value),
            (Status::Failed, Some(Err(Failure::Raised(raised)))) => {
                if Arc::strong_count(raised) == 1 {
                    visit.call(&raised.exception)?;
                    visit.call(&raised.traceback)?;
                }
                self.slot.with_failed_work(|call| call.traverse(visit)).unwrap_or(Ok(()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn outcome(&self) -> Option<Seen<'_>> {
        self.slot.last()
    }

    /// Makes it an actor, whose calls are made by this.
    pub(crate) fn set_caller(&mut self, caller: Py<PyAny>) {
        self.rare.get_or_insert_default().caller = Some(caller);
    }

    /// For an actor: what its calls are made by.
    pub(crate) fn caller(&self) -> Option<&Py<PyAny>> {
        self.rare.as_ref()?.caller.as_ref()
    }

    /// The number of the client that submitted it.
    pub(crate) fn client(&self) -> u32 {
        self.header().client()
    }

    /// The key as Python sees it.
    pub(crate) fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self.key_is {
            KeyIs::Given => self.named.bind(py).clone(),
            KeyIs::Pure | KeyIs::Impure => PyString::new(py, &self.key_text(py)).into_any(),
        }
    }

    /// Returns true if the task's key is made of its id, and is this text.
    pub(crate) fn has_impure_key(&self, key: &Bound<'_, PyAny>) -> bool {
        let text = key.cast::<PyString>().ok().and_then(|text| text.to_cow().ok());
        matches!(self.key_is, KeyIs::Impure)
            && text.is_some_and(|text| text == self.key_text(key.py()))
    }

    pub(crate) fn key_text(&self, py: Python<'_>) -> String {
        let named = self.named.bind(py).to_string();
        match self.key_is {
            KeyIs::Given => named,
            KeyIs::Pure => {
                let [high, low] = self.digest;
                format!("{named}-{high:016x}{low:016x}")
            }
            KeyIs::Impure => {
                let id = self.header().id().map_or(0, |id| id.to_bits());
                super::key::impure(py, &named, self.header().engine(), id)
            }
        }
    }
}

impl Job for PyJob {
    type Failure = Failure;

    fn header(&self) -> &Header {
        self.slot.header()
    }

    fn failure(&self) -> Option<Failure> {
        self.slot.last()?.err().cloned()
    }

    fn fail(&self, failure: Failure) {
        self.slot.store(Err(failure), None);
    }

    fn fail_by_engine(&self, why: &str) {
        self.slot.store(Err(Failure::Engine(why.into())), None);
    }

    fn reset(&self) {
        self.slot.another();
    }

    fn discard(&self) {
        self.forget_call();
    }

    fn name(&self) -> String {
        let name = |py: Python<'_>| match (self.key_is, self.call(py)) {
            (KeyIs::Given, Some(call)) => {
                let function = call.call.bind(py).get_item(0).ok()?;
                function_name(&function).ok().map(|name| name.to_string())
            }
            _ => Some(self.named.bind(py).to_string()),
        };
        Python::try_attach(name).flatten().unwrap_or_else(|| String::from("data"))
    }

    fn size(&self) -> Option<u64> {
        let Some(Ok(value)) = self.outcome() else { return None };
        Python::try_attach(|py| crate::interpreter::size::bytes_of(value.bind(py))).flatten()
    }

    fn span(&self) -> Option<String> {
        let span = self.rare.as_ref()?.span.as_ref()?;
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
