//! Effects: everything that the scheduler can tell the driver.

use crate::constraint::GroupId;
use crate::id::{Priority, TaskId, WorkerId};
use alloc::vec::Vec;

/// Something for the driver to do or to know. Effects must be carried out in their order.
#[derive(Debug)]
pub enum Effect<P> {
    /// The submission is this new task.
    Submitted(TaskId),
    /// The submission's key belongs to this task, on which there is now a future (again).
    Existing(TaskId),
    /// This worker is to run this task.
    Run {
        /// The worker.
        worker: WorkerId,
        /// The task.
        task: TaskId,
        /// The payload of the task.
        payload: P,
        /// How urgent the task is.
        priority: Priority,
        /// The task begins now. Otherwise the worker claims it, and it can be taken back until it
        /// begins.
        begun: bool,
    },
    /// Wake this worker. If it was asleep or wanted to go on, it now holds a slot. If its task had
    /// seceded before it waited, the wait is over and the task goes on without a slot.
    Grant(WorkerId),
    /// This worker, which has found nothing to do, is to send
    /// [`Event::Stalled`](crate::Event::Stalled) unless it is woken within some 20 ms.
    Doze(WorkerId),
    /// This worker is not needed any more, and the scheduler has removed it. Let it end.
    Retire(WorkerId),
    /// Wake this worker, which sleeps. Its group is retired, so it is to pull, and is retired too.
    Summon(WorkerId),
    /// The last worker of this group, which is retired, has left. Nothing is said of the group any more.
    Gone(GroupId),
    /// This worker has joined.
    Joined(WorkerId),
    /// The task may not wait, secede or rejoin now.
    Refused(Refusal),
    /// A slot is idle, and this task is claimed by a worker and has not begun as far as the core
    /// knows. If it has not begun, the driver may take it back and say so by `Unclaim`.
    TakeBack {
        /// The task.
        task: TaskId,
        /// The payload of the task.
        payload: P,
    },
    /// This task fails with the error of `cause`.
    Inherit {
        /// The task that fails now.
        payload: P,
        /// The failed task that it depended on.
        cause: P,
    },
    /// This task fails, since a scope or a watch of growth would wait for it without end. Each of these tasks waits for the
    /// next, and the last for the first: it waits for or depends on that task, or takes what that task holds. The first is
    /// this task.
    Endless {
        /// The task.
        payload: P,
        /// The tasks that would wait for each other.
        path: Vec<TaskId>,
    },
    /// These tasks are to be cancelled, as `CancelGrown` says. The driver answers with `CancelEach` at once.
    Doomed {
        /// The tasks and their payloads.
        tasks: Vec<(TaskId, P)>,
        /// As in `CancelGrown`.
        interrupt: bool,
    },
    /// This task runs, and is to stop soon. It is about to be cancelled.
    Interrupted(P),
    /// This task is cancelled.
    Cancelled(P),
    /// All that this scope, or this watch of a task's growth, waits for has ended.
    GrowthEnded(P),
    /// This task, which belongs to this scope, has failed. It was submitted in the scope itself, or no future on it is left
    /// and no task depends on it. The scope keeps it. If the failure is not to count, the driver says so by `Disregard`.
    FailedInScope {
        /// The task.
        payload: P,
        /// The scope.
        scope: P,
        /// It was submitted in the scope itself, so it counts even if somebody has seen that it failed.
        at_once: bool,
    },
    /// This failed task will run again, so its result is pending again.
    Reset(P),
    /// The core has forgotten this task, and does not need the payload any more.
    Drop(P),
    /// This task can run from now on. Only sent if
    /// [`Scheduler::observe`](crate::Scheduler::observe) asks for it.
    Ready(TaskId),
}

/// Why a task may not wait, secede or rejoin now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its group has no spare worker to use the slot. Let one join, then ask again.
    NoSpare,
    /// The task holds resources, so no task may run on top of it. It may park instead.
    HoldsResources,
    /// The wait would never end. Each of these tasks waits for the next, and the last for the
    /// first: it waits for or depends on that task, or takes what that task holds. The first is the
    /// one that asked.
    Cycle(Vec<TaskId>),
}
