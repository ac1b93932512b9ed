//! All that can come in: what the driver tells the scheduler.

use crate::constraint::{Constraint, GroupId};
use crate::id::{Key, Kind, Priority, TaskId, WorkerId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// Something that happened, or that somebody asks for. Events about a task or worker that is gone
/// change nothing: news may always arrive late.
#[derive(Debug)]
pub enum Event<P> {
    /// Somebody wants a function run. Answered by `Submitted` or `Existing`.
    Submit(Submission<P>),
    /// There is a future on this task again.
    Want(TaskId),
    /// The last future on this task is gone.
    Release(TaskId),
    /// Run this task to its end even if no future is left (fire and forget).
    Keep(TaskId),
    /// Cancel this task and all that depends on it.
    Cancel(TaskId),
    /// Run this failed task again, and the failed inputs that made it fail.
    Retry(TaskId),

    /// A worker comes to be in this group, without a slot. Answered by `Joined`.
    Join(GroupId),
    /// A worker is no more.
    Leave(WorkerId),
    /// A worker has nothing left to do. Answered by `Run`s, or by nothing: it then sleeps until
    /// it is sent `Grant`.
    Pull(WorkerId),
    /// A task has ended. `worker` is where it ran, or `None` for a task that was detached; `took`
    /// is how long it held its slot, in nanoseconds.
    Finish {
        /// Where it ran.
        worker: Option<WorkerId>,
        /// Which task.
        task: TaskId,
        /// How it ended.
        outcome: Outcome,
        /// How long that took, in nanoseconds.
        took: u64,
    },
    /// A claimed task that has not begun was taken back from its worker.
    Unclaim(TaskId),
    /// A worker has begun a task that it had claimed. Told only where it matters: before the task
    /// parks, secedes or is detached.
    Begun {
        /// The worker.
        worker: WorkerId,
        /// Which task.
        task: TaskId,
    },
    /// The task that this worker runs goes on elsewhere and needs no slot (async work); the worker
    /// is free again.
    Detach {
        /// The worker that lets go of it.
        worker: WorkerId,
        /// Which task.
        task: TaskId,
    },
    /// A task that has ended its turn as [`Outcome::Suspended`] can go on: it is queued again. A
    /// task that is in any other state stays there.
    Wake {
        /// Which task.
        task: TaskId,
        /// It has woken itself, so as to let others go first: it goes behind what is ready.
        yields: bool,
    },
    /// The task on this worker waits, and lends its slot meanwhile. May be `Refused`.
    Park {
        /// The worker whose task waits.
        worker: WorkerId,
        /// What it waits for.
        wait: Wait,
    },
    /// The task on this worker waits for all of these, and runs some of them meanwhile on its own
    /// stack. May be `Refused`, if the wait would never end.
    Nest {
        /// The worker whose task waits.
        worker: WorkerId,
        /// What it waits for: all of it.
        wait: Wait,
    },
    /// The task that waits on this worker offers to run one of those that it waits for. Answered by
    /// `Run`, or by nothing where that cannot run now or something more urgent is ready.
    RunNested {
        /// The worker.
        worker: WorkerId,
        /// Which of the tasks that it waits for, counted from 0.
        at: usize,
    },
    /// The task that waits on this worker goes on, or is about to park; no other runs on top of it.
    Unnest(WorkerId),
    /// The task on this worker gives up its slot and runs on without one. May be `Refused`.
    Secede(WorkerId),
    /// The wait on this worker is over, or its task rejoins: it is sent `Grant` once it has a slot. A
    /// task that rejoins first gets back what it takes of its group's resources; where they would never
    /// come it is `Refused`, and stays seceded.
    Resume(WorkerId),

    /// A worker that was to doze has not been woken for a while.
    Stalled(WorkerId),

    /// Go on with what the last event left undone.
    Continue,
    /// Cancel everything that has not ended, and start nothing any more.
    Close,
}

/// A task on its way in. Front ends make it, and the scheduler takes it apart: it is the only form that a
/// task has in between.
///
/// A driver may number functions as it likes: it then submits with a number `K` of its own, and puts the
/// [`Kind`] that stands for it in its place with [`of_kind`](Self::of_kind).
#[derive(Debug)]
pub struct Submission<P, K = Kind> {
    /// What the driver needs to run it; the core only hands it back.
    pub payload: P,
    /// The key to find it under, if it has one.
    pub key: Option<Key>,
    /// How urgent it is; `None` takes the parent's priority, or 0 without a parent.
    pub priority: Option<Priority>,
    /// The task that submits it.
    pub parent: Option<TaskId>,
    /// Which function it is.
    pub kind: K,
    /// Where it may run and what it takes, if not anywhere and nothing.
    pub constraint: Option<Arc<Constraint>>,
    /// The tasks whose results it needs.
    pub inputs: Inputs,
    /// It is a call of an actor, which is its only input: the calls of an actor run one at a time,
    /// in the order in which they are submitted, and to their ends though nobody wants their results.
    /// A call has grown from its actor; its priority, unless one is given, is the higher one of its
    /// actor's and its parent's.
    pub call: bool,
}

impl<P, K> Submission<P, K> {
    /// A task without a key, a parent or inputs, of inherited priority, that may run anywhere.
    pub fn new(payload: P, kind: K) -> Self {
        Self {
            payload,
            key: None,
            priority: None,
            parent: None,
            kind,
            constraint: None,
            inputs: Inputs::new(),
            call: false,
        }
    }

    /// The same task, its function named otherwise.
    #[inline]
    pub fn of_kind<L>(self, kind: L) -> Submission<P, L> {
        let Self { payload, key, priority, parent, kind: _, constraint, inputs, call } = self;
        Submission { payload, key, priority, parent, kind, constraint, inputs, call }
    }
}

/// The inputs of one task: no allocation for the few that most have.
pub type Inputs = SmallVec<[Input; 3]>;

/// A task whose result another one needs.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Which task.
    pub task: TaskId,
    /// Its result is there already, even if the core has not been told yet.
    pub there: bool,
}

/// How a task ended, or left its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Done,
    /// With an error.
    Failed,
    /// With an error, and it is to be run again.
    Again,
    /// Not at all: it has had its turn on the worker, and waits for [`Event::Wake`] to have another.
    Suspended,
}

/// What a parked task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The tasks that it waits for, ended ones perhaps among them; empty if what it waits for is
    /// no task. Shared, since a long list may be waited on again and again.
    pub tasks: Arc<Vec<TaskId>>,
    /// Whether it needs all of them, or goes on with the first.
    pub all: bool,
}
