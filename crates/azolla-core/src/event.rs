//! Events: everything that the driver can tell the scheduler.

use crate::constraint::{Constraint, Group, GroupId};
use crate::id::{Key, Kind, Priority, TaskId, WorkerId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// Something that happened, or that the driver asks for. An event about a task or worker that is
/// gone changes nothing, because news may always arrive late.
#[derive(Debug)]
pub enum Event<P> {
    /// A function is submitted. Answered by `Submitted` or `Existing`.
    Submit(Submission<P>),
    /// There is a future on this task again.
    Want(TaskId),
    /// The last future on this task is gone.
    Release {
        /// Which task.
        task: TaskId,
        /// Its result is there already, even if the core has not been told yet.
        there: bool,
    },
    /// Run this task to its end even if nothing else wants it (fire and forget).
    Keep(TaskId),
    /// Cancel this task and all tasks that depend on it.
    Cancel(TaskId),
    /// Cancel all that has grown from this task, or in this scope, and has not ended. What is submitted there later is
    /// cancelled too. A task goes on if somebody outside wants it: its key was submitted again from outside, or a task
    /// outside depends on it. So does what it needs, and what has grown from it. With `interrupt`, each that runs is told of
    /// by `Interrupted` first.
    CancelGrown {
        /// The task, or the scope.
        task: TaskId,
        /// Those that run are to stop soon.
        interrupt: bool,
    },
    /// Cancel these tasks, which `Doomed` has named. What has ended with a result keeps it, even if the core has not been told
    /// yet.
    CancelEach {
        /// The tasks, each with whether it has ended with a result.
        tasks: Vec<(TaskId, bool)>,
        /// As in `CancelGrown`.
        interrupt: bool,
    },
    /// Run this failed task again, and first the failed inputs that made it fail.
    Retry(TaskId),

    /// Opens a scope. It is a task that runs nowhere, and counts nowhere. Of its submission only the payload, the parent, the
    /// kind and the priority matter. What is submitted with the scope as its parent belongs to it, and so does all that
    /// grows from there; it runs to its end even if no future is left. Otherwise it is as if the scope's parent had submitted
    /// it. Answered by `Submitted`.
    OpenScope(Submission<P>),
    /// Nothing more is submitted in this scope itself. When all that belongs to it has ended, the answer is `GrowthEnded`.
    CloseScope(TaskId),
    /// The failure of this task, which a scope was told of by `FailedInScope`, does not count.
    Disregard(TaskId),
    /// Wait until a task and all that has grown from it have ended. The submission makes a task that runs nowhere and counts
    /// nowhere, and ends then. Answered by `Submitted`, then by `GrowthEnded`, now or later. Of the submission the payload and the only input matter: that is the task, which is kept meanwhile.
    WatchGrowth(Submission<P>),

    /// There is one more group of slots. It gets the next number.
    AddGroup(Group),
    /// This group begins no task any more. What has begun there goes on, and has the slots that it needs. Its workers leave
    /// as they pull: those that sleep are sent `Summon`. Answered by `Gone` when the last of them has left, now or later.
    RetireGroup(GroupId),
    /// A worker joins this group. It sleeps, without a slot. Answered by `Joined`, unless the group is retired.
    Join(GroupId),
    /// A worker is gone.
    Leave(WorkerId),
    /// A worker has nothing left to do. Answered by `Run`s, or by `Retire`. Otherwise the worker
    /// sleeps until it is sent `Grant`, or for a while if it is sent `Doze`.
    Pull(WorkerId),
    /// A task has ended, or its turn has.
    Finish {
        /// The worker that it ran on. `None` for a task that was detached.
        worker: Option<WorkerId>,
        /// Which task.
        task: TaskId,
        /// How it ended.
        outcome: Outcome,
        /// How long it held its slot, or for a detached task, how long all of it took. In
        /// nanoseconds; 0 if that was not measured.
        took: u64,
    },
    /// The driver has taken a claimed task back from its worker before it began.
    Unclaim(TaskId),
    /// A worker has begun a task that it had claimed. The driver says so only if it matters: before
    /// the task parks, nests, secedes or is detached.
    Begun {
        /// The worker.
        worker: WorkerId,
        /// Which task.
        task: TaskId,
    },
    /// The task on this worker goes on elsewhere, without a slot (async work). The worker is free
    /// again.
    Detach {
        /// The worker that it leaves.
        worker: WorkerId,
        /// Which task.
        task: TaskId,
    },
    /// A detached or seceded task awaits others, or awaits them no longer (an empty wait). May be answered by `Refused`.
    /// A task in any other state is left alone.
    Await {
        /// Which task.
        task: TaskId,
        /// What it awaits.
        wait: Wait,
    },
    /// A task that ended its turn as [`Outcome::Suspended`] can go on. It is queued again. A task
    /// in any other state stays there.
    Wake {
        /// Which task.
        task: TaskId,
        /// It has woken itself to let others go first. It goes behind the other tasks of its
        /// priority.
        yields: bool,
    },
    /// The task on this worker waits, and lends its slot meanwhile. May be answered by `Refused`.
    Park {
        /// The worker whose task waits.
        worker: WorkerId,
        /// What it waits for.
        wait: Wait,
    },
    /// The task on this worker waits for all of some tasks, and meanwhile may run them on its own
    /// stack. It keeps its slot for them. May be answered by `Refused`.
    Nest {
        /// The worker whose task waits.
        worker: WorkerId,
        /// What it waits for. It must need all of it.
        wait: Wait,
    },
    /// The task that waits on top of this worker's stack offers to run one of the tasks that it
    /// waits for. Answered by `Run`, or by nothing if that task cannot run now or a more urgent one
    /// is ready.
    RunNested {
        /// The worker.
        worker: WorkerId,
        /// Which of the tasks that it waits for, counted from 0.
        at: usize,
    },
    /// The task that waits on top of this worker's stack goes on, or is about to park. No task may
    /// run on top of it.
    Unnest(WorkerId),
    /// The task on this worker gives up its slot and runs on without one. May be answered by
    /// `Refused`.
    Secede(WorkerId),
    /// The wait on this worker is over, or its seceded task wants to rejoin. The worker is sent
    /// `Grant` once it has a slot, or at once if its task waited without one. A task that rejoins
    /// first gets its resources back. If they would never come the answer is `Refused`, and the
    /// task stays seceded.
    Resume(WorkerId),

    /// The driver has work of its own for a worker, of this group if it names one. A sleeping worker is sent `Grant`, if one
    /// is there and a slot is free; it pulls then, as always.
    Rouse(Option<GroupId>),

    /// A worker that was sent `Doze` has not been woken for a while.
    Stalled(WorkerId),

    /// Go on with what earlier events left to do.
    Continue,
    /// Cancel every task that has not ended, and begin no more tasks.
    Close,
}

/// A task on its way in. Front ends make it, and the scheduler takes it apart: it is the only form that a
/// task has in between.
///
/// A driver may number functions as it likes: it then submits with a number `K` of its own, and puts the
/// [`Kind`] that stands for it in its place with [`of_kind`](Self::of_kind).
#[derive(Debug)]
pub struct Submission<P, K = Kind> {
    /// What the driver needs to run it. The core only hands it back.
    pub payload: P,
    /// The key to find it under, if it has one.
    pub key: Option<Key>,
    /// How urgent it is. `None` takes the parent's priority, or 0 without a parent.
    pub priority: Option<Priority>,
    /// The task that submits it.
    pub parent: Option<TaskId>,
    /// Which function it is.
    pub kind: K,
    /// Where it may run and what it takes. `None` means anywhere and nothing.
    pub constraint: Option<Arc<Constraint>>,
    /// The tasks whose results it needs.
    pub inputs: Inputs,
    /// It is a call of an actor, which is its only input. The calls of an actor run one at a time,
    /// in the order in which they are submitted. A call runs to its end even if nothing wants its
    /// result. It grows from its actor. Without a priority of its own, it takes the higher one of
    /// its actor's and its parent's.
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

    /// Returns the same task with another name for its function.
    #[inline]
    pub fn of_kind<L>(self, kind: L) -> Submission<P, L> {
        let Self { payload, key, priority, parent, kind: _, constraint, inputs, call } = self;
        Submission { payload, key, priority, parent, kind, constraint, inputs, call }
    }
}

/// The inputs of one task. Up to three need no allocation.
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
    /// With an error, but it is to run again.
    Again,
    /// Not at all: it is to run in this group, which may run it ([`Scheduler::may_run_in`](crate::Scheduler::may_run_in)).
    /// What it needs is there alone.
    Elsewhere(GroupId),
    /// Not at all: its turn on the worker is over, and it waits for [`Event::Wake`] to get another.
    Suspended,
}

/// What a parked task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The tasks that it waits for, of which some may have ended. Empty if it waits for something
    /// that is no task. In an `Arc`, since a task may wait on the same long list again and again.
    pub tasks: Arc<Vec<TaskId>>,
    /// True if it waits for all of them; false if it goes on with the first.
    pub all: bool,
}
