//! All that can go out: what the scheduler asks of the driver.

use crate::id::{Priority, TaskId, WorkerId};
use alloc::vec::Vec;

/// Something for the driver to do or to know. Effects come in the order in which they must be
/// carried out.
#[derive(Debug)]
pub enum Effect<P> {
    /// The submission is this new task.
    Submitted(TaskId),
    /// The submission's key belongs to this task, whose future is now wanted again.
    Existing(TaskId),
    /// This worker is to run this task.
    Run {
        /// The worker.
        worker: WorkerId,
        /// The task.
        task: TaskId,
        /// What it takes to run it.
        payload: P,
        /// How urgent the task is.
        priority: Priority,
        /// It begins now; otherwise it is claimed, and can be taken back until it begins.
        begun: bool,
    },
    /// This worker, asleep or waiting to go on, now holds a slot. Wake it.
    Grant(WorkerId),
    /// This worker, which has found nothing to do, is to say [`Event::Stalled`](crate::Event::Stalled)
    /// unless it is woken within some 20 ms.
    Doze(WorkerId),
    /// This worker is not needed any more: let it end.
    Retire(WorkerId),
    /// The worker that has joined.
    Joined(WorkerId),
    /// The worker may not give up its slot, or its task not rejoin.
    Refused(Refusal),
    /// A slot is idle and this claimed task has not been seen to begin: take it back if it has
    /// not, and say so by `Unclaim`.
    TakeBack {
        /// The task.
        task: TaskId,
        /// What it takes to run it.
        payload: P,
    },
    /// This task fails with the error of `cause`.
    Inherit {
        /// The task that fails now.
        payload: P,
        /// A failed task that it depended on.
        cause: P,
    },
    /// This task is cancelled.
    Cancelled(P),
    /// This failed task will run again: whoever looks at it waits anew.
    Reset(P),
    /// The core is done with this task.
    Drop(P),
    /// Asked for by [`Scheduler::observe`](crate::Scheduler::observe): this task can run from now.
    Ready(TaskId),
}

/// Why a worker may not give up its slot now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no worker in its group to take it over: let one join, then ask again.
    NoSpare,
    /// The task holds resources of its own: what it waits for does not run on top of it.
    HoldsResources,
    /// The wait would never end, for each of these tasks waits for the next, and the last for the
    /// first, by depending on it or by taking what it holds. The first is the one that asked.
    Cycle(Vec<TaskId>),
}
