//! Groups: all that is submitted in one, and all that grows from there, is waited for and cancelled together.

use crate::cell::{Cell, Failure, Once, Task};
use crate::client::{Client, TaskBuilder, parent, turn_away};
use crate::error::Error;
use crate::future::{Future, wait_for};
use crate::primitives::now;
use crate::runtime::{Engine, Job, Status, Until, dropping};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Of a task that runs nowhere.
type NoWork = Once<fn() -> Result<(), Failure>>;

/// A gate: a task that runs nowhere, and ends when what it waits for has.
fn gate(name: Option<&str>, client: u32) -> Arc<dyn Task> {
    // As all keys it has the name and a number, of which nobody asks.
    let key = name.map(|name| format!("{name}-0"));
    let gate = Cell::<(), NoWork, Group>::holding((), key);
    gate.header().set_client(client);
    Arc::new(gate)
}

/// How many tasks of a group have not ended, and how many have ended how.
pub use azolla_core::Tally;

/// The description of a group; see [`Client::group_builder`].
#[derive(Debug)]
pub struct GroupBuilder<'c> {
    client: &'c Client,
    name: Option<String>,
    cancels: bool,
}

impl GroupBuilder<'_> {
    /// Sets what the group is called in errors. The default is `group`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets all tasks run, whatever fails. By default the first failure cancels the rest.
    #[must_use]
    pub fn collect(mut self) -> Self {
        self.cancels = false;
        self
    }

    /// Opens the group. See [`Client::group_guard`].
    #[must_use]
    pub fn open(self) -> Group {
        let Client(inner) = self.client;
        let name = self.name.unwrap_or_else(|| "group".into());
        let gate = gate(Some(&name), inner.membership.number);
        let engine = &inner.engine;
        if inner.membership.has_left() {
            turn_away(&*gate);
        } else {
            engine.open_scope(&gate, parent(engine), self.cancels);
        }
        Group { client: self.client.clone(), gate, name, cancels: self.cancels, joined: false }
    }

    /// Calls `block` with the group, then waits until all that belongs to it has ended. See [`Client::group`].
    ///
    /// # Errors
    /// As for [`Group::join`].
    pub fn run<R>(self, block: impl FnOnce(&Group) -> R) -> Result<R, Error> {
        let group = self.open();
        match catch_unwind(AssertUnwindSafe(|| block(&group))) {
            Ok(result) => group.join().map(|()| result),
            Err(panic) => {
                group.cancel();
                drop(group.join());
                resume_unwind(panic)
            }
        }
    }
}

/// All that was submitted in it, and all that grows from there. Its tasks run to their end even if no future is left.
///
/// Drop it without [`join`](Self::join) or [`wait`](Self::wait), and what has not ended is cancelled.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::sync::Arc;
///
/// // A tree whose size nobody knows beforehand.
/// fn visit(depth: u32, visited: Arc<AtomicU32>) {
///     visited.fetch_add(1, Ordering::Relaxed);
///     let client = azolla::current_client().expect("this is a task");
///     for _ in 0..depth {
///         let visited = Arc::clone(&visited);
///         client.submit(move || visit(depth - 1, visited)); // the group keeps it
///     }
/// }
///
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let visited = Arc::new(AtomicU32::new(0));
/// client.group(|group| {
///     let visited = Arc::clone(&visited);
///     group.submit(move || visit(4, visited));
/// })?;
/// assert_eq!(visited.load(Ordering::Relaxed), 65);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Group {
    client: Client,
    gate: Arc<dyn Task>,
    name: String,
    cancels: bool,
    joined: bool,
}

impl Client {
    /// Calls `block` with a new group, then waits until all that was submitted in the group, and all that has grown from there,
    /// has ended. Inside a task this lends the task's slot meanwhile. A panic in the block cancels the group. Groups nest; one
    /// that a task opens is a branch of what grows from the task.
    ///
    /// # Errors
    /// As for [`Group::join`].
    pub fn group<R>(&self, block: impl FnOnce(&Group) -> R) -> Result<R, Error> {
        self.group_builder().run(block)
    }

    /// Opens a group, to be joined or awaited.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let group = client.group_guard();
    /// group.map(|n: u32| n * n, 0..10);
    /// group.join()?;
    /// assert_eq!(client.counters().live, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn group_guard(&self) -> Group {
        self.group_builder().open()
    }

    /// Begins to describe a group.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let group = client.group_builder().name("parse").collect().open();
    /// for text in ["1", "two", "3"] {
    ///     group.task().try_submit(move || text.parse::<i32>());
    /// }
    /// let failures = group.join_all();
    /// assert_eq!(failures.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn group_builder(&self) -> GroupBuilder<'_> {
        GroupBuilder { client: self, name: None, cancels: true }
    }
}

impl Group {
    /// Begins to describe a task of this group.
    #[must_use]
    pub fn task(&self) -> TaskBuilder<'_> {
        self.client.task().child_of(self.gate.header().id())
    }

    /// As [`Client::submit`], for a task of this group.
    pub fn submit<T, F>(&self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.task().submit(function)
    }

    /// As [`Client::map`], for tasks of this group.
    pub fn map<X, T, F>(&self, function: F, items: impl IntoIterator<Item = X>) -> Vec<Future<T>>
    where
        X: Send + 'static,
        T: Send + Sync + 'static,
        F: Fn(X) -> T + Send + Sync + 'static,
    {
        self.task().map(function, items)
    }

    /// The name of the group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many tasks of the group have not ended, and how many have ended how.
    #[must_use]
    pub fn counts(&self) -> Tally {
        self.engine().tally(&*self.gate)
    }

    /// Cancels all tasks of the group that have not ended, and what is submitted in it later. A task goes on if somebody outside
    /// wants it: its key was submitted again from outside, or a task outside depends on it. A task that runs is told as
    /// by [`Future::cancel`].
    pub fn cancel(&self) {
        self.engine().cancel_grown(&*self.gate, false);
    }

    /// Waits until all that belongs to the group has ended. Nothing more is submitted in it, but tasks may grow further.
    ///
    /// # Errors
    /// [`Error::Group`] with the errors of the tasks that have failed, unless the group
    /// [collects](GroupBuilder::collect). Those of tasks that were submitted in the group itself count, and of others those that
    /// nobody can have seen: no future on them is left, nobody has asked for their outcome, and no task has inherited it.
    /// [`Error::WaitCycle`] if the task in which this is called belongs to the group; then, and with other errors of waiting,
    /// what has not ended is cancelled.
    pub fn join(mut self) -> Result<(), Error> {
        self.close();
        wait_for(&[Arc::clone(&self.gate)], Until::All, None)?;
        self.outcome()
    }

    /// Waits as [`join`](Self::join) does, but gives up after this time, and cancels what has not ended.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn join_timeout(mut self, timeout: Duration) -> Result<(), Error> {
        self.close();
        wait_for(&[Arc::clone(&self.gate)], Until::All, now().checked_add(timeout))?;
        self.outcome()
    }

    /// Waits as [`join`](Self::join) does. Returns the errors of the tasks that have failed.
    #[must_use]
    pub fn join_all(mut self) -> Vec<Error> {
        self.close();
        match wait_for(&[Arc::clone(&self.gate)], Until::All, None) {
            Ok(()) => {
                let mut errors = self.failures();
                errors.extend(passed(&*self.gate).err());
                errors
            }
            Err(error) => vec![error],
        }
    }

    /// Waits as [`join`](Self::join) does, to be awaited on any executor.
    ///
    /// # Errors
    /// As for [`join`](Self::join).
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let ended = client.submit_async(async {
    ///     let group = azolla::current_client().expect("this is a task").group_guard();
    ///     let squares = group.map(|n: u32| n * n, 0..10);
    ///     group.wait().await.map(|()| squares.iter().all(|square| square.is_done()))
    /// });
    /// assert!(ended.result()?.clone()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait(mut self) -> Result<(), Error> {
        self.close();
        ended(&self.gate, self.engine()).await?;
        self.outcome()
    }

    fn engine(&self) -> &Arc<Engine<dyn Task>> {
        &self.client.0.engine
    }

    fn close(&self) {
        self.engine().close_scope(&*self.gate);
    }

    fn outcome(&mut self) -> Result<(), Error> {
        let errors = self.failures();
        match errors.is_empty() || !self.cancels {
            true => passed(&*self.gate),
            false => Err(Error::Group { name: self.name.as_str().into(), errors: errors.into() }),
        }
    }

    fn failures(&mut self) -> Vec<Error> {
        self.joined = true;
        let engine = Arc::clone(self.engine());
        engine.end_scope(&*self.gate);
        let failed = engine.failed_in(&*self.gate);
        let errors = failed.iter().filter_map(|job| job.failure()).collect();
        dropping(move || failed.into_iter().for_each(|job| release(&engine, &job)));
        errors
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let engine = Arc::clone(self.engine());
        if !self.joined {
            self.cancel();
            self.close();
            engine.end_scope(&*self.gate);
        }
        release(&engine, &self.gate);
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).field("counts", &self.counts()).finish()
    }
}

impl<T: Send + Sync + 'static> Future<T> {
    /// Waits until the task has ended, and all that has grown from it: the tasks that it has submitted, those that these
    /// have, and so on. What becomes of them is no error here. A submission of a key that is kept already makes no task, so
    /// nothing has grown by it.
    ///
    /// # Errors
    /// [`Error::Closed`] if the client is closed. Inside a task also that the wait would never end.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let root = client.submit(|| {
    ///     let client = azolla::current_client().expect("this is a task");
    ///     client.submit(|| 7)
    /// });
    /// root.wait_grown()?;
    /// assert!(root.result()?.is_done());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_grown(&self) -> Result<(), Error> {
        let (gate, _held) = self.watched();
        wait_for(&[Arc::clone(&gate)], Until::All, None)?;
        passed(&*gate)
    }

    /// As [`wait_grown`](Self::wait_grown), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn wait_grown_timeout(&self, timeout: Duration) -> Result<(), Error> {
        let (gate, _held) = self.watched();
        wait_for(&[Arc::clone(&gate)], Until::All, now().checked_add(timeout))?;
        passed(&*gate)
    }

    /// As [`wait_grown`](Self::wait_grown), to be awaited on any executor.
    ///
    /// # Errors
    /// As for [`wait_grown`](Self::wait_grown).
    pub async fn wait_grown_async(&self) -> Result<(), Error> {
        let (gate, _held) = self.watched();
        ended(&gate, self.engine()).await?;
        passed(&*gate)
    }

    /// Returns a gate that passes when all that has grown from the task has ended, and what holds it.
    fn watched(&self) -> (Arc<dyn Task>, Held) {
        let gate = gate(None, 0);
        self.engine().watch_growth(&gate, &*self.cell());
        let held = Held { gate: Arc::clone(&gate), engine: Arc::clone(self.engine()) };
        (gate, held)
    }
}

/// A gate that has ended without passing was cancelled: the client was closed first.
fn passed(gate: &dyn Task) -> Result<(), Error> {
    match gate.header().status() {
        Status::Cancelled => Err(Error::Closed),
        _ => Ok(()),
    }
}

/// Waits for a gate on any executor.
async fn ended(gate: &Arc<dyn Task>, engine: &Arc<Engine<dyn Task>>) -> Result<(), Error> {
    let Ok(typed) = Arc::clone(gate).typed().downcast() else { return Ok(()) };
    gate.header().add_future();
    let waited = Future::<()>::new(*typed, Arc::clone(engine)).await.map(drop);
    if gate.header().status() == Status::Cancelled { Ok(()) } else { waited }
}

/// Keeps a gate until it is not waited for any more.
struct Held {
    gate: Arc<dyn Task>,
    engine: Arc<Engine<dyn Task>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        release(&self.engine, &self.gate);
    }
}

/// One future on this task is gone.
fn release(engine: &Engine<dyn Task>, job: &Arc<dyn Task>) {
    if job.header().remove_future() {
        engine.release(job.header());
    }
}
