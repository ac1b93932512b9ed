//! What the core knows of a task.

use crate::growth::BranchId;
use crate::id::{Key, Kind, Priority, TaskId, WorkerId};
use smallvec::SmallVec;

/// Where a task stands. Each state carries what only it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Some inputs are not there yet.
    Waiting {
        /// How many.
        unfinished: u32,
    },
    /// In the ready queue.
    Ready,
    /// Pulled by a worker that has not been seen to begin it.
    Claimed {
        /// The worker.
        worker: WorkerId,
    },
    /// Running, and holding a slot.
    Running {
        /// The worker.
        worker: WorkerId,
    },
    /// Waiting for something in the middle of running, or for a slot to go on; holds no slot.
    Parked {
        /// The worker.
        worker: WorkerId,
    },
    /// Running without a slot.
    Seceded {
        /// The worker.
        worker: WorkerId,
    },
    /// Running without a worker (async work).
    Detached,
    /// Ended with a result.
    Done,
    /// Ended with an error, its own or an input's.
    Failed,
    /// Will have no result.
    Cancelled,
}

impl State {
    /// Whether nothing will change any more, short of a retry.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Whether the function has begun and not ended, as far as the core knows.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(
            self,
            Self::Running { .. } | Self::Parked { .. } | Self::Seceded { .. } | Self::Detached
        )
    }
}

/// Where a task stands in the tree of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The task's own number: how many were submitted before it.
    pub number: u64,
    /// The number of the task that all this grew from: its own for a root.
    pub root: u64,
    /// The number of the task that submitted it: 0 for a root (numbers begin at 1).
    pub parent: u64,
    /// How many generations below the root.
    pub depth: u32,
}

pub(crate) struct Task<P> {
    pub(crate) state: State,
    pub(crate) payload: P,
    pub(crate) lineage: Lineage,
    pub(crate) priority: Priority,
    pub(crate) kind: Kind,
    /// Where in the tree of growth it is counted.
    pub(crate) branch: BranchId,
    pub(crate) key: Option<Key>,
    /// How many want the result: the futures together count as one, `keep` as one, each
    /// dependent that may still run as one.
    pub(crate) wants: u32,
    /// Whether a future is among those who want it.
    pub(crate) has_future: bool,
    /// Whether it runs to its end though nobody is left.
    pub(crate) keep: bool,
    /// The tasks whose results it needs, kept until it is settled (a failed one keeps them, so
    /// that it can be retried).
    pub(crate) inputs: SmallVec<[TaskId; 2]>,
    /// The tasks to tell when it is settled. May name tasks that are gone.
    pub(crate) dependents: SmallVec<[TaskId; 2]>,
}
