//! The work of an async task: a future that the workers poll.
//!
//! A worker takes the future out of its cell, polls it, and puts it back. So one worker at a time
//! polls it, and the task holds a slot only while it is polled. A waker holds the task weakly: a
//! waker that is kept for long keeps no task alive, and does nothing when the task is gone.

use crate::cell::{Cell, Failure, Once, Repeat, Task, Work};
use crate::lending::Polls;
use crate::runner::threads::with_worker;
use crate::runtime::{Engine, Job};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) struct Polled<M, F: Future, T> {
    make: M,
    /// The future of the present attempt.
    future: Option<Pin<Box<F>>>,
    waker: Option<Waker>,
    engine: Weak<Engine<dyn Task>>,
    /// Turns the future's output into the task's outcome.
    result: fn(F::Output) -> Result<T, Failure>,
}

/// Makes the future of each attempt.
pub(crate) trait Make<F>: Send {
    fn make(&mut self) -> F;
    fn is_spent(&self) -> bool;
}

/// There is nothing to make: the user gave the future itself, for the only attempt.
pub(crate) struct NoMaker;

impl<F> Make<F> for NoMaker {
    fn make(&mut self) -> F {
        unreachable!("what is spent is not asked")
    }

    fn is_spent(&self) -> bool {
        true
    }
}

impl<F, C: FnOnce() -> F + Send> Make<F> for Once<C> {
    fn make(&mut self) -> F {
        self.0.take().expect("a closure that can be called once is called once")()
    }

    fn is_spent(&self) -> bool {
        self.0.is_none()
    }
}

impl<F, C: Fn() -> F + Send> Make<F> for Repeat<C> {
    fn make(&mut self) -> F {
        (self.0)()
    }

    fn is_spent(&self) -> bool {
        false
    }
}

impl<F: Future, T> Polled<NoMaker, F, T> {
    pub(crate) fn given(
        engine: &Arc<Engine<dyn Task>>,
        future: F,
        result: fn(F::Output) -> Result<T, Failure>,
    ) -> Self {
        let (make, future) = (NoMaker, Some(Box::pin(future)));
        Self { make, future, waker: None, engine: Arc::downgrade(engine), result }
    }
}

impl<M: Make<F>, F: Future, T> Polled<M, F, T> {
    pub(crate) fn made(
        engine: &Arc<Engine<dyn Task>>,
        make: M,
        result: fn(F::Output) -> Result<T, Failure>,
    ) -> Self {
        Self { make, future: None, waker: None, engine: Arc::downgrade(engine), result }
    }
}

impl<M, F, T> Work<T> for Polled<M, F, T>
where
    M: Make<F> + 'static,
    F: Future + Send + 'static,
    T: Send + Sync + 'static,
{
    fn call<N: 'static>(&mut self, cell: &Arc<Cell<T, Self, N>>) -> Poll<Result<T, Failure>> {
        let Self { make, future, waker, engine, result } = self;
        cell.header().begin_poll();
        let future = future.get_or_insert_with(|| Box::pin(make.make()));
        let waker = waker.get_or_insert_with(|| {
            let task: Arc<dyn Task> = Arc::<Cell<T, Self, N>>::clone(cell);
            Arc::new(Wakes { engine: Weak::clone(engine), task: Arc::downgrade(&task) }).into()
        });
        let _polls = Polls::set(true);
        future.as_mut().poll(&mut Context::from_waker(waker)).map(*result)
    }

    fn is_spent(&self) -> bool {
        self.future.is_none() && self.make.is_spent()
    }

    fn end_attempt(&mut self) {
        self.future = None;
    }
}

/// A waker of an async task.
struct Wakes {
    engine: Weak<Engine<dyn Task>>,
    task: Weak<dyn Task>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some((task, engine)) = self.task.upgrade().zip(self.engine.upgrade()) else { return };
        let of_this_thread = with_worker(|worker| {
            let worker = worker.filter(|worker| Arc::ptr_eq(worker.engine(), &engine))?;
            Some(worker.current() == task.header().id())
        });
        if of_this_thread == Some(true) {
            task.header().yields();
        } else {
            engine.wake(task.header());
        }
    }
}
