//! Closures that are called when a task has ended.

use crate::cell::{Cell, Failure, Once, Task};
use crate::client::kind;
use crate::future::Future;
use crate::primitives::Mutex;
use crate::runtime::{Engine, Listen, Status, Submission, caught};
use azolla_core::Priority;
use std::sync::Arc;

impl<T: Send + Sync + 'static> Future<T> {
    /// Has a closure called with this future once the task has ended, however it does; at once, if it
    /// has.
    ///
    /// It runs as a task of its own, ahead of others that are ready, and so may wait for what it likes. Only if the
    /// client is closed before it has run, the thread that closes the client calls it. Until then the task is wanted as
    /// if there were another future on it.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let (tell, told) = mpsc::channel();
    /// client.submit(|| 7).on_done(move |future| tell.send(*future.result().unwrap()).unwrap());
    /// assert_eq!(told.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_done(&self, function: impl FnOnce(&Self) + Send + 'static) {
        let callback = Callback(Some((self.clone(), function)));
        let listener: Arc<dyn Listen> = Arc::new(OnDone {
            callback: Mutex::new(Some(callback)),
            engine: Arc::clone(self.engine()),
        });
        self.cell().header().listen(&listener, 0);
    }
}

/// A closure and what to call it with. It is called when dropped, at the latest.
struct Callback<T, F: FnOnce(&Future<T>)>(Option<(Future<T>, F)>);

impl<T, F: FnOnce(&Future<T>)> Callback<T, F> {
    fn call(&mut self) {
        if let Some((future, function)) = self.0.take() {
            function(&future);
        }
    }
}

impl<T, F: FnOnce(&Future<T>)> Drop for Callback<T, F> {
    fn drop(&mut self) {
        caught(|| self.call());
    }
}

struct OnDone<T, F: FnOnce(&Future<T>)> {
    callback: Mutex<Option<Callback<T, F>>>,
    engine: Arc<Engine<dyn Task>>,
}

impl<T, F> Listen for OnDone<T, F>
where
    T: Send + Sync + 'static,
    F: FnOnce(&Future<T>) + Send + 'static,
{
    fn settled(&self, _token: usize, _status: Status) {
        let Some(mut callback) = self.callback.lock().take() else { return };
        let client = callback.0.as_ref().map_or(0, |(future, _)| future.cell().header().client());
        let call = move || -> Result<(), Failure> {
            callback.call();
            Ok(())
        };
        let job: Arc<dyn Task> = Arc::new(Cell::<(), _, F>::new(Once(Some(call)), 0, None));
        job.header().set_client(client);
        // One that is turned away, or cancelled before it begins, is called when it is dropped.
        let priority = Priority::new(f64::INFINITY);
        let submission = Submission { priority, ..Submission::new(Arc::clone(&job), kind::<F>()) };
        drop(self.engine.submit(submission));
        self.engine.keep(&*job);
        if job.header().remove_future() {
            self.engine.release(job.header());
        }
    }
}
