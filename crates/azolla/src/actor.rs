//! Actors: a state that stays where it is, and is called.
//!
//! An actor is a task whose result is the state; its calls are tasks too, which the engine runs one
//! at a time and in their order. So a call takes a slot while it runs, lends it while it waits, and
//! is an input like any other task. The lock around the state is never waited for.

use crate::cell::{Cell, Failure, Once, Task};
use crate::client::{Client, TaskBuilder, failure, kind, parent};
use crate::future::Future;
use crate::inputs::Inputs;
use crate::primitives::Mutex;
use crate::runtime::{Job, Status, Submission, watch_all};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A state that is reached by calling it with functions, one at a time, in the order of the calls.
///
/// Clones are handles on the same state. When the last one goes, calls that are queued are made
/// still, and then the state is dropped. Each call gives a [`Future`], which is like any other: an
/// input of further tasks, waited for, awaited; a call is made even if its future is dropped, unless
/// it is cancelled. A call has the priority of the actor's task or of the task that makes it,
/// whichever is higher, and goes before newer work of the same priority.
///
/// A call may wait for other calls and tasks, as any task may: it lends its slot meanwhile, and no
/// other call comes in between. If it would wait for its own actor, that is
/// [`Error::WaitCycle`](crate::Error::WaitCycle).
///
/// A panic in a call fails that call. The state stays as the panic has left it, and the next call
/// sees it so: a state that must not be seen half changed is to be mended, or marked, by the call.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let counter = client.actor(|| 0_u64);
/// let counts = client.map(
///     {
///         let counter = counter.clone();
///         move |step: u64| *counter.call(move |n| *n += step).result().unwrap()
///     },
///     1..=10,
/// );
/// client.gather(&counts)?;
/// assert_eq!(*counter.call(|n| *n).result()?, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Actor<S> {
    state: Future<State<S>>,
}

/// What an actor's task results in.
pub(crate) struct State<S>(Mutex<S>);

impl Client {
    /// Has a state made, on a thread of the client's, and gives a handle by which it is called. If
    /// the making fails, all calls fail with the same error.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let words = client.actor(Vec::new);
    /// for word in ["fern", "moss"] {
    ///     words.call(move |words| words.push(word));
    /// }
    /// let all = words.call(|words| words.join(" "));
    /// assert_eq!(all.result()?, "fern moss");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn actor<S, F>(&self, make: F) -> Actor<S>
    where
        S: Send + 'static,
        F: FnOnce() -> S + Send + 'static,
    {
        self.task().actor(make)
    }

    /// As [`actor`](Self::actor), with a closure that may fail.
    pub fn try_actor<S, E, F>(&self, make: F) -> Actor<S>
    where
        S: Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnOnce() -> Result<S, E> + Send + 'static,
    {
        self.task().try_actor(make)
    }
}

impl TaskBuilder<'_> {
    /// As [`Client::actor`]. The priority is that of the calls too.
    pub fn actor<S, F>(self, make: F) -> Actor<S>
    where
        S: Send + 'static,
        F: FnOnce() -> S + Send + 'static,
    {
        let work = Once(Some(move || Ok(State(Mutex::new(make())))));
        Actor { state: self.submit_work::<State<S>, _, F>(work, 0, ()) }
    }

    /// As [`Client::try_actor`].
    pub fn try_actor<S, E, F>(self, make: F) -> Actor<S>
    where
        S: Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnOnce() -> Result<S, E> + Send + 'static,
    {
        let make = move || make().map(|state| State(Mutex::new(state))).map_err(failure);
        Actor { state: self.submit_work::<State<S>, _, F>(Once(Some(make)), 0, ()) }
    }
}

impl<S: Send + 'static> Actor<S> {
    /// Calls the state, once the calls before have ended. Returns at once.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let letters = client.actor(String::new);
    /// letters.call(|letters| letters.push('a'));
    /// let length = letters.call(|letters| letters.len());
    /// let doubled = client.submit_with(&length, |length| length * 2); // a future like any other
    /// assert_eq!(*doubled.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call<T, F>(&self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        F: FnOnce(&mut S) -> T + Send + 'static,
    {
        self.submit::<T, F>(move |state| Ok(function(state)))
    }

    /// As [`call`](Self::call), with a closure that may fail: an `Err` fails the call, and nothing
    /// else.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let stock = client.actor(|| 3_u32);
    /// let take = |n| stock.try_call(move |stock| {
    ///     *stock = stock.checked_sub(n).ok_or("there is not so much left")?;
    ///     Ok::<u32, &str>(*stock)
    /// });
    /// let (two, more) = (take(2), take(2));
    /// assert_eq!(*two.result()?, 1);
    /// assert!(more.result().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_call<T, E, F>(&self, function: F) -> Future<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnOnce(&mut S) -> Result<T, E> + Send + 'static,
    {
        self.submit::<T, F>(move |state| function(state).map_err(failure))
    }

    /// `F` is what the call is called after.
    fn submit<T, F>(
        &self,
        call: impl FnOnce(&mut S) -> Result<T, Failure> + Send + 'static,
    ) -> Future<T>
    where
        T: Send + Sync + 'static,
        F: 'static,
    {
        let held = (&self.state).hold();
        let work = Once(Some(move || {
            let State(state) = <&Future<State<S>>>::values(&held);
            call(&mut state.try_lock().expect("calls run one at a time"))
        }));
        let engine = self.state.engine();
        let cell = Arc::new(Cell::<T, _, F>::new(work, 0, None));
        let actor: Arc<dyn Task> = self.state.cell();
        cell.header().set_client(actor.header().client());
        engine.submit(Submission {
            parent: parent(engine),
            inputs: watch_all(&[actor]),
            call: true,
            ..Submission::new(Arc::<Cell<T, _, F>>::clone(&cell), kind::<F>())
        });
        Future::new(cell, Arc::clone(engine))
    }

    /// The key of the actor's task.
    #[must_use]
    pub fn key(&self) -> String {
        self.state.key()
    }

    /// How the making of the state has ended, if it has. [`Status::Cancelled`] if the actor was
    /// cancelled, or the client closed before there was a state.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Ends the actor: calls that have not begun are cancelled, and so is every later one. One that
    /// runs goes on to its end.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let counter = client.actor(|| 0);
    /// counter.cancel();
    /// let late = counter.call(|n| *n);
    /// assert!(matches!(late.result(), Err(azolla::Error::Cancelled { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) {
        self.state.cancel();
    }
}

impl<S> Clone for Actor<S> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone() }
    }
}

impl<S> fmt::Debug for Actor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Actor").field(&self.state).finish()
    }
}
