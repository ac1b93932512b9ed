//! A Python task: its call, and the place for its outcome.

use super::actor::Berth;
use super::named::{KeyIs, Name};
use super::names::function_name;
use super::packed::{PackedCall, Unread, Value};
use super::revocable::{Reading, Revocable};
use crate::child::upstream;
use crate::interpreter::beside::beside;
use crate::interpreter::collector::{Hidden, has_parts, visit_call};
use crate::interpreter::imports::error;
use crate::interpreter::raised::{Exception, Raised};
use crate::interpreter::words::{argument_words, key_words};
use azolla::runtime::{ENDLESS, Header, Job, Slot, Status, assert_unlocked};
use azolla_process::request::{End, Role};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// What a task has ended with.
pub(crate) type Outcome = Result<Value, Failure>;

/// An outcome that a thread reads.
pub(crate) type Seen<'a> = Result<Reading<'a, Value>, Reading<'a, Failure>>;

/// Why a task has no result.
#[derive(Clone)]
pub(crate) enum Failure {
    /// The task raised this exception.
    Raised(Box<Raised>),
    /// The task raised this exception in another process.
    Unread(Box<Unread>),
    /// azolla itself says why, by an exception of this class with this message.
    Told(&'static str, Arc<str>),
}

impl Failure {
    /// Returns the exception for a thread that puts it into words: the text of one that azolla itself raises, or the bytes
    /// of one that no program has read yet. No user code runs.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Raised(raised) => raised.exception().exception.bind(py).clone(),
            Self::Unread(unread) => unread.object(py),
            Self::Told(_, why) => PyString::new(py, why).into_any(),
        }
    }

    /// Returns the exception that the task raised, and what it had for a traceback; `None` if azolla itself says why.
    pub(crate) fn exception(&self, py: Python<'_>) -> Option<Arc<Exception>> {
        match self {
            Self::Raised(raised) => Some(raised.exception()),
            Self::Unread(unread) => Some(unread.raised(py).exception()),
            Self::Told(..) => None,
        }
    }

    /// Returns the exception to raise, in the state that it had when the task ended.
    pub(crate) fn error(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Told(class, message) => error(py, class, message),
            _ => self.exception(py).map_or_else(|| error(py, "EngineError", ""), |it| it.error(py)),
        }
    }
}

/// A function, what to call it with, and the context variables to call it in.
pub(crate) struct Call {
    /// The function and its positional arguments, in the order in which `Context.run` takes them.
    pub(crate) call: Py<PyTuple>,
    pub(crate) kwargs: Option<Py<PyDict>>,
    /// The context. The tasks of one `map` share it, so each task runs in a copy. None stands for a context in which no
    /// variable is set.
    pub(crate) context: Option<Py<PyAny>>,
    /// For a call of an actor's method: the actor, whose state goes before the arguments.
    pub(crate) state: Option<Arc<PyJob>>,
}

/// What a task needs to run.
pub(crate) enum Work {
    /// In this process.
    Here(Call),
    /// In a worker process.
    Packed(Arc<PackedCall>),
}

// Every byte of a task counts a million times when there are a million tasks.
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

/// What a finished task gives up. The caller drops it when user code may run.
pub(crate) struct Finished {
    _work: Option<Work>,
    /// The result, if the task was cancelled before: no caller gets it.
    _refused: Option<Value>,
}

pub(crate) struct PyJob {
    /// The call is kept while the task may run, or run again. It is dropped once the task is done or cancelled. When the task
    /// is cancelled, its outcome is revoked.
    slot: Slot<Revocable<Value>, Work, Revocable<Failure>>,
    /// The key, or the name of the function. `None` if that is a text from a worker process.
    pub(super) named: Option<Py<PyAny>>,
    /// The digest of a pure call.
    pub(super) digest: [u64; 2],
    /// The only future on the job, while it is hidden from the collector.
    pub(crate) hidden: Hidden,
    pub(super) rare: Option<Box<Rare>>,
    pub(super) key_is: KeyIs,
    /// True if some argument is a future, or a container that is copied for each run.
    pub(crate) has_parts: bool,
    pub(crate) copies: Copies,
    /// A call of an actor is never made again.
    pub(crate) role: Role,
}

/// How the arguments are copied for each run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Copies {
    /// The container that the function is bound to, if any, is copied too.
    pub(crate) methods: bool,
    /// Classes are asked how, as they were at the submit, because one of them has refused.
    pub(crate) asks: bool,
}

/// The parts that only some tasks have.
#[derive(Default)]
pub(super) struct Rare {
    /// The name of the span that the task belongs to, if any: the names of the spans around it, then its own.
    span: Option<Py<PyTuple>>,
    /// For an actor in this process: the function that makes its calls.
    pub(super) caller: Option<Py<PyAny>>,
    /// For an actor in a worker process: its place there.
    pub(super) berth: Option<Berth>,
    /// The key or the name of the function, from a worker process.
    pub(super) text: Option<Arc<str>>,
}

impl PyJob {
    pub(crate) fn new(
        work: Work,
        retries: u32,
        name: Name,
        client: u32,
        span: Option<Py<PyTuple>>,
    ) -> Self {
        let mut job = Self::of(Slot::with_work(work, retries), name, client);
        if span.is_some() {
            job.rare.get_or_insert_default().span = span;
        }
        job
    }

    fn of(slot: Slot<Revocable<Value>, Work, Revocable<Failure>>, name: Name, client: u32) -> Self {
        slot.header().set_client(client);
        let (named, digest, key_is) = match name {
            Name::Given(key) => (Ok(key), 0, KeyIs::Given),
            Name::Pure { function, digest } => (Ok(function.into_any()), digest, KeyIs::Pure),
            Name::Impure { function } => (Ok(function.into_any()), 0, KeyIs::Impure),
            Name::Away(key, task) => (Ok(key), u128::from(task), KeyIs::Away),
            Name::Asked(text, End::Given(_)) => (Err(text), 0, KeyIs::Given),
            Name::Asked(text, End::Pure(_, digest)) => (Err(text), digest, KeyIs::Pure),
            Name::Asked(text, End::Impure) => (Err(text), 0, KeyIs::Impure),
        };
        let (named, text) = match named {
            Ok(object) => (Some(object), None),
            Err(text) => (None, Some(text)),
        };
        let rare = text.map(|text| Box::new(Rare { text: Some(text), ..Rare::default() }));
        Self {
            slot,
            named,
            digest: [(digest >> 64) as u64, digest as u64],
            hidden: Hidden::default(),
            rare,
            key_is,
            has_parts: false,
            copies: Copies::default(),
            role: Role::Plain,
        }
    }

    /// Makes a task that ends without a call here.
    pub(crate) fn pending(name: Name, client: u32) -> Self {
        Self::of(Slot::empty(), name, client)
    }

    /// Makes a task that is done already: data that the user gave.
    pub(crate) fn done(value: Value, name: Name, client: u32) -> Self {
        let job = Self::of(Slot::empty(), name, client);
        job.store(Ok(value));
        job
    }

    /// Returns the call, if the task runs in this process and may still run.
    pub(crate) fn call(&self, py: Python<'_>) -> Option<Call> {
        let call = |work: &Work| match work {
            Work::Here(call) => Some(call.clone_ref(py)),
            Work::Packed(_) => None,
        };
        self.slot.with_the_work(call).flatten()
    }

    /// Returns the call, if the task runs in a worker process and may still run.
    pub(crate) fn packed(&self) -> Option<Arc<PackedCall>> {
        let packed = |work: &Work| match work {
            Work::Packed(packed) => Some(Arc::clone(packed)),
            Work::Here(_) => None,
        };
        self.slot.with_the_work(packed).flatten()
    }

    /// Takes out the call of a task that is to run in another process.
    pub(crate) fn take_packed(&self) -> Option<Arc<PackedCall>> {
        match self.slot.take_work()? {
            Work::Packed(packed) => Some(packed),
            Work::Here(_) => None,
        }
    }

    /// Drops the call, since it will not be made again.
    pub(crate) fn forget_call(&self) {
        drop(self.slot.take_work());
    }

    /// Stores the result of the task, as [`store`](Self::store) does, and gives up its call. No user code runs until
    /// the caller drops what this returns.
    #[must_use]
    pub(crate) fn finish(&self, result: Bound<'_, PyAny>) -> Finished {
        let work = self.slot.take_work();
        if self.slot.last().is_some() {
            return Finished { _work: work, _refused: Some(Value::Here(result.unbind())) };
        }
        if has_parts(&result) {
            self.hidden.show(result.py());
        }
        let refused = self.store_unless_cancelled(Ok(Value::Here(result.unbind())));
        Finished { _work: work, _refused: refused.and_then(Result::ok) }
    }

    /// Stores the outcome of the task. The outcome of a cancelled task is dropped.
    pub(crate) fn store(&self, outcome: Outcome) {
        drop(self.store_unless_cancelled(outcome));
    }

    /// Stores the outcome of the task. Returns it if the task is cancelled.
    fn store_unless_cancelled(&self, outcome: Outcome) -> Option<Outcome> {
        self.slot.store(outcome.map(Revocable::new).map_err(Revocable::new), None);
        self.revoke_if_cancelled()
    }

    /// Lets go of the outcome if the task is cancelled. Returns it, to be dropped when user code may run.
    fn revoke_if_cancelled(&self) -> Option<Outcome> {
        // A thread that stores the outcome looks for the cancel after that, and one that cancels looks for the outcome after
        // that. So one of the two sees both.
        fence(Ordering::SeqCst);
        if self.header().status() != Status::Cancelled {
            return None;
        }
        match self.slot.last()? {
            Ok(value) => value.revoke().map(Ok),
            Err(failure) => failure.revoke().map(Err),
        }
    }

    /// Shows the collector what goes when the only future on this task goes: the result, and the errors of all attempts.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.slot.each_error(|failure| match failure.read().as_deref() {
            Some(Failure::Raised(raised)) => raised.traverse(visit),
            Some(Failure::Unread(unread)) => unread.traverse(visit),
            Some(Failure::Told(..)) | None => Ok(()),
        })?;
        match (self.header().status(), self.outcome()) {
            (Status::Finished, Some(Ok(value))) => value.here().map_or(Ok(()), |it| visit.call(it)),
            (Status::Failed, _) => {
                let traverse = |work: &Work| match work {
                    Work::Here(call) => call.traverse(visit),
                    Work::Packed(_) => Ok(()),
                };
                self.slot.with_failed_work(traverse).unwrap_or(Ok(()))
            }
            _ => Ok(()),
        }
    }

    /// Returns how the last attempt has ended, if it has. A cancelled task has no outcome.
    pub(crate) fn outcome(&self) -> Option<Seen<'_>> {
        match self.slot.last()? {
            Ok(value) => value.read().map(Ok),
            Err(failure) => failure.read().map(Err),
        }
    }

    /// Returns the number of the client that submitted the task.
    pub(crate) fn client(&self) -> u32 {
        self.header().client()
    }
}

impl Job for PyJob {
    type Failure = Failure;

    fn header(&self) -> &Header {
        self.slot.header()
    }

    fn failure(&self) -> Option<Failure> {
        Some(self.outcome()?.err()?.clone())
    }

    fn fail(&self, failure: Failure) {
        self.store(Err(failure));
        self.hidden.list();
    }

    fn fail_by_engine(&self, why: &str) {
        self.store(Err(Failure::Told("EngineError", why.into())));
    }

    fn fail_as_endless(&self) {
        self.store(Err(Failure::Told("WaitCycleError", ENDLESS.into())));
    }

    fn reset(&self) {
        self.slot.another();
    }

    fn discard(&self) {
        self.forget_call();
        drop(self.revoke_if_cancelled());
    }

    fn name(&self) -> String {
        if let (KeyIs::Given, Some(packed)) = (self.key_is, self.packed()) {
            return packed.function.name.clone();
        }
        if let Some(text) = self.text() {
            return String::from(&**text);
        }
        let name = |py: Python<'_>| match (self.key_is, self.call(py)) {
            (KeyIs::Given, Some(call)) => {
                let function = call.call.bind(py).get_item(0).ok()?;
                function_name(&function).ok().map(|name| key_words(&name))
            }
            _ => Some(self.named_words(py)),
        };
        beside(name).flatten().unwrap_or_else(|| String::from("data"))
    }

    fn size(&self) -> Option<u64> {
        let value = self.outcome()?.ok()?;
        match value.here() {
            Some(value) => {
                beside(|py| crate::interpreter::size::bytes_of(value.bind(py))).flatten()
            }
            None => value.packed_size(),
        }
    }

    fn span(&self) -> Option<String> {
        let span = self.rare.as_ref()?.span.as_ref()?;
        beside(|py| {
            let tags = span.bind(py).iter();
            // A tag that is no text is shown as "?": turning it into text would run its own code.
            let tags = tags.map(|tag| match tag.cast::<PyString>() {
                Ok(tag) => tag.to_string_lossy().into_owned(),
                Err(_) => String::from("?"),
            });
            tags.collect::<Vec<_>>().join(" / ")
        })
    }

    fn arguments(&self) -> Option<String> {
        let arguments = |py: Python<'_>| {
            let call = self.call(py)?;
            let kwargs = call.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
            Some(argument_words(call.call.bind(py), kwargs))
        };
        beside(arguments).flatten()
    }

    fn key(&self) -> String {
        beside(|py| self.key_text(py)).unwrap_or_default()
    }
}

impl Drop for PyJob {
    fn drop(&mut self) {
        // Dropping a job drops Python objects, and their destructors may run any code.
        assert_unlocked();
        if let Some(task) = self.away() {
            upstream::release(task);
        }
    }
}
