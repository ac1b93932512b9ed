//! Tasks that are Rust futures: submitted as such, and polled by the workers.

use crate::cell::{Failure, Once, Repeat};
use crate::client::{Client, RetryingBuilder, TaskBuilder, failure};
use crate::future::Future;
use crate::inputs::Inputs;
use crate::polled::Polled;
use std::error::Error as StdError;
use std::future::Future as StdFuture;
use std::sync::Arc;

impl Client {
    /// Submits a future. The workers poll it each time that it is woken, and its output is the
    /// task's result.
    ///
    /// A future holds a slot only while it is polled, so any number of them can wait at the same
    /// time. It may be woken from any thread. It brings its own sources of wake-ups (a runtime's
    /// timers and sockets, a channel): azolla has none. A future that was woken is polled before
    /// any task of its priority that has not begun. One that woke itself while it was polled, to
    /// let other tasks go first, is polled after all that is ready.
    ///
    /// Cancelling the task, or dropping its last future, drops the submitted future; if it is just
    /// being polled, at the next `.await`. [`forget`](Future::forget) has it run to its end. A
    /// panic fails the task. Inside, await azolla's futures rather than wait for them: that keeps
    /// no thread. Tasks that await each other in a circle are not detected: a future that awaits several things may
    /// go on with any of them. To block by an executor (`block_on`) inside would keep the slot. A future that captures a
    /// [`Client`] keeps the client open until it ends: capture a [`WeakClient`](crate::WeakClient), or ask
    /// [`current_client`](crate::current_client).
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let parts = client.map(|n: u64| n * n, 0..10);
    /// let sum = client.submit_async(async move {
    ///     let mut sum = 0;
    ///     for part in &parts {
    ///         sum += *part.await?;
    ///     }
    ///     Ok::<_, azolla::Error>(sum)
    /// });
    /// assert_eq!(sum.result()?.clone()?, 285);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_async<F>(&self, future: F) -> Future<F::Output>
    where
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
    {
        self.task().submit_async(future)
    }

    /// As [`submit_async`](Self::submit_async), with a future that may fail: an `Err` fails the task.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let three = client.submit(|| 3);
    /// let sum = client.try_submit_async(async move { Ok::<_, azolla::Error>(*three.await? + 4) });
    /// assert_eq!(*sum.result()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_submit_async<T, E, F>(&self, future: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
    {
        self.task().try_submit_async(future)
    }

    /// Submits a closure that makes a future out of the results of other futures, once they are
    /// there. The closure is given [`Value`](crate::Value)s, since the future outlives the call.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let name = client.submit(|| String::from("fern"));
    /// let length = client.submit_async_with(&name, |name| async move { name.len() });
    /// assert_eq!(*length.result()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_async_with<I, F, C>(&self, inputs: I, function: C) -> Future<F::Output>
    where
        I: Inputs,
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
        C: FnOnce(I::Owned) -> F + Send + 'static,
    {
        self.task().submit_async_with(inputs, function)
    }

    /// As [`submit_async_with`](Self::submit_async_with), with a future that may fail.
    pub fn try_submit_async_with<I, T, E, F, C>(&self, inputs: I, function: C) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
        C: FnOnce(I::Owned) -> F + Send + 'static,
    {
        self.task().try_submit_async_with(inputs, function)
    }

    /// Submits, for every item, the future that `function` makes of it.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let squares = client.map_async(|n: u64| async move { n * n }, 0..4);
    /// assert_eq!(client.gather(&squares)?, [&0, &1, &4, &9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_async<X, F, C>(
        &self,
        function: C,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<F::Output>>
    where
        X: Send + 'static,
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
        C: Fn(X) -> F + Send + Sync + 'static,
    {
        self.task().map_async(function, items)
    }

    /// As [`map_async`](Self::map_async), with futures that may fail.
    pub fn try_map_async<X, T, E, F, C>(
        &self,
        function: C,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
        C: Fn(X) -> F + Send + Sync + 'static,
    {
        self.task().try_map_async(function, items)
    }
}

impl TaskBuilder<'_> {
    /// As [`Client::submit_async`].
    pub fn submit_async<F>(self, future: F) -> Future<F::Output>
    where
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
    {
        let work = Polled::given(&self.client.0.engine, future, Ok);
        self.submit_work::<_, _, F>(work, 0, ())
    }

    /// As [`Client::try_submit_async`].
    pub fn try_submit_async<T, E, F>(self, future: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
    {
        let work = Polled::given(&self.client.0.engine, future, fallible);
        self.submit_work::<_, _, F>(work, 0, ())
    }

    /// As [`Client::submit_async_with`].
    pub fn submit_async_with<I, F, C>(self, inputs: I, function: C) -> Future<F::Output>
    where
        I: Inputs,
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
        C: FnOnce(I::Owned) -> F + Send + 'static,
    {
        let values = inputs.own();
        let make = Once(Some(move || function(values)));
        let work = Polled::made(&self.client.0.engine, make, Ok);
        self.submit_work::<_, _, C>(work, 0, inputs)
    }

    /// As [`Client::try_submit_async_with`].
    pub fn try_submit_async_with<I, T, E, F, C>(self, inputs: I, function: C) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
        C: FnOnce(I::Owned) -> F + Send + 'static,
    {
        let values = inputs.own();
        let make = Once(Some(move || function(values)));
        let work = Polled::made(&self.client.0.engine, make, fallible);
        self.submit_work::<_, _, C>(work, 0, inputs)
    }

    /// As [`Client::map_async`].
    pub fn map_async<X, F, C>(
        self,
        function: C,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<F::Output>>
    where
        X: Send + 'static,
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
        C: Fn(X) -> F + Send + Sync + 'static,
    {
        self.map_polled(function, items, Ok)
    }

    /// As [`Client::try_map_async`].
    pub fn try_map_async<X, T, E, F, C>(
        self,
        function: C,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
        C: Fn(X) -> F + Send + Sync + 'static,
    {
        self.map_polled(function, items, fallible)
    }

    fn map_polled<X, T, F, C>(
        self,
        function: C,
        items: impl IntoIterator<Item = X>,
        result: fn(F::Output) -> Result<T, Failure>,
    ) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        F: StdFuture + Send + 'static,
        C: Fn(X) -> F + Send + Sync + 'static,
    {
        let (function, engine) = (Arc::new(function), Arc::clone(&self.client.0.engine));
        self.map_work::<_, _, C>(items.into_iter().map(move |item| {
            let function = Arc::clone(&function);
            Polled::made(&engine, Once(Some(move || function(item))), result)
        }))
    }
}

impl RetryingBuilder<'_> {
    /// As [`Client::submit_async`], with a closure that makes a future for each attempt: only a
    /// panic is a failure.
    pub fn submit_async<F, C>(self, function: C) -> Future<F::Output>
    where
        F: StdFuture + Send + 'static,
        F::Output: Send + Sync + 'static,
        C: Fn() -> F + Send + 'static,
    {
        let work = Polled::made(&self.task.client.0.engine, Repeat(function), Ok);
        self.task.submit_work::<_, _, C>(work, self.retries, ())
    }

    /// As [`Client::try_submit_async`], with a closure that makes a future for each attempt.
    pub fn try_submit_async<T, E, F, C>(self, function: C) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: StdFuture<Output = Result<T, E>> + Send + 'static,
        C: Fn() -> F + Send + 'static,
    {
        let work = Polled::made(&self.task.client.0.engine, Repeat(function), fallible);
        self.task.submit_work::<_, _, C>(work, self.retries, ())
    }
}

/// The outcome of a future that may fail.
fn fallible<T, E>(output: Result<T, E>) -> Result<T, Failure>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    output.map_err(failure)
}
