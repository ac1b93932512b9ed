//! A task of the Rust interface: its closure and the place for its result, in one allocation.

use crate::error::Error;
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU32, Ordering};
use crate::runtime::{Attempts, Header, Job, Status, caught};
use azolla_core::Outcome;
use std::any::{Any, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

/// A task of whatever type, as the engine knows it.
pub trait Task: Job<Failure = Error> {
    /// Runs the closure and stores what comes of it, or polls the future once.
    fn run(self: Arc<Self>) -> Outcome;

    /// This task as an `Arc<dyn Typed<T>>` for its own `T`, in a box.
    fn typed(self: Arc<Self>) -> Box<dyn Any>;
}

/// A task with a result of this type.
pub(crate) trait Typed<T>: Task {
    /// What the last attempt came to, if it has ended.
    fn outcome(&self) -> Option<&Result<T, Error>>;

    /// The result, if there is one. It stays, even if the task is cancelled afterwards.
    fn value(&self) -> Option<&T>;
}

/// How a closure is called: once, or as often as it takes. Or how a future is polled.
pub(crate) trait Work<T>: Send + Sized {
    /// `cell` is the one that it was taken out of. Pending: the task is suspended.
    fn call(&mut self, cell: &Arc<Cell<T, Self>>) -> Poll<Result<T, Failure>>;

    /// Whether it has been called and cannot be again.
    fn is_spent(&self) -> bool {
        false
    }

    /// An attempt has failed: what belongs to it alone goes.
    fn end_attempt(&mut self) {}
}

/// Why a closure gave no result.
pub(crate) enum Failure {
    Error(Arc<dyn std::error::Error + Send + Sync>),
}

/// A closure that can be called once.
pub(crate) struct Once<F>(pub(crate) Option<F>);

/// A closure that can be called again.
pub(crate) struct Repeat<F>(pub(crate) F);

impl<T, F: FnOnce() -> Result<T, Failure> + Send> Work<T> for Once<F> {
    fn call(&mut self, _: &Arc<Cell<T, Self>>) -> Poll<Result<T, Failure>> {
        let call = self.0.take().expect("a closure that can be called once is called once");
        Poll::Ready(call())
    }

    fn is_spent(&self) -> bool {
        self.0.is_none()
    }
}

impl<T, F: Fn() -> Result<T, Failure> + Send> Work<T> for Repeat<F> {
    fn call(&mut self, _: &Arc<Cell<T, Self>>) -> Poll<Result<T, Failure>> {
        Poll::Ready((self.0)())
    }
}

pub(crate) struct Cell<T, W> {
    header: Header,
    work: Mutex<Option<W>>,
    attempts: Attempts<Result<T, Error>>,
    retries: AtomicU32,
    name: Name,
}

/// What a task is called.
pub(crate) enum Name {
    /// The name of its function's type; the key is made of that and the id.
    Function(&'static str),
    /// The key that the user gave.
    Key(Box<str>),
}

impl<T, W> Cell<T, W> {
    pub(crate) fn new(work: W, retries: u32, name: Name) -> Self {
        Self {
            header: Header::new(),
            work: Mutex::new(Some(work)),
            attempts: Attempts::new(),
            retries: AtomicU32::new(retries),
            name,
        }
    }
}

impl<T, W> Cell<T, W> {
    /// One that has its result already.
    pub(crate) fn holding(value: T, work: W, name: Name) -> Self {
        let cell = Self::new(work, 0, name);
        let _ = cell.attempts.store(Ok(value));
        cell
    }
}

impl<T: Send + Sync + 'static, W: Work<T> + 'static> Cell<T, W> {
    /// Puts the work back until the task is woken.
    fn suspend(&self, work: W) -> Outcome {
        *self.work.lock() = Some(work);
        // Whoever cancels says so before looking for the work: one of the two finds it.
        if self.header.status() == Status::Cancelled {
            caught(|| self.discard());
        }
        Outcome::Suspended
    }
}

impl<T: Send + Sync + 'static, W: Work<T> + 'static> Job for Cell<T, W> {
    type Failure = Error;

    fn header(&self) -> &Header {
        &self.header
    }

    fn failure(&self) -> Option<Error> {
        self.attempts.last()?.as_ref().err().cloned()
    }

    fn fail(&self, failure: Error) {
        let _ = self.attempts.store(Err(failure));
    }

    fn fail_by_engine(&self, why: &str) {
        let _ = self.attempts.store(Err(Error::Engine(why.into())));
    }

    fn reset(&self) {
        self.attempts.another();
    }

    fn discard(&self) {
        let work = self.work.lock().take();
        drop(work);
    }

    fn name(&self) -> String {
        match &self.name {
            Name::Key(key) => prefix(key).to_owned(),
            Name::Function(name) => short(name).to_owned(),
        }
    }

    fn error(&self) -> Option<String> {
        let error = self.failure()?;
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text.push_str(&format!("\ncaused by: {cause}"));
            source = cause.source();
        }
        Some(text)
    }

    fn size(&self) -> Option<u64> {
        crate::size::bytes_of(self.attempts.last()?.as_ref().ok()?)
    }

    fn key(&self) -> String {
        match &self.name {
            Name::Key(key) => key.to_string(),
            Name::Function(name) => {
                format!("{}-{:016x}", short(name), self.header.id().map_or(0, |id| id.to_bits()))
            }
        }
    }
}

impl<T: Send + Sync + 'static, W: Work<T> + 'static> Task for Cell<T, W> {
    fn run(self: Arc<Self>) -> Outcome {
        // The closure is taken out while it runs: user code never runs under a lock.
        let Some(mut work) = self.work.lock().take() else { return Outcome::Failed };
        if work.is_spent() {
            let again = self.attempts.before_last().and_then(|outcome| outcome.as_ref().err());
            let again = again.cloned().unwrap_or_else(|| Error::Cancelled { key: self.key() });
            *self.work.lock() = Some(work);
            let _ = self.attempts.store(Err(again));
            return Outcome::Failed;
        }
        let result = match catch_unwind(AssertUnwindSafe(|| work.call(&self))) {
            Ok(Poll::Pending) => return self.suspend(work),
            Ok(Poll::Ready(Ok(value))) => Ok(value),
            Ok(Poll::Ready(Err(Failure::Error(source)))) => {
                Err(Error::Failed { key: self.key(), source })
            }
            Err(panic) => {
                let message = message(&*panic);
                caught(|| drop(panic));
                Err(Error::Panicked { key: self.key(), message })
            }
        };
        let failed = result.is_err();
        if failed {
            caught(|| work.end_attempt());
            *self.work.lock() = Some(work);
            let left = self.retries.load(Ordering::Relaxed);
            if left > 0 {
                self.retries.store(left - 1, Ordering::Relaxed);
                return Outcome::Again;
            }
        } else {
            // The closure may own what others wait to get back: it goes before the result shows.
            caught(|| drop(work));
        }
        // A task cancelled meanwhile may have an outcome already; this one is nobody's then.
        let unwanted = self.attempts.store(result);
        caught(|| drop(unwanted));
        if failed { Outcome::Failed } else { Outcome::Done }
    }

    fn typed(self: Arc<Self>) -> Box<dyn Any> {
        let typed: Arc<dyn Typed<T>> = self;
        Box::new(typed)
    }
}

impl<T: Send + Sync + 'static, W: Work<T> + 'static> Typed<T> for Cell<T, W> {
    fn outcome(&self) -> Option<&Result<T, Error>> {
        match self.header.status() {
            Status::Finished | Status::Failed => self.attempts.last(),
            Status::Pending | Status::Cancelled => None,
        }
    }

    fn value(&self) -> Option<&T> {
        self.attempts.last()?.as_ref().ok()
    }
}

fn message(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(not a text)").into()
}

/// The last part of a type's path, without what stands in angle brackets.
fn short(name: &str) -> &str {
    let name = name.split('<').next().unwrap_or(name);
    let mut parts = name.rsplit("::").filter(|part| *part != "{{closure}}");
    parts.next().unwrap_or(name)
}

/// A key without the number at its end.
fn prefix(key: &str) -> &str {
    match key.rsplit_once('-') {
        Some((prefix, number)) if number.bytes().all(|byte| byte.is_ascii_hexdigit()) => prefix,
        _ => key,
    }
}

/// The name of a function or closure.
pub(crate) fn name_of<F>() -> Name {
    Name::Function(type_name::<F>())
}
