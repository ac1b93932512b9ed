//! Futures: handles on results that tasks will have.

use crate::cell::{Task, Typed};
use crate::error::Error;
use crate::lending::Polls;
use crate::primitives::now;
use crate::runner::threads::{run, with_own, with_waiting_worker, with_worker};
use crate::runtime::{
    BROKEN, Completions, Engine, Listen, Patience, Status, Until, WaitError, Worker, caught,
    dropping, wait,
};
use std::convert::Infallible;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The result that a task will have.
///
/// A future can be waited for, awaited on any executor, cloned, and given to further tasks as an
/// input. When the last future on a task goes, the task is not wanted any more: if it is still
/// queued and no other task depends on it, it is dropped. The result is shared, so it needs only
/// `Send + Sync`, and no `Clone`.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let future = client.submit(|| 20 + 1);
/// let doubled = client.submit_with(&future, |x| x * 2);
/// assert_eq!(*doubled.result()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Future<T> {
    // Taken out only when the future is dropped.
    pub(crate) cell: ManuallyDrop<Arc<dyn Typed<T>>>,
    engine: ManuallyDrop<Arc<Engine<dyn Task>>>,
}

impl<T: Send + Sync + 'static> Future<T> {
    /// The first future on a task that was just submitted. The header counts one future already.
    pub(crate) fn new(cell: Arc<dyn Typed<T>>, engine: Arc<Engine<dyn Task>>) -> Self {
        Self { cell: ManuallyDrop::new(cell), engine: ManuallyDrop::new(engine) }
    }

    pub(crate) fn cell(&self) -> Arc<dyn Typed<T>> {
        Arc::clone(&self.cell)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine<dyn Task>> {
        &self.engine
    }

    /// The task's key: the one that was given, or the function's name and a number.
    #[must_use]
    pub fn key(&self) -> String {
        self.cell.key()
    }

    /// The task's status now.
    #[must_use]
    pub fn status(&self) -> Status {
        let status = self.cell.header().status();
        if status == Status::Failed {
            self.cell.header().see_failure();
        }
        status
    }

    /// Returns true if the task has ended, with or without a result.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.cell.header().is_settled()
    }

    /// Waits for the result. Inside a task this lends the task's slot meanwhile.
    ///
    /// The task's error, or an error which says that the wait would never end.
    ///
    /// ```
    /// # let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let bad = client.try_submit(|| "seven".parse::<i32>());
    /// assert!(matches!(bad.result(), Err(azolla::Error::Failed { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn result(&self) -> Result<&T, Error> {
        self.result_by(None)
    }

    /// Waits as [`result`](Self::result) does, but gives up after this time.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn result_timeout(&self, timeout: Duration) -> Result<&T, Error> {
        // A time that is too far away to be expressed is never reached.
        self.result_by(now().checked_add(timeout))
    }

    /// Returns the result or the error, or `None` while the task has not ended.
    ///
    /// ```
    /// # let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let future = client.submit(|| 7);
    /// while future.try_result().is_none() {
    ///     std::thread::yield_now(); // or do something else meanwhile
    /// }
    /// assert!(matches!(future.try_result(), Some(Ok(7))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_result(&self) -> Option<Result<&T, Error>> {
        self.now()
    }

    /// Waits as [`result`](Self::result) does. The [`Value`] reads as a `&T` and outlives the
    /// future; `.await` gives the same.
    ///
    /// # Errors
    /// As for [`result`](Self::result).
    ///
    /// ```
    /// # let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let squares = client.map(|n: u32| n * n, 0..3);
    /// let values: Result<Vec<_>, _> = squares.into_iter().map(|future| future.value()).collect();
    /// assert_eq!(values?.iter().map(|value| **value).sum::<u32>(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn value(&self) -> Result<Value<T>, Error> {
        self.result()?;
        Ok(Value(self.clone()))
    }

    fn result_by(&self, deadline: Option<Instant>) -> Result<&T, Error> {
        loop {
            if let Some(outcome) = self.now() {
                return outcome;
            }
            // The loop goes round again if the task has failed and was taken up for another attempt
            // meanwhile.
            let task: Arc<dyn Task> = self.cell();
            wait_for(&[task], Until::All, deadline)?;
        }
    }

    /// The task's outcome, if it has ended.
    pub(crate) fn now(&self) -> Option<Result<&T, Error>> {
        match self.status() {
            Status::Pending => None,
            Status::Cancelled => Some(Err(Error::Cancelled { key: self.key() })),
            // `status` has noted that a failure is seen.
            Status::Finished | Status::Failed => {
                self.cell.outcome().map(|outcome| outcome.map_err(Error::clone))
            }
        }
    }

    /// Cancels the task and all tasks that depend on it. The result of one that runs is dropped, and its function is told: each
    /// of its waits returns [`Error::Cancelled`] from now on, with its own key, unless it is [shielded](crate::shield), and one
    /// that lasts is woken. [`CurrentTask`](crate::CurrentTask) tells too.
    pub fn cancel(&self) {
        let task: Arc<dyn Task> = self.cell();
        self.engine.cancel(&*task);
    }

    /// Cancels the task as [`cancel`](Self::cancel) does, and all that has grown from it: what it has submitted, what that
    /// has submitted, and so on, also what it submits from now on. A task of these goes on if somebody else wants it: its
    /// key was submitted elsewhere too, or a task elsewhere depends on it. One on which only futures are left does not.
    ///
    /// ```
    /// use azolla::{Client, Status, current_client};
    /// # use std::sync::mpsc::channel;
    ///
    /// let client = Client::builder().threads_per_worker(2).build()?;
    /// # let (open, opened) = channel::<()>();
    /// let parent = client.submit(move || {
    ///     let client = current_client().expect("this runs in a task");
    ///     client.submit(move || opened.recv().is_err())
    /// });
    /// let child = parent.result()?;
    /// parent.cancel_subtree();
    /// assert_eq!(child.status(), Status::Cancelled);
    /// # drop(open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_subtree(&self) {
        let task: Arc<dyn Task> = self.cell();
        self.engine.cancel_subtree(&*task);
    }

    /// Runs a failed task again, after the failed tasks that it depended on. Does nothing to a task
    /// that has not failed. A closure that can be called only once is not called again; it fails as
    /// before.
    pub fn retry(&self) {
        let task: Arc<dyn Task> = self.cell();
        self.engine.retry(&*task);
    }

    /// Has the task run to its end even if no future is left.
    pub fn forget(self) {
        let task: Arc<dyn Task> = self.cell();
        self.engine.keep(&*task);
    }
}

impl<T> Future<T> {
    /// Removes `completions` from the task's listeners.
    pub(crate) fn unlisten(&self, completions: &Arc<Completions<dyn Task>>) {
        let listener: Arc<dyn Listen> = Arc::<Completions<dyn Task>>::clone(completions);
        self.cell.header().unlisten(&listener);
    }
}

/// Waits for tasks. Inside a task this lends the slot.
pub(crate) fn wait_for(
    tasks: &[Arc<dyn Task>],
    until: Until,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    if deadline.is_none() && until == Until::All {
        run_while_waiting(tasks)?;
    }
    let patience: Patience<'_, Infallible> = Patience { deadline, interrupt: None };
    with_waiting_worker(|mut worker| {
        wait(worker.as_deref_mut(), tasks, until, patience).map_err(|error| told(worker, error))
    })
}

/// Inside a task, runs the tasks that it waits for on its own stack, as far as they can run.
fn run_while_waiting(tasks: &[Arc<dyn Task>]) -> Result<(), Error> {
    let nested = with_worker(|worker| match worker {
        Some(worker) => worker.nest::<Infallible>(tasks),
        None => Ok(None),
    });
    let Some(mut nested) = nested? else { return Ok(()) };
    let _plain = Polls::set(false);
    while let Some(task) = with_own(|worker| worker.next_nested(&mut nested)).flatten() {
        let outcome = run(task);
        let ended = with_own(|worker| worker.finish_nested(outcome));
        caught(|| drop(ended));
    }
    Ok(())
}

/// Turns the error of a wait into the user's error.
pub(crate) fn told(worker: Option<&mut Worker<dyn Task>>, error: WaitError<Infallible>) -> Error {
    match error {
        WaitError::Closed if worker.is_some_and(|worker| worker.engine().is_broken()) => {
            Error::Engine(BROKEN.into())
        }
        error => error.into(),
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Self {
        self.cell.header().add_future();
        Self { cell: self.cell.clone(), engine: self.engine.clone() }
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        // SAFETY: the future is being dropped, so nothing looks at its fields again.
        let (cell, engine) =
            unsafe { (ManuallyDrop::take(&mut self.cell), ManuallyDrop::take(&mut self.engine)) };
        let task: Arc<dyn Task> = cell;
        if task.header().remove_future() {
            // The result may hold the last future on another task, and so on.
            dropping(move || {
                engine.release(task.header());
                drop(task);
            });
        }
    }
}

impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.cell.header().status();
        f.debug_struct("Future").field("key", &self.cell.key()).field("status", &status).finish()
    }
}

/// A result that reads as a `&T`, and keeps itself alive: what an awaited future gives.
pub struct Value<T>(pub(crate) Future<T>);

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + Sync + 'static> Deref for Value<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.cell.value().expect("a value is made only of a result, and a result stays")
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
