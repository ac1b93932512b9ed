//! The task in which one is.

use crate::cell::Task;
use crate::runner::threads::{name_of, with_worker};
use crate::runtime::{Engine, Status};
use azolla_core::{GroupId, TaskId};
use std::fmt;
use std::sync::Arc;

/// The task in which this is called, async ones included while they are polled; `None` outside tasks.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let key = client.task().key("fern-1").submit(|| azolla::current_task().map(|task| task.key()));
/// assert_eq!(key.result()?.as_deref(), Some("fern-1"));
/// assert!(azolla::current_task().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn current_task() -> Option<CurrentTask> {
    with_worker(|worker| {
        let worker = worker?;
        let (id, task) = (worker.current()?, Arc::clone(worker.job()?));
        let engine = Arc::clone(worker.engine());
        Some(CurrentTask { id, task, engine, worker: worker.number(), group: worker.group() })
    })
}

/// See [`current_task`].
pub struct CurrentTask {
    id: TaskId,
    task: Arc<dyn Task>,
    engine: Arc<Engine<dyn Task>>,
    worker: u32,
    group: GroupId,
}

impl CurrentTask {
    /// Its key: what was given as `key`, or the function's name and a number.
    #[must_use]
    pub fn key(&self) -> String {
        self.task.key()
    }

    /// The name of its function, by which tasks are counted.
    #[must_use]
    pub fn name(&self) -> String {
        self.task.name()
    }

    /// A small number that no other task that runs at the same time has here.
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The name of the worker that runs it: see [`Builder::worker`](crate::Builder::worker).
    #[must_use]
    pub fn worker_name(&self) -> String {
        name_of(self.group)
    }

    /// How urgent it is, and so what it submits unless that says otherwise; 0 if it was cancelled
    /// and nobody wants it.
    #[must_use]
    pub fn priority(&self) -> f64 {
        self.engine.view(self.id).map_or(0.0, |view| view.priority.number())
    }

    /// How many generations below a task that was submitted outside tasks.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.engine.view(self.id).map_or(0, |view| view.lineage.depth)
    }

    /// Whether its result is nobody's any more, since it was cancelled or the client is closed: what
    /// takes long can ask now and then, and come to an end.
    ///
    /// ```
    /// use std::thread::yield_now;
    ///
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let endless = client.submit(|| {
    ///     while !azolla::current_task().unwrap().is_cancelled() {
    ///         yield_now();
    ///     }
    /// });
    /// endless.cancel();
    /// client.submit(|| "the slot is free").result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.task.header().status() == Status::Cancelled
    }
}

impl fmt::Debug for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentTask")
            .field("key", &self.key())
            .field("worker", &self.worker)
            .finish()
    }
}
