//! A task of the Rust interface: its closure and the place for its result, in one allocation.

use crate::cause::Cause;
use crate::error::Error;
use crate::runtime::{Header, Job, Slot, Status, caught};
use azolla_core::Outcome;
use std::any::{Any, type_name};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

/// A task of any type, as the engine knows it.
pub trait Task: Job<Failure = Error> {
    /// Runs the closure and stores its outcome, or polls the future once.
    fn run(self: Arc<Self>) -> Outcome;

    /// This task as an `Arc<dyn Typed<T>>` for its own `T`, in a box.
    fn typed(self: Arc<Self>) -> Box<dyn Any>;
}

/// A task with a result of this type.
pub(crate) trait Typed<T>: Task {
    /// The outcome of the last attempt, if it has ended.
    fn outcome(&self) -> Option<Result<&T, &Error>>;

    /// The result, if there is one. It stays even if the task is cancelled afterwards.
    fn value(&self) -> Option<&T>;
}

/// The work of a task: a closure that can be called once, or again and again, or a future.
pub(crate) trait Work<T>: Send + Sized {
    /// Calls the closure or polls the future. The work was taken out of `cell`. `Pending` means
    /// that the task is suspended.
    fn call<N: 'static>(&mut self, cell: &Arc<Cell<T, Self, N>>) -> Poll<Result<T, Failure>>
    where
        Self: Sized;

    /// Returns true if the work was done once and cannot be done again.
    fn is_spent(&self) -> bool {
        false
    }

    /// Drops what belongs to the attempt that has failed.
    fn end_attempt(&mut self) {}
}

/// Why a closure gave no result.
pub(crate) enum Failure {
    Error(Cause),
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

/// A task with the result `T` and the work `W`, named after the type `F`.
pub(crate) struct Cell<T, W, F> {
    slot: Slot<T, W, Error>,
    /// The key that the user gave. Without one, the key is made of the name of `F` and the task's
    /// id.
    key: Option<Box<UserKey>>,
    function: PhantomData<fn() -> F>,
}

/// A key that the user gave. Few tasks have one, so it is boxed and takes one pointer in the cell.
struct UserKey(String);

// The closure or the result adds to this.
#[cfg(all(target_pointer_width = "64", not(azolla_shuttle)))]
const _: () = assert!(size_of::<Cell<(), Once<fn()>, ()>>() == 56 + 8 + 8);

impl<T, W, F> Cell<T, W, F> {
    pub(crate) fn new(work: W, retries: u32, key: Option<String>) -> Self {
        Self::of(Slot::with_work(work, retries), key)
    }

    /// A task that has its result already.
    pub(crate) fn holding(value: T, key: Option<String>) -> Self {
        let slot = Slot::empty();
        slot.store(Ok(value), None);
        Self::of(slot, key)
    }

    fn of(slot: Slot<T, W, Error>, key: Option<String>) -> Self {
        Self { slot, key: key.map(|key| Box::new(UserKey(key))), function: PhantomData }
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
        // The closure is taken out while it runs, so user code never runs under a lock.
        let Some(mut work) = self.slot.take_work() else { return Outcome::Failed };
        if work.is_spent() {
            let again = self.slot.before_last().cloned();
            let again = again.unwrap_or_else(|| Error::Cancelled { key: self.key() });
            self.slot.store(Err(again), Some(work));
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
        if result.is_ok() {
            // The closure may own something that other threads wait for, so it is dropped before
            // the result shows.
            caught(|| drop(work));
            // If the task was cancelled meanwhile it may have an outcome already. Then this one is
            // dropped.
            caught(|| self.slot.store(result, None));
            return Outcome::Done;
        }
        caught(|| work.end_attempt());
        if self.header().take_retry() {
            self.put_back(work);
            caught(|| drop(result));
            return Outcome::Again;
        }
        caught(|| self.slot.store(result, Some(work)));
        Outcome::Failed
    }

    /// Keeps the work until the task is woken.
    fn suspend(&self, work: W) -> Outcome {
        self.put_back(work);
        Outcome::Suspended
    }

    /// Puts the work back until the task is run again.
    fn put_back(&self, work: W) {
        self.slot.put_back(work);
        // A thread that cancels sets the status before it looks for the work, and this thread puts
        // the work back before it looks at the status. So one of the two finds the work.
        if self.header().status() == Status::Cancelled {
            caught(|| self.discard());
        }
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
        self.slot.header()
    }

    fn failure(&self) -> Option<Error> {
        self.slot.last()?.err().cloned()
    }

    fn fail(&self, failure: Error) {
        self.slot.store(Err(failure), None);
    }

    fn fail_by_engine(&self, why: &str) {
        self.slot.store(Err(Error::Engine(why.into())), None);
    }

    fn fail_as_endless(&self) {
        self.slot.store(Err(Error::WaitCycle { keys: Vec::new() }), None);
    }

    fn reset(&self) {
        self.slot.another();
    }

    fn discard(&self) {
        drop(self.slot.take_work());
    }

    fn name(&self) -> String {
        match &self.key {
            Some(key) => prefix(&key.0).to_owned(),
            None => short(type_name::<F>()).to_owned(),
        }
    }

    fn error(&self) -> Option<String> {
        Some(self.failure()?.in_words())
    }

    fn size(&self) -> Option<u64> {
        crate::size::bytes_of(self.slot.last()?.ok()?)
    }

    fn key(&self) -> String {
        let id = || self.header().id().map_or(0, |id| id.to_bits());
        match &self.key {
            Some(key) => key.0.clone(),
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
        match self.header().status() {
            Status::Finished | Status::Failed => self.slot.last(),
            Status::Pending | Status::Cancelled => None,
        }
    }

    fn value(&self) -> Option<&T> {
        self.slot.last()?.ok()
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
