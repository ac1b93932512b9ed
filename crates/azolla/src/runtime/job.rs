//! What a front end brings: its type of task, and threads to run tasks on.

use super::header::{Header, Status};
use super::processes::Processes;
use super::worker::Worker;
use azolla_core::{Input, Inputs};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A front end's type of task.
///
/// Some methods are called with the engine locked, and say so. They may store and copy what they
/// were given, and do nothing else.
pub trait Job: Send + Sync {
    /// The error of a failed task, cheap to clone.
    type Failure: Clone;

    /// The part of the task that the engine looks after.
    fn header(&self) -> &Header;

    /// The error that the task failed with. Called with the engine locked.
    fn failure(&self) -> Option<Self::Failure>;

    /// Stores the error of a task that this one depended on. Called with the engine locked.
    fn fail(&self, failure: Self::Failure);

    /// Stores an error which says that the engine itself has broken down.
    fn fail_by_engine(&self, why: &str);

    /// Stores an error which says that a wait for all that has grown somewhere would wait for this task without end. Called
    /// with the engine locked.
    fn fail_as_endless(&self);

    /// Makes room for the outcome of another attempt. Called with the engine locked.
    fn reset(&self);

    /// Drops what the task would need to run, even if the outcome is still looked at: the engine is
    /// done with the task. (Otherwise a long chain of tasks that never ran, each of which holds the
    /// one before, would be dropped by recursion.) Called with nothing locked.
    fn discard(&self) {}

    /// The task's key, for messages.
    fn key(&self) -> String;

    /// The name of its function, by which tasks are counted. Called with nothing locked.
    fn name(&self) -> String;

    /// The arguments of its call, cut short, if they are there and can be put into words without running
    /// foreign code. Called with nothing locked.
    fn arguments(&self) -> Option<String> {
        None
    }

    /// The bytes that the result takes, if there is one and its size can be found without running
    /// foreign code. Called with nothing locked.
    fn size(&self) -> Option<u64> {
        None
    }

    /// The span that the task belongs to, as a text. Called with nothing locked.
    fn span(&self) -> Option<String> {
        None
    }

    /// The error in words, if that can be said without running foreign code. Called with nothing
    /// locked.
    fn error(&self) -> Option<String> {
        None
    }
}

/// Provides the threads on which jobs are run.
pub trait Runner<J: Job + ?Sized>: Send + Sync {
    /// Starts a thread that serves this worker: it calls [`Worker::next_task`], runs the task and
    /// calls [`Worker::finish`], again and again, until the worker says to end.
    ///
    /// # Errors
    /// If the system has no thread to give.
    fn start(&self, worker: Worker<J>) -> io::Result<()>;

    /// Tasks of functions that take less than this on average are short, and a worker takes several of them at once. `None`
    /// stands for 20 µs, which suits threads.
    fn short(&self) -> Option<Duration> {
        None
    }

    /// The processes in which it runs tasks, if it has such.
    fn processes(&self) -> Processes {
        Processes::default()
    }

    /// Called with nothing locked, between two of the steps in which one event is handled that affects many
    /// tasks. A runner may let other threads go on.
    fn breathe(&self) {}

    /// A task has failed, and no caller will see that: it has no future any more and no dependent,
    /// and nothing has asked for its error. Called with nothing locked, on the thread that let go of
    /// the task.
    fn unseen(&self, _job: &Arc<J>) {}

    /// These tasks were running and are cancelled now, and each is to stop soon if it
    /// [still is to](super::Header::is_interrupted). Called with nothing locked. Code that cannot be interrupted goes on.
    fn interrupt(&self, _jobs: Vec<Arc<J>>) {}

    /// Calls `f`, which asks many jobs for their keys. A runner may do once, around `f`, what makes
    /// that cheaper.
    fn asking(&self, f: &mut dyn FnMut()) {
        f();
    }
}

/// A front end's task on its way to the scheduler.
///
/// Its `kind` is any number that tasks of one function share. Its `constraint` is as
/// [`Groups::constraint`](super::Groups::constraint) makes it, its `inputs` as [`watch_all`] does.
pub type Submission<J> = azolla_core::Submission<Arc<J>, u64>;

/// Makes inputs of these tasks. From now on their workers report each end at once, and an input that has
/// its result already is marked so.
pub fn watch_all<J: Job + ?Sized>(tasks: &[Arc<J>]) -> Inputs {
    let input = |task: &Arc<J>| {
        let there = task.header().watch() == Status::Finished;
        Some(Input { task: task.header().id()?, there })
    };
    tasks.iter().filter_map(input).collect()
}
