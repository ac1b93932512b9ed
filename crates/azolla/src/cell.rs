//! A task of the Rust interface: its closure and the place for its result, in one allocation.

use crate::error::Error;
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU32, Ordering};
use crate::runtime::{Attempts, Header, Job, Status, caught};
use azolla_core::Outcome;
use std::any::{Any, type_name};
use std::marker::PhantomData;
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
    fn outcome(&self) -> Option<Result<&T, &Error>>;

    /// The result, if there is one. It stays, even if the task is cancelled afterwards.
    fn value(&self) -> Option<&T>;
}

/// How a closure is called: once, or as often as it takes. Or how a future is polled.
pub(crate) trait Work<T>: Send + Sized {
    /// `cell` is the one that it was taken out of. Pending: the task is suspended.
    fn call<N: 'static>(&mut self, cell: &Arc<Cell<T, Self, N>>) -> Poll<Result<T, Failure>>
    where
        Self: Sized;

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
    fn call<N: 'static>(&mut self, _: &Arc<Cell<T, Self, N>>) -> Poll<Result<T, Failure>> {
        let call = self.0.take().expect("a closure that can be called once is called once");
        Poll::Ready(call())
    }

    fn is_spent(&self) -> bool {
        self.0.is_none()
    }
}

impl<T, F: Fn() -> Result<T, Failure> + Send> Work<T> for Repeat<F> {
    fn call<N: 'static>(&mut self, _: &Arc<Cell<T, Self, N>>) -> Poll<Result<T, Failure>> {
        Poll::Ready((self.0)())
    }
}

/// A task that gives a `T`, does `W`, and is called after `F`.
pub(crate) struct Cell<T, W, F> {
    header: Header,
    work: Mutex<Option<W>>,
    attempts: Attempts<T, Error>,
    retries: AtomicU32,
    /// The key that the user gave. Without one it is made of the name of `F` and the id.
    key: Option<Box<str>>,
    function: PhantomData<fn() -> F>,
}

impl<T, W, F> Cell<T, W, F> {
    pub(crate) fn new(work: W, retries: u32, key: Option<&str>) -> Self {
        Self {
            header: Header::new(),
            work: Mutex::new(Some(work)),
            attempts: Attempts::new(),
            retries: AtomicU32::new(retries),
            key: key.map(Into::into),
            function: PhantomData,
        }
    }
}

impl<T, W, F> Cell<T, W, F> {
    /// One that has its result already.
    pub(crate) fn holding(value: T, work: W, key: Option<&str>) -> Self {
        let cell = Self::new(work, 0, key);
        cell.attempts.store(Ok(value));
        cell
    }
}

impl<T, W, F> Cell<T, W, F>
where
    T: Send + Sync + 'static,
    W: Work<T> + 'static,
    F: 'static,
{
    /// Runs or polls the task once.
    fn attempt(self: &Arc<Self>) -> Outcome {
        // The closure is taken out while it runs: user code never runs under a lock.
        let Some(mut work) = self.work.lock().take() else { return Outcome::Failed };
        if work.is_spent() {
            let again = self.attempts.before_last().cloned();
            let again = again.unwrap_or_else(|| Error::Cancelled { key: self.key() });
            *self.work.lock() = Some(work);
            self.attempts.store(Err(again));
            return Outcome::Failed;
        }
        let result = match catch_unwind(AssertUnwindSafe(|| work.call(self))) {
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
        caught(|| self.attempts.store(result));
        if failed { Outcome::Failed } else { Outcome::Done }
    }

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

impl<T, W, F> Job for Cell<T, W, F>
where
    T: Send + Sync + 'static,
    W: Work<T> + 'static,
    F: 'static,
{
    type Failure = Error;

    fn header(&self) -> &Header {
        &self.header
    }

    fn failure(&self) -> Option<Error> {
        self.attempts.last()?.err().cloned()
    }

    fn fail(&self, failure: Error) {
        self.attempts.store(Err(failure));
    }

    fn fail_by_engine(&self, why: &str) {
        self.attempts.store(Err(Error::Engine(why.into())));
    }

    fn reset(&self) {
        self.attempts.another();
    }

    fn discard(&self) {
        let work = self.work.lock().take();
        drop(work);
    }

    fn name(&self) -> String {
        self.key.as_deref().map_or(short(type_name::<F>()), prefix).to_owned()
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
        crate::size::bytes_of(self.attempts.last()?.ok()?)
    }

    fn key(&self) -> String {
        let id = || self.header.id().map_or(0, |id| id.to_bits());
        match &self.key {
            Some(key) => key.to_string(),
            None => format!("{}-{:016x}", short(type_name::<F>()), id()),
        }
    }
}

impl<T, W, F> Task for Cell<T, W, F>
where
    T: Send + Sync + 'static,
    W: Work<T> + 'static,
    F: 'static,
{
    fn run(self: Arc<Self>) -> Outcome {
        self.attempt()
    }

    fn typed(self: Arc<Self>) -> Box<dyn Any> {
        let typed: Arc<dyn Typed<T>> = self;
        Box::new(typed)
    }
}

impl<T, W, F> Typed<T> for Cell<T, W, F>
where
    T: Send + Sync + 'static,
    W: Work<T> + 'static,
    F: 'static,
{
    fn outcome(&self) -> Option<Result<&T, &Error>> {
        match self.header.status() {
            Status::Finished | Status::Failed => self.attempts.last(),
            Status::Pending | Status::Cancelled => None,
        }
    }

    fn value(&self) -> Option<&T> {
        self.attempts.last()?.ok()
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
