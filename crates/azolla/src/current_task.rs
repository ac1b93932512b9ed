//! The task that runs on the present thread.

use crate::cell::Task;
use crate::error::Error;
use crate::primitives::now;
use crate::runner::threads::{name_of, with_worker};
use crate::runtime::{Engine, Patience, Status, Worker};
use azolla_core::{GroupId, TaskId};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The task in which this is called, also while an async task is polled; `None` outside tasks.
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
    /// The task's key: the one that was given, or the function's name and a number.
    #[must_use]
    pub fn key(&self) -> String {
        self.task.key()
    }

    /// The name of the task's function, by which tasks are counted.
    #[must_use]
    pub fn name(&self) -> String {
        self.task.name()
    }

    /// A small number. No other task that runs at the same time on this client's threads has the
    /// same.
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The name of the worker that runs the task; see [`Builder::worker`](crate::Builder::worker).
    #[must_use]
    pub fn worker_name(&self) -> String {
        name_of(self.group)
    }

    /// The task's priority, which tasks that it submits inherit. It is 0 if the task was cancelled
    /// and is not wanted any more.
    #[must_use]
    pub fn priority(&self) -> f64 {
        self.engine.view(self.id).map_or(0.0, |view| view.priority.number())
    }

    /// The number of generations between this task and one that was submitted outside tasks.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.engine.view(self.id).map_or(0, |view| view.lineage.depth)
    }

    /// Returns true if the result is not wanted any more, since the task was cancelled or the
    /// client is closed. A long task can ask now and then, and end early.
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

impl CurrentTask {
    /// Returns an error if the task was cancelled, or the client is closed: `current_task()?.check()?` ends a long task early.
    ///
    /// # Errors
    /// [`Error::Cancelled`], with the task's own key, or [`Error::Closed`], as every wait in a cancelled task returns. Under a
    /// [shield](shield), and in a call of an actor, neither this nor waits do.
    pub fn check(&self) -> Result<(), Error> {
        let here = with_worker(|worker| {
            let own = worker.filter(|worker| worker.current() == Some(self.id));
            own.map(|worker| worker.check_cancelled::<Infallible>())
        });
        if let Some(checked) = here {
            return checked.map_err(Error::from);
        }
        match self.is_cancelled() {
            true if self.engine.is_closing() => Err(Error::Closed),
            true => Err(Error::Cancelled { key: self.key() }),
            false => Ok(()),
        }
    }
}

/// Sleeps for so long. In a task that takes no slot, and ends when the task is cancelled.
///
/// ```
/// use azolla::Error;
/// use std::time::Duration;
///
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// # let (tell, told) = std::sync::mpsc::channel();
/// let sleeper = client.submit(move || {
///     let slept = azolla::sleep(Duration::from_secs(3600));
///     # tell.send(matches!(slept, Err(Error::Cancelled { .. }))).unwrap();
///     slept
/// });
/// client.submit(|| "the slot is free").result()?;
/// sleeper.cancel(); // it wakes
/// # assert!(told.recv()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Cancelled`] if the task is cancelled, [`Error::Closed`] if the client is closed. Outside tasks none.
pub fn sleep(duration: Duration) -> Result<(), Error> {
    let deadline = now().checked_add(duration);
    let slept = with_worker(|worker| {
        let patience = Patience { deadline, interrupt: None };
        worker.map(|worker| worker.sleep::<Infallible>(patience))
    });
    match slept {
        Some(slept) => slept.map_err(Error::from),
        None => {
            thread::sleep(duration);
            Ok(())
        }
    }
}

/// Calls `f`, in which waits go on though the task is cancelled: for what must come to its end once it has begun. Shields nest.
/// Outside tasks it only calls `f`.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let answered = azolla::sync::Event::new(&client);
/// # let (tell, told) = std::sync::mpsc::channel();
/// let waits = answered.clone();
/// let task = client.submit(move || {
///     azolla::shield(|| {
///         let waited = waits.wait();
///         // … the answer is put where it belongs
///         # tell.send(waited.is_ok()).unwrap();
///     });
/// });
/// client.submit(|| ()).result()?;
/// task.cancel();
/// answered.set()?;
/// # assert!(told.recv()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn shield<R>(f: impl FnOnce() -> R) -> R {
    /// Ends a shield, also when a panic passes.
    struct Shield;

    impl Drop for Shield {
        fn drop(&mut self) {
            with_worker(|worker| worker.map(Worker::end_shield));
        }
    }

    with_worker(|worker| worker.map(Worker::shield));
    let _shield = Shield;
    f()
}

impl fmt::Debug for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentTask")
            .field("key", &self.key())
            .field("worker", &self.worker)
            .finish()
    }
}
