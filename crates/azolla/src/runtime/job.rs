//! What a front end brings: what its tasks are made of, and threads to run them on.

use super::header::Header;
use super::worker::Worker;
use azolla_core::{Constraint, Key, Priority, TaskId};
use std::io;
use std::sync::Arc;

/// What a front end's task is made of.
///
/// Those methods that say so are called with the engine locked: they may store and copy what they
/// were given, and nothing else.
pub trait Job: Send + Sync {
    /// The error of a failed task, cheap to clone.
    type Failure: Clone;

    /// The part that the engine looks after.
    fn header(&self) -> &Header;

    /// The error that the task failed with. Called with the engine locked.
    fn failure(&self) -> Option<Self::Failure>;

    /// Stores the error of a task that this one depended on. Called with the engine locked.
    fn fail(&self, failure: Self::Failure);

    /// Stores an error that says that the engine itself has broken.
    fn fail_by_engine(&self, why: &str);

    /// Makes room for the outcome of another attempt. Called with the engine locked.
    fn reset(&self);

    /// The engine is done with the task: what it takes to run it can go, even if somebody looks at
    /// the outcome still. (Else a long chain of tasks that never ran would be dropped by recursion,
    /// each holding the one before.) Called with nothing locked.
    fn discard(&self) {}

    /// The task's key, for messages.
    fn key(&self) -> String;

    /// The name of its function, by which tasks are counted. Called with nothing locked.
    fn name(&self) -> String;

    /// How many bytes the result takes, if there is one and that can be told without running
    /// foreign code. Called with nothing locked.
    fn size(&self) -> Option<u64> {
        None
    }

    /// The span to which the task belongs, as a text. Called with nothing locked.
    fn span(&self) -> Option<String> {
        None
    }

    /// What the task failed with, in words, where that takes no foreign code to say. Called with
    /// nothing locked.
    fn error(&self) -> Option<String> {
        None
    }
}

/// Provides the threads on which jobs are run.
pub trait Runner<J: Job + ?Sized>: Send + Sync {
    /// Starts a thread that runs what this worker gives: [`Worker::next_task`], run it,
    /// [`Worker::finish`], until that says to end.
    ///
    /// # Errors
    /// If the system has no thread to give.
    fn start(&self, worker: Worker<J>) -> io::Result<()>;

    /// Calls `f`, which asks many jobs for their keys: whatever makes that cheaper done once.
    fn asking(&self, f: &mut dyn FnMut()) {
        f();
    }
}

/// What is submitted.
pub struct Spec<'a, J: ?Sized> {
    /// What to run.
    pub job: Arc<J>,
    /// The key to find it under, if it has one.
    pub key: Option<Key>,
    /// How urgent it is; `None` inherits.
    pub priority: Option<Priority>,
    /// The task that submits it.
    pub parent: Option<TaskId>,
    /// Something that tasks of the same function share.
    pub kind: u64,
    /// Where it may run and what it takes, as [`Groups::constraint`](super::Groups::constraint) made
    /// it; `None` for anywhere, and nothing.
    pub constraint: Option<Arc<Constraint>>,
    /// The tasks whose results it needs.
    pub inputs: &'a [Arc<J>],
    /// It is a call of its only input, an actor: the calls of an actor run one at a time, in the
    /// order in which they are submitted, even if no future on them is left.
    pub call: bool,
}
