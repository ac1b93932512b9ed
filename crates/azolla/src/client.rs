//! The client, through which tasks are submitted.

use crate::cause::Cause;
use crate::cell::{Cell, Failure, Once, Repeat, Task, Typed, Work};
use crate::cluster::{Cluster, Membership};
use crate::counters::Counters;
use crate::error::Error;
use crate::future::{Future, wait_for};
use crate::inputs::Inputs;
use crate::placing::{Described, Placing};
use crate::runner::threads::{Threads, with_worker};
use crate::runtime::{
    Engine, Groups, Job, Names, Observations, Status, Submission, Until, Watch, watch_all,
};
use azolla_core::{Key, Priority, TaskId};
use smallvec::SmallVec;
use std::any::TypeId;
use std::error::Error as StdError;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::{fmt, io, thread};

/// Runs tasks on threads of its own. Clones are handles on the same client. When the last one goes,
/// the client cancels what is queued, waits for what runs, and ends its threads.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let squares = client.map(|x: u64| x * x, 0..10);
/// let sum: u64 = client.gather(&squares)?.into_iter().sum();
/// assert_eq!(sum, 285);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<ClientInner>);

pub(crate) struct ClientInner {
    pub(crate) engine: Arc<Engine<dyn Task>>,
    pub(crate) threads: Threads,
    pub(crate) membership: Membership,
}

/// The description of a client; see [`Client::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    threads: Option<usize>,
    pub(crate) workers: Vec<Described>,
}

impl Builder {
    /// Sets how many tasks run at once on the only worker of a client that has no
    /// [`worker`](Self::worker) of its own. The default is the number of processors.
    #[must_use]
    pub fn threads_per_worker(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Starts the client.
    ///
    /// # Errors
    /// If 0 threads were asked for, two workers have one name, a worker has a negative amount of
    /// something, or the system has no thread to give.
    pub fn build(mut self) -> io::Result<Client> {
        let wrong = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
        if self.workers.is_empty() {
            let threads = match self.threads {
                Some(threads) => threads,
                None => thread::available_parallelism()?.get(),
            };
            self = self.worker("0", threads, []);
        }
        let mut names: Vec<String> = Vec::new();
        for worker in &self.workers {
            if worker.threads == 0 {
                return Err(wrong("a worker needs at least one thread to run tasks on".into()));
            }
            if names.contains(&worker.name) {
                return Err(wrong(format!("two workers are called {:?}", worker.name)));
            }
            names.push(worker.name.clone());
        }
        let groups = Groups::new(self.workers.iter().map(|worker| {
            let resources = worker.resources.iter();
            (worker.threads, resources.map(|(name, amount)| (name.as_str(), *amount)))
        }));
        Client::on(Threads::of_workers(names), groups.map_err(|error| wrong(error.to_string()))?)
    }

    /// A client with one slot and no thread, whose tasks run in [`Client::turn`]. For measuring.
    #[doc(hidden)]
    pub fn by_hand(self) -> io::Result<Client> {
        Client::on(Threads::by_hand(), Groups::of_slots(1))
    }
}

impl Client {
    /// A client that runs as many tasks at once as there are processors.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// Begins to describe a client, to be built then.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn on(threads: Threads, groups: Groups) -> io::Result<Self> {
        let engine = Engine::start(groups, Box::new(threads.clone()))?;
        let first = Cluster::new().join(|membership| {
            Arc::new(ClientInner { engine, threads: threads.clone(), membership })
        });
        threads.set_owner(&first);
        Ok(Self(first))
    }

    /// Runs all that is ready on this thread, for a client made by [`Builder::by_hand`]. A wait
    /// inside a task would never end.
    #[doc(hidden)]
    pub fn turn(&self) {
        self.0.threads.run_by_hand();
    }

    /// Begins to describe a task: priority, key, retries. Then it is submitted.
    #[must_use]
    pub fn task(&self) -> TaskBuilder<'_> {
        TaskBuilder { client: self, priority: None, key: None, placing: None, parent: None }
    }

    /// Submits a closure. The task's result is what the closure returns.
    pub fn submit<T, F>(&self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.task().submit(function)
    }

    /// Submits a closure that may fail: an `Err` fails the task.
    pub fn try_submit<T, E, F>(&self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        self.task().try_submit(function)
    }

    /// Submits a closure that takes the results of futures, once they are there.
    pub fn submit_with<I, T, F>(&self, inputs: I, function: F) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        F: for<'a> FnOnce(I::Values<'a>) -> T + Send + 'static,
    {
        self.task().submit_with(inputs, function)
    }

    /// Submits a closure once for every item.
    pub fn map<X, T, F>(&self, function: F, items: impl IntoIterator<Item = X>) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        F: Fn(X) -> T + Send + Sync + 'static,
    {
        self.task().map(function, items)
    }

    /// Submits as [`map`](Self::map) does, with a closure that may fail.
    pub fn try_map<X, T, E, F>(
        &self,
        function: F,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Fn(X) -> Result<T, E> + Send + Sync + 'static,
    {
        self.task().try_map(function, items)
    }

    /// Submits as [`submit_with`](Self::submit_with) does, with a closure that may fail.
    pub fn try_submit_with<I, T, E, F>(&self, inputs: I, function: F) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: for<'a> FnOnce(I::Values<'a>) -> Result<T, E> + Send + 'static,
    {
        self.task().try_submit_with(inputs, function)
    }

    /// Waits for the results of all these futures, and returns them in the order of the futures.
    ///
    /// Outside tasks, a failure ends the wait at once. Inside a task, which runs what it waits for
    /// on its own stack, the wait goes on until all have ended.
    ///
    /// # Errors
    /// The error of one that failed.
    pub fn gather<'a, T: Send + Sync + 'static>(
        &self,
        futures: impl IntoIterator<Item = &'a Future<T>>,
    ) -> Result<Vec<&'a T>, Error> {
        let futures: Vec<&Future<T>> = futures.into_iter().collect();
        let in_task = with_worker(|worker| worker.is_some());
        let until = if in_task { Until::All } else { Until::AllOrFailure };
        loop {
            if let Some(outcome) = crate::awaiting::gathered(&futures) {
                return outcome;
            }
            // A task that fails at this moment is in the list, and ends the wait.
            let pending: Vec<Arc<dyn Task>> = futures
                .iter()
                .filter(|future| future.status() != Status::Finished)
                .map(|future| -> Arc<dyn Task> { future.cell() })
                .collect();
            wait_for(&pending, until, None)?;
        }
    }

    /// Gathers as [`gather`](Self::gather) does, to be awaited on any executor.
    ///
    /// # Errors
    /// The error of one that failed, as soon as one has.
    pub async fn gather_async<'a, T: Send + Sync + 'static>(
        &self,
        futures: impl IntoIterator<Item = &'a Future<T>>,
    ) -> Result<Vec<&'a T>, Error> {
        crate::awaiting::all(futures.into_iter().collect()).await
    }

    /// Runs again those of these tasks that have failed; see [`Future::retry`].
    pub fn retry<'a, T: Send + Sync + 'static>(
        &self,
        futures: impl IntoIterator<Item = &'a Future<T>>,
    ) {
        for future in futures {
            future.retry();
        }
    }

    /// Cancels all these tasks, and all tasks that depend on them.
    pub fn cancel<'a, T: Send + Sync + 'static>(
        &self,
        futures: impl IntoIterator<Item = &'a Future<T>>,
    ) {
        for future in futures {
            future.cancel();
        }
    }

    /// How many tasks there are and were.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.engine.counts().into()
    }

    /// Begins to observe what happens to tasks. Up to `capacity` observations are kept until they
    /// are taken; those beyond that are dropped and counted.
    ///
    /// ```
    /// use azolla::watch::What;
    ///
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let observations = client.observe(1000);
    /// client.submit(|| ()).result()?;
    /// let begun = |what| matches!(what, What::Begun { .. });
    /// assert_eq!(observations.take().iter().filter(|seen| begun(seen.what)).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn observe(&self, capacity: usize) -> Observations {
        self.0.engine.observe(capacity)
    }

    /// The view that a dashboard needs. It keeps the engine's memory, but does not keep the client
    /// open.
    #[must_use]
    pub fn watch(&self) -> Arc<dyn Watch> {
        Arc::<Engine<dyn Task>>::clone(&self.0.engine)
    }

    /// Checks every invariant of the scheduler; for tests.
    ///
    /// # Errors
    /// What does not hold, in words.
    #[doc(hidden)]
    pub fn check_invariants(&self) -> Result<(), String> {
        self.0.engine.check()
    }

    /// How many tasks may run at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.0.engine.slots()
    }

    /// Cancels what is queued, and waits for what runs. Every wait for a cancelled task ends.
    /// Dropping the last handle does the same. If there is [another](Self::another) client, that
    /// one goes on.
    pub fn close(&self) {
        self.0.close();
    }
}

impl ClientInner {
    fn close(&self) {
        match self.membership.leave() {
            Some(true) => {
                self.engine.close();
                self.threads.join();
            }
            Some(false) => {
                let number = self.membership.number;
                self.engine.cancel_those(|header| header.is_only_of(number));
            }
            None => {}
        }
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsRef<Names> for Client {
    fn as_ref(&self) -> &Names {
        self.0.engine.names()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.counters();
        f.debug_struct("Client")
            .field("slots", &self.slots())
            .field("live", &counters.live)
            .finish()
    }
}

/// The client that runs the task in which this is called; `None` outside tasks.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let future = client.submit(|| {
///     let client = azolla::current_client().expect("this is a task");
///     let children = client.map(|x: u32| x + 1, 0..10);
///     client.gather(&children).map(|grown| grown.into_iter().sum::<u32>())
/// });
/// assert_eq!(future.result()?.clone()?, 55);
/// assert!(azolla::current_client().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn current_client() -> Option<Client> {
    crate::runner::threads::current_owner()
}

/// Lets the calling task run on without a slot, so that another task can begin in its place. Does
/// nothing outside tasks, or if the task has seceded already.
///
/// [`Error::Closed`], or an error which says that there is no thread to take over the slot.
pub fn secede() -> Result<(), Error> {
    with_worker(|worker| worker.map_or(Ok(()), |worker| Ok(worker.secede().map(drop)?)))
}

/// Waits until the calling task, which has seceded, has a slot again. It comes before tasks that
/// have not begun.
///
/// # Errors
/// [`Error::Closed`].
pub fn rejoin() -> Result<(), Error> {
    with_worker(|worker| worker.map_or(Ok(()), |worker| Ok(worker.rejoin()?)))
}

/// A task to be submitted; see [`Client::task`].
#[derive(Clone)]
pub struct TaskBuilder<'c> {
    pub(crate) client: &'c Client,
    priority: Option<Priority>,
    pub(crate) key: Option<String>,
    pub(crate) placing: Option<Box<Placing>>,
    /// The group that it belongs to.
    parent: Option<TaskId>,
}

impl<'c> TaskBuilder<'c> {
    pub(crate) fn child_of(mut self, group: Option<TaskId>) -> Self {
        self.parent = group;
        self
    }

    /// Returns the group that it belongs to, or the task that runs on this thread.
    pub(crate) fn parent(&self) -> Option<TaskId> {
        self.parent.or_else(|| parent(&self.client.0.engine))
    }

    /// Sets how urgent the task is: higher goes first. By default a task takes the priority of the
    /// task that submits it, and 0 outside tasks.
    ///
    /// # Panics
    /// If it is NaN.
    #[must_use]
    pub fn priority(mut self, priority: impl Into<f64>) -> Self {
        self.priority = Some(Priority::new(priority.into()).expect("a priority is not NaN"));
        self
    }

    /// Sets the key to find the task by. If a task with this key is kept already, submitting gives
    /// a future on that task, whatever the function.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets how often the task runs again before it counts as failed. The closure must be one that
    /// can be called again.
    #[must_use]
    pub fn retries(self, retries: u32) -> RetryingBuilder<'c> {
        RetryingBuilder { task: self, retries }
    }

    /// As [`Client::submit`].
    pub fn submit<T, F>(self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.submit_work::<T, _, F>(Once(Some(move || Ok(function()))), 0, ())
    }

    /// As [`Client::try_submit`].
    pub fn try_submit<T, E, F>(self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        self.submit_work::<T, _, F>(Once(Some(move || function().map_err(failure))), 0, ())
    }

    /// As [`Client::submit_with`].
    pub fn submit_with<I, T, F>(self, inputs: I, function: F) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        F: for<'a> FnOnce(I::Values<'a>) -> T + Send + 'static,
    {
        let held = inputs.hold();
        let work = Once(Some(move || Ok(function(I::values(&held)))));
        self.submit_work::<T, _, F>(work, 0, inputs)
    }

    /// As [`Client::try_submit_with`].
    pub fn try_submit_with<I, T, E, F>(self, inputs: I, function: F) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: for<'a> FnOnce(I::Values<'a>) -> Result<T, E> + Send + 'static,
    {
        let held = inputs.hold();
        let work = Once(Some(move || function(I::values(&held)).map_err(failure)));
        self.submit_work::<T, _, F>(work, 0, inputs)
    }

    /// As [`Client::map`].
    pub fn map<X, T, F>(self, function: F, items: impl IntoIterator<Item = X>) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        F: Fn(X) -> T + Send + Sync + 'static,
    {
        self.map_each::<F, _, _>(move |item| Ok(function(item)), items)
    }

    /// As [`Client::try_map`].
    pub fn try_map<X, T, E, F>(
        self,
        function: F,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Fn(X) -> Result<T, E> + Send + Sync + 'static,
    {
        self.map_each::<F, _, _>(move |item| function(item).map_err(failure), items)
    }

    /// Submits `function` once for every item. The tasks are named after `F`.
    fn map_each<F, X, T>(
        self,
        function: impl Fn(X) -> Result<T, Failure> + Send + Sync + 'static,
        items: impl IntoIterator<Item = X>,
    ) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        F: 'static,
    {
        let function = Arc::new(function);
        self.map_work::<T, _, F>(items.into_iter().map(move |item| {
            let function = Arc::clone(&function);
            Once(Some(move || function(item)))
        }))
    }

    /// Submits a task, which is named after `F`.
    pub(crate) fn submit_work<T, W, F>(
        mut self,
        work: W,
        retries: u32,
        inputs: impl Inputs,
    ) -> Future<T>
    where
        T: Send + Sync + 'static,
        W: Work<T> + 'static,
        F: 'static,
    {
        let engine = &self.client.0.engine;
        let mut tasks: SmallVec<[Arc<dyn Task>; 2]> = SmallVec::new();
        let mut foreign = None;
        inputs.visit(&mut |owner, task| {
            if !Arc::ptr_eq(owner, engine) {
                foreign = Some(task.key());
            }
            tasks.push(task);
        });
        if let Some(key) = foreign {
            return self.failed(Error::OtherClient { key });
        }
        let constraint = match self.constraint() {
            Ok(constraint) => constraint,
            Err(error) => return self.failed(*error),
        };
        let key = self.key.as_deref().map(digest);
        let cell = Arc::new(Cell::<T, W, F>::new(work, retries, self.key.take()));
        cell.header().set_client(self.client.0.membership.number);
        if self.client.0.membership.has_left() {
            turn_away(&*cell);
            return Future::new(cell, Arc::clone(engine));
        }
        let existing = engine.submit(Submission {
            payload: Arc::<Cell<T, W, F>>::clone(&cell),
            key,
            priority: self.priority,
            parent: self.parent(),
            kind: kind::<F>(),
            constraint,
            inputs: watch_all(&tasks),
            call: false,
        });
        match existing {
            None => Future::new(cell, Arc::clone(engine)),
            Some(job) => self.existing(job),
        }
    }

    /// A future on a task that has failed before it began.
    fn failed<T: Send + Sync + 'static>(&self, error: Error) -> Future<T> {
        self.failed_as(self.key.clone().unwrap_or_else(|| "rejected".into()), error)
    }

    fn failed_as<T: Send + Sync + 'static>(&self, key: String, error: Error) -> Future<T> {
        let none: Once<fn() -> Result<T, Failure>> = Once(None);
        let cell: Cell<T, _, ()> = Cell::new(none, 0, Some(key));
        cell.fail(error);
        cell.header().settle_quietly(Status::Failed);
        Future::new(Arc::new(cell), Arc::clone(&self.client.0.engine))
    }

    pub(crate) fn map_work<T, W, F>(self, works: impl Iterator<Item = W>) -> Vec<Future<T>>
    where
        T: Send + Sync + 'static,
        W: Work<T> + 'static,
        F: 'static,
    {
        let engine = &self.client.0.engine;
        let parent = self.parent();
        let constraint = match self.constraint() {
            Ok(constraint) => constraint,
            Err(error) => return works.map(|_| self.failed((*error).clone())).collect(),
        };
        // The futures are made at once: if the caller's iterator panics, no task is left behind
        // without one.
        let mut futures: Vec<Future<T>> = Vec::with_capacity(works.size_hint().0);
        let submissions = works.enumerate().map(|(number, work)| {
            let key = self.key.as_ref().map(|prefix| format!("{prefix}-{number}"));
            let digest = key.as_deref().map(digest);
            let cell = Arc::new(Cell::<T, W, F>::new(work, 0, key));
            futures.push(Future::new(Arc::<Cell<T, W, F>>::clone(&cell), Arc::clone(engine)));
            let job: Arc<dyn Task> = cell;
            job.header().set_client(self.client.0.membership.number);
            Submission {
                key: digest,
                priority: self.priority,
                parent,
                constraint: constraint.clone(),
                ..Submission::new(job, kind::<F>())
            }
        });
        if self.client.0.membership.has_left() {
            submissions.for_each(|submission| turn_away(&*submission.payload));
            return futures;
        }
        for (place, job) in engine.submit_all(submissions) {
            futures[place] = self.existing(job);
        }
        futures
    }

    /// A future on the task that had the key already. The header counts this future already.
    pub(crate) fn existing<T: Send + Sync + 'static>(&self, job: Arc<dyn Task>) -> Future<T> {
        let engine = &self.client.0.engine;
        job.header().add_client(self.client.0.membership.number);
        match Arc::clone(&job).typed().downcast::<Arc<dyn Typed<T>>>() {
            Ok(typed) => Future::new(*typed, Arc::clone(engine)),
            Err(_) => {
                if job.header().remove_future() {
                    engine.release(job.header());
                }
                let (key, expected) = (job.key(), std::any::type_name::<T>());
                self.failed_as(key.clone(), Error::KeyType { key, expected })
            }
        }
    }
}

/// A task that runs again when it fails; see [`TaskBuilder::retries`].
#[derive(Clone)]
pub struct RetryingBuilder<'c> {
    pub(crate) task: TaskBuilder<'c>,
    pub(crate) retries: u32,
}

impl RetryingBuilder<'_> {
    /// As [`Client::try_submit`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// static CALLS: AtomicU32 = AtomicU32::new(0);
    ///
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let future = client.task().retries(2).try_submit(|| {
    ///     let call = CALLS.fetch_add(1, Ordering::SeqCst);
    ///     if call < 2 { Err("not yet") } else { Ok(call) }
    /// });
    /// assert_eq!(*future.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_submit<T, E, F>(self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Fn() -> Result<T, E> + Send + 'static,
    {
        let work = Repeat(move || function().map_err(failure));
        self.task.submit_work::<T, _, F>(work, self.retries, ())
    }

    /// As [`Client::submit`]: only a panic is a failure.
    pub fn submit<T, F>(self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        F: Fn() -> T + Send + 'static,
    {
        self.task.submit_work::<T, _, F>(Repeat(move || Ok(function())), self.retries, ())
    }

    /// As [`Client::submit_with`], with a closure that may fail.
    pub fn try_submit_with<I, T, E, F>(self, inputs: I, function: F) -> Future<T>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: for<'a> Fn(I::Values<'a>) -> Result<T, E> + Send + 'static,
    {
        let held = inputs.hold();
        let work = Repeat(move || function(I::values(&held)).map_err(failure));
        self.task.submit_work::<T, _, F>(work, self.retries, inputs)
    }
}

pub(crate) fn failure(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
    Failure::Error(Cause::new(Arc::from(error.into())))
}

/// Ends a task that was submitted through a client that has left.
pub(crate) fn turn_away(job: &dyn Task) {
    job.header().settle_quietly(Status::Cancelled);
    job.discard();
}

pub(crate) fn digest(key: &str) -> Key {
    Key::from_digest(crate::runtime::digest(key.as_bytes()))
}

pub(crate) fn kind<F: 'static>() -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    TypeId::of::<F>().hash(&mut hasher);
    hasher.finish()
}

/// The task that runs on this thread, if it belongs to this engine.
pub(crate) fn parent(engine: &Arc<Engine<dyn Task>>) -> Option<TaskId> {
    with_worker(|worker| {
        let worker = worker.filter(|worker| Arc::ptr_eq(worker.engine(), engine))?;
        worker.current()
    })
}
