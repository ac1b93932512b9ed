//! What the core knows of a task.

use crate::few::Few;
use crate::growth::BranchId;
use crate::id::{Kind, Priority, WorkerId};
use crate::slab::HasGeneration;
use core::cmp::Reverse;
use core::num::NonZeroU32;

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

/// The children of one parent, by where they come in the order: by root, depth (deeper first) and
/// parent.
pub(crate) type Siblings = (u64, Reverse<u32>, u64);

/// When a task has its turn among those of its priority: those that were woken first, in the order
/// in which they were, then as their lineage says, and last those that let others go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence(u64);

impl Precedence {
    /// As its lineage says.
    pub(crate) const BY_LINEAGE: Self = Self(1 << 63);

    /// The turn of the task that was the `wakes`th to be woken. It is no number of a lineage.
    pub(crate) fn woken(wakes: u64, yields: bool) -> Self {
        Self(wakes + if yields { Self::BY_LINEAGE.0 } else { 1 << 62 })
    }

    /// What to put the task into the queue by: roots are numbered from 1 on.
    pub(crate) fn queued_as(self, lineage: Lineage) -> Lineage {
        if self == Self::BY_LINEAGE {
            return lineage;
        }
        let root = if self < Self::BY_LINEAGE { 0 } else { u64::MAX };
        Lineage { number: self.0, root, parent: 1, depth: 0 }
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
    /// Those that it stands in line with; `None` for a root.
    pub(crate) fn line(self) -> Option<Siblings> {
        (self.parent != 0).then_some((self.root, Reverse(self.depth), self.parent))
    }

    pub(crate) fn order(self, priority: Priority) -> Order {
        Order(Reverse(priority), self.root, Reverse(self.depth), self.parent, self.number)
    }
}

/// The table of tasks keeps besides what only some of them have: see `tasks.rs`.
pub(crate) struct Task<P> {
    pub(crate) state: State,
    pub(crate) payload: P,
    pub(crate) grown: Grown,
    pub(crate) priority: Priority,
    pub(crate) kind: Kind,
    pub(crate) wants: Wants,
    pub(crate) rare: Rare,
    pub(crate) generation: NonZeroU32,
    /// The tasks whose results it needs, kept until it is settled (a failed one keeps them, so
    /// that it can be retried).
    pub(crate) inputs: Few,
    /// The tasks to tell when it is settled. May name tasks that are gone.
    pub(crate) dependents: Few,
}

// What a task takes is what a million of them take.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Task<&dyn core::any::Any>>() <= 104);

impl<P> Task<P> {
    /// Whether it is a call of its only input, an actor.
    #[inline]
    pub(crate) fn is_call(&self) -> bool {
        self.rare.is_call()
    }
}

impl<P> HasGeneration for Task<P> {
    #[inline]
    fn generation(&self) -> NonZeroU32 {
        self.generation
    }

    #[inline]
    fn set_generation(&mut self, generation: NonZeroU32) {
        self.generation = generation;
    }
}

/// Who wants a task's result: each dependent that may still run, a future perhaps, and the promise
/// perhaps to run it in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants(u32);

/// One of those who want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Want {
    /// All the futures together.
    Future = 1,
    /// It runs to its end though nobody is left.
    Keep = 2,
    /// One dependent.
    Dependent = 4,
}

impl Wants {
    pub(crate) fn by_future() -> Self {
        Self(Want::Future as u32)
    }

    /// Whether anybody does.
    #[inline]
    pub(crate) fn any(self) -> bool {
        self.0 > 0
    }

    /// Whether this one, of which there is one at the most, is among them.
    #[inline]
    pub(crate) fn has(self, want: Want) -> bool {
        self.0 & want as u32 != 0
    }

    #[inline]
    pub(crate) fn add(&mut self, want: Want) {
        self.0 += want as u32;
    }

    #[inline]
    pub(crate) fn remove(&mut self, want: Want) {
        self.0 -= want as u32;
    }

    /// How many dependents.
    pub(crate) fn dependents(self) -> u32 {
        self.0 / Want::Dependent as u32
    }
}

/// A lineage, and the branch of the tree of growth that the task is counted in. Of the numbers 48 bits
/// are kept: that is more tasks than one could submit in a year, ten million a second.
#[derive(Clone, Copy)]
pub(crate) struct Grown {
    number_and_branch: u64,
    root_and_depth: u64,
    parent_and_depth: u64,
}

impl Grown {
    #[inline]
    pub(crate) fn new(lineage: Lineage, branch: BranchId) -> Self {
        let Lineage { number, root, parent, depth } = lineage;
        Self {
            number_and_branch: number << 16 | u64::from(branch.0 & 0xFFFF),
            root_and_depth: root << 16 | u64::from(depth >> 16),
            parent_and_depth: parent << 16 | u64::from(depth & 0xFFFF),
        }
    }

    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.number_and_branch >> 16
    }

    /// As [`Lineage::line`].
    #[inline]
    pub(crate) fn line(self) -> Option<Siblings> {
        // Roots, which most are, are not unpacked.
        if self.parent_and_depth >> 16 == 0 { None } else { self.lineage().line() }
    }

    #[inline]
    pub(crate) fn branch(self) -> BranchId {
        BranchId(self.number_and_branch as u32 & 0xFFFF)
    }

    #[inline]
    pub(crate) fn lineage(self) -> Lineage {
        Lineage {
            number: self.number(),
            root: self.root_and_depth >> 16,
            parent: self.parent_and_depth >> 16,
            depth: (self.root_and_depth as u32) << 16 | self.parent_and_depth as u32 & 0xFFFF,
        }
    }
}

/// Whether the task is a call of its only input, an actor; and where in the table of tasks there stands
/// what only some of them have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rare(u32);

impl Rare {
    const CALL: u32 = 1 << 31;

    pub(crate) fn new(call: bool) -> Self {
        Self(if call { Self::CALL } else { 0 })
    }

    #[inline]
    pub(crate) fn is_call(self) -> bool {
        self.0 & Self::CALL != 0
    }

    #[inline]
    pub(crate) fn place(self) -> Option<usize> {
        (self.0 & !Self::CALL).checked_sub(1).map(|place| place as usize)
    }

    pub(crate) fn set_place(&mut self, place: usize) {
        self.0 = self.0 & Self::CALL | (place as u32 + 1);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_lineage_is_what_it_was_before_it_was_packed() {
        let most = (1 << 48) - 1;
        for (number, root, parent, depth, branch) in
            [(1, 1, 0, 0, 0), (most, most, most, u32::MAX, 0xFFFF), (7 << 40, 5, 6, 0x1_2345, 999)]
        {
            let lineage = Lineage { number, root, parent, depth };
            let grown = Grown::new(lineage, BranchId(branch));
            assert_eq!((grown.lineage(), grown.branch()), (lineage, BranchId(branch)));
            assert_eq!(grown.number(), number);
        }
    }
}
