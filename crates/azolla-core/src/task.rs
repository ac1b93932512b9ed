//! What the core knows of a task.

use crate::growth::BranchId;
use crate::id::{Key, Kind, Priority, TaskId, WorkerId};
use crate::sets::SetId;
use core::cmp::Reverse;
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
    /// Running without a worker (async work that somebody else sees to).
    Detached,
    /// Begun, and waiting without a worker to be woken for another turn (async work that is polled).
    Suspended,
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
            Self::Running { .. }
                | Self::Parked { .. }
                | Self::Seceded { .. }
                | Self::Detached
                | Self::Suspended
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

/// When a task has its turn among those of its priority: those that were woken first, in the order
/// in which they were, then as their lineage says, and last those that let others go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

impl Turn {
    /// As its lineage says.
    pub(crate) const GROWN: Self = Self(1 << 63);

    /// The turn of the task that was the `wakes`th to be woken. It is no number of a lineage.
    pub(crate) fn woken(wakes: u64, yields: bool) -> Self {
        Self(wakes + if yields { Self::GROWN.0 } else { 1 << 62 })
    }

    /// What to put the task into the queue by: roots are numbered from 1 on.
    pub(crate) fn place(self, lineage: Lineage) -> Lineage {
        if self == Self::GROWN {
            return lineage;
        }
        let root = if self < Self::GROWN { 0 } else { u64::MAX };
        Lineage { number: self.0, root, parent: 1, depth: 0 }
    }

    /// The number of that place.
    pub(crate) fn number(self, lineage: Lineage) -> u64 {
        if self == Self::GROWN { lineage.number } else { self.0 }
    }
}

/// Where a task stands in the order of the ready queue: the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order(Reverse<Priority>, u64, Reverse<u32>, u64, u64);

impl Order {
    pub(crate) fn priority(self) -> Priority {
        self.0.0
    }
}

impl Lineage {
    pub(crate) fn order(self, priority: Priority) -> Order {
        Order(Reverse(priority), self.root, Reverse(self.depth), self.parent, self.number)
    }
}

pub(crate) struct Task<P> {
    pub(crate) state: State,
    pub(crate) payload: P,
    pub(crate) lineage: Lineage,
    pub(crate) turn: Turn,
    pub(crate) priority: Priority,
    pub(crate) kind: Kind,
    /// Where in the tree of growth it is counted.
    pub(crate) branch: BranchId,
    pub(crate) key: Option<Key>,
    /// Its constraint, if it has one.
    pub(crate) set: Option<SetId>,
    /// How many want the result: the futures together count as one, `keep` as one, each
    /// dependent that may still run as one.
    pub(crate) wants: u32,
    /// Whether a future is among those who want it.
    pub(crate) has_future: bool,
    /// Whether it runs to its end though nobody is left.
    pub(crate) keep: bool,
    /// It is a call of its only input, an actor.
    pub(crate) call: bool,
    /// The tasks whose results it needs, kept until it is settled (a failed one keeps them, so
    /// that it can be retried).
    pub(crate) inputs: SmallVec<[TaskId; 2]>,
    /// The tasks to tell when it is settled. May name tasks that are gone.
    pub(crate) dependents: SmallVec<[TaskId; 2]>,
}

// What a task takes is what a million of them take.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Task<&dyn core::any::Any>>() <= 160);

impl<P> Task<P> {
    pub(crate) fn order(&self) -> Order {
        self.turn.place(self.lineage).order(self.priority)
    }
}
