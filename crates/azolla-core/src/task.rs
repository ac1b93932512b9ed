//! What the core knows about a task.

use crate::families::FamilyId;
use crate::few::Few;
use crate::growth::BranchId;
use crate::id::{Kind, Priority, WorkerId};
use crate::slab::HasGeneration;
use core::cmp::Reverse;
use core::num::NonZeroU32;

/// The state of a task. Each state carries what only it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for inputs, or for its turn in an actor's mailbox.
    Waiting {
        /// How many of these are still to come.
        unfinished: u32,
    },
    /// In a ready queue.
    Ready,
    /// Pulled by a worker that has not begun it, as far as the core knows.
    Claimed {
        /// The worker.
        worker: WorkerId,
    },
    /// Running, and holding a slot.
    Running {
        /// The worker.
        worker: WorkerId,
    },
    /// Waiting for something in the middle of running, or for a slot to go on. Holds no slot.
    Parked {
        /// The worker.
        worker: WorkerId,
    },
    /// Running without a slot.
    Seceded {
        /// The worker.
        worker: WorkerId,
    },
    /// Running without a worker: async work, which the driver sees to.
    Detached,
    /// Begun, and waiting without a worker to be woken for another turn: async work that is polled.
    Suspended,
    /// Ended with a result.
    Done,
    /// Ended with an error, its own or an input's.
    Failed,
    /// Cancelled: will have no result.
    Cancelled,
}

impl State {
    /// Returns whether the task has ended. Only a retry can change that, or a cancellation, which
    /// takes back a result or an error.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Returns whether a task in this state may be known to await others (`Event::Await`).
    pub(crate) fn may_await(self) -> bool {
        matches!(self, Self::Detached | Self::Seceded { .. })
    }

    /// Returns whether this worker has claimed the task, or runs it.
    pub(crate) fn is_on(self, worker: WorkerId) -> bool {
        matches!(
            self,
            Self::Claimed { worker: at }
                | Self::Running { worker: at }
                | Self::Parked { worker: at }
                | Self::Seceded { worker: at } if at == worker
        )
    }

    /// Returns whether the function has begun and not ended, as far as the core knows.
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

/// The place of a task in the tree of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The task's own number. Tasks are numbered from 1 in the order of submission.
    pub number: u64,
    /// The number of the root that the task grew from. A root has its own number here.
    pub root: u64,
    /// The number of the task that submitted it, or of its actor if it is a call. 0 for a root.
    pub parent: u64,
    /// How many generations it is below its root.
    pub depth: u32,
}

/// The children of one parent, as they are ordered: by root, depth (deeper first) and parent.
pub(crate) type Siblings = (u64, Reverse<u32>, u64);

/// How a task is ordered among the tasks of its priority. Tasks that were woken come first, in the
/// order in which they were woken. Then come the tasks that are ordered by their lineage. Last come
/// the tasks that yielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence(u64);

impl Precedence {
    /// The task is ordered by its lineage.
    pub(crate) const BY_LINEAGE: Self = Self(1 << 63);

    /// Returns the precedence of the task that was the `wakes`th to be woken. No lineage has such a
    /// number.
    pub(crate) fn woken(wakes: u64, yields: bool) -> Self {
        Self(wakes + if yields { Self::BY_LINEAGE.0 } else { 1 << 62 })
    }

    /// Returns the number under which to queue the task with this number.
    #[inline]
    pub(crate) fn queued_number(self, number: u64) -> u64 {
        if self == Self::BY_LINEAGE { number } else { self.0 }
    }

    /// Returns the lineage under which to queue the task. Real roots have numbers from 1 on, so
    /// root 0 comes before all of them and root `u64::MAX` after.
    pub(crate) fn queued_as(self, lineage: Lineage) -> Lineage {
        if self == Self::BY_LINEAGE {
            return lineage;
        }
        let root = if self < Self::BY_LINEAGE { 0 } else { u64::MAX };
        Lineage { number: self.0, root, parent: 1, depth: 0 }
    }
}

/// A position in the order of the ready queue. The smaller one goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order(Reverse<Priority>, u64, Reverse<u32>, u64, u64);

impl Order {
    pub(crate) fn priority(self) -> Priority {
        self.0.0
    }
}

impl Lineage {
    /// Returns the line that the task stands in; `None` for a root.
    pub(crate) fn line(self) -> Option<Siblings> {
        (self.parent != 0).then_some((self.root, Reverse(self.depth), self.parent))
    }

    pub(crate) fn order(self, priority: Priority) -> Order {
        Order(Reverse(priority), self.root, Reverse(self.depth), self.parent, self.number)
    }
}

/// A task in the table of tasks. What only some tasks have is kept beside it: see `tasks.rs`.
pub(crate) struct Task<P> {
    pub(crate) state: State,
    pub(crate) payload: P,
    pub(crate) grown: Grown,
    pub(crate) priority: Priority,
    pub(crate) kind: Kind,
    pub(crate) wants: Wants,
    pub(crate) rare: Rare,
    pub(crate) generation: NonZeroU32,
    /// The tasks whose results it needs, kept until it settles. A failed task keeps them for a
    /// retry.
    pub(crate) inputs: Few,
    /// The tasks to tell when it settles. May name tasks that are gone.
    pub(crate) dependents: Few,
}

// There may be millions of tasks, so their size matters.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Task<&dyn core::any::Any>>() <= 104);

impl<P> Task<P> {
    /// A task that is about to be submitted, for one future.
    #[inline(always)]
    pub(crate) fn new(
        payload: P,
        grown: Grown,
        priority: Priority,
        kind: Kind,
        rare: Rare,
        inputs: Few,
    ) -> Self {
        Self {
            state: State::Waiting { unfinished: 0 },
            payload,
            grown,
            priority,
            kind,
            wants: Wants::by_future(),
            rare,
            generation: NonZeroU32::MIN,
            inputs,
            dependents: Few::new(),
        }
    }

    /// Returns whether it is a call of an actor, which is its only input.
    #[inline]
    pub(crate) fn is_call(&self) -> bool {
        self.rare.is_call()
    }

    /// Returns whether it belongs to a family or has one of its own.
    #[inline]
    pub(crate) fn is_related(&self) -> bool {
        self.rare.is_related()
    }

    /// Returns false if nothing waits for it, as one look shows.
    #[inline]
    pub(crate) fn may_be_waited_for(&self) -> bool {
        self.is_call() || self.rare.is_awaited() || !self.dependents.is_empty()
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

/// The wants on a task: one for each dependent that may still run, one for all its futures
/// together, and one if it is to run to its end in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants(u32);

/// One kind of want. The values are the bits and the unit that [`Wants`] counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Want {
    /// All futures together.
    Future = 1,
    /// It is to run to its end even if nothing else wants it.
    Keep = 2,
    /// One dependent.
    Dependent = 4,
}

impl Wants {
    pub(crate) fn by_future() -> Self {
        Self(Want::Future as u32)
    }

    /// Returns whether there is any want.
    #[inline]
    pub(crate) fn any(self) -> bool {
        self.0 > 0
    }

    /// Returns whether this want is there. Not for dependents, of which there may be several.
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

    /// Returns how many dependents want it.
    pub(crate) fn dependents(self) -> u32 {
        self.0 / Want::Dependent as u32
    }
}

/// A packed lineage, with the branch of the tree of growth that counts the task. It keeps 48 bits
/// of a task number. That is enough for a year of submissions at eight million a second. The number of
/// the parent is that of the family.
#[derive(Clone, Copy)]
pub(crate) struct Grown {
    number_and_branch: u64,
    root_and_depth: u64,
    family_and_depth: u64,
}

impl Grown {
    #[inline]
    pub(crate) fn new(
        number: u64,
        root: u64,
        depth: u32,
        family: Option<FamilyId>,
        branch: BranchId,
    ) -> Self {
        Self {
            number_and_branch: number << 16 | u64::from(branch.0 & 0xFFFF),
            root_and_depth: root << 16 | u64::from(depth >> 16),
            family_and_depth: u64::from(FamilyId::to_bits(family)) << 16
                | u64::from(depth & 0xFFFF),
        }
    }

    /// Returns the family that it belongs to. A task that grew from no task and is in no scope belongs to none.
    #[inline]
    pub(crate) fn family(self) -> Option<FamilyId> {
        FamilyId::from_bits((self.family_and_depth >> 16) as u32)
    }

    /// Returns whether it belongs to a family.
    #[inline]
    pub(crate) fn has_family(self) -> bool {
        self.family_and_depth >> 16 != 0
    }

    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.number_and_branch >> 16
    }

    #[inline]
    pub(crate) fn branch(self) -> BranchId {
        BranchId(self.number_and_branch as u32 & 0xFFFF)
    }

    /// Returns the lineage. `parent` is the number of the family.
    #[inline]
    pub(crate) fn lineage(self, parent: u64) -> Lineage {
        Lineage {
            number: self.number(),
            root: self.root_and_depth >> 16,
            parent,
            depth: (self.root_and_depth as u32) << 16 | self.family_and_depth as u32 & 0xFFFF,
        }
    }
}

/// Seven facts about a task, and the place of what only some tasks have (see `tasks.rs`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rare(u32);

impl Rare {
    /// It is a call of an actor.
    const CALL: u32 = 1 << 31;
    /// A worker's task has begun to wait for this task, and for all others that it waits for.
    const AWAITED: u32 = 1 << 30;
    /// It failed because of one input while others had not ended, so these may still list it as a dependent.
    const LISTED: u32 = 1 << 29;
    /// Its result is there, but the core has not been told that it has ended.
    const THERE: u32 = 1 << 28;
    /// It belongs to a family, or has one.
    const RELATED: u32 = 1 << 27;
    /// It is a gate, which runs nowhere.
    const GATE: u32 = 1 << 26;
    /// It has failed, and the scope that it is in was told.
    const TOLD: u32 = 1 << 25;
    const FACTS: u32 = Self::CALL
        | Self::AWAITED
        | Self::LISTED
        | Self::THERE
        | Self::RELATED
        | Self::GATE
        | Self::TOLD;

    pub(crate) fn new(call: bool) -> Self {
        Self(if call { Self::CALL } else { 0 })
    }

    pub(crate) fn of_gate() -> Self {
        Self(Self::GATE)
    }

    #[inline]
    pub(crate) fn is_gate(self) -> bool {
        self.0 & Self::GATE != 0
    }

    pub(crate) fn is_told(self) -> bool {
        self.0 & Self::TOLD != 0
    }

    pub(crate) fn set_told(&mut self) {
        self.0 |= Self::TOLD;
    }

    #[inline]
    pub(crate) fn is_related(self) -> bool {
        self.0 & Self::RELATED != 0
    }

    #[inline]
    pub(crate) fn set_related(&mut self) {
        self.0 |= Self::RELATED;
    }

    #[inline]
    pub(crate) fn is_call(self) -> bool {
        self.0 & Self::CALL != 0
    }

    #[inline]
    pub(crate) fn is_awaited(self) -> bool {
        self.0 & Self::AWAITED != 0
    }

    #[inline]
    pub(crate) fn set_awaited(&mut self) {
        self.0 |= Self::AWAITED;
    }

    #[inline]
    pub(crate) fn may_be_listed(self) -> bool {
        self.0 & Self::LISTED != 0
    }

    pub(crate) fn set_listed(&mut self) {
        self.0 |= Self::LISTED;
    }

    #[inline]
    pub(crate) fn is_there(self) -> bool {
        self.0 & Self::THERE != 0
    }

    pub(crate) fn set_there(&mut self) {
        self.0 |= Self::THERE;
    }

    #[inline]
    pub(crate) fn place(self) -> Option<usize> {
        (self.0 & !Self::FACTS).checked_sub(1).map(|place| place as usize)
    }

    pub(crate) fn set_place(&mut self, place: usize) {
        self.0 = self.0 & Self::FACTS | (place as u32 + 1);
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
            for family in [None, FamilyId::from_bits(1), FamilyId::from_bits(u32::MAX)] {
                let grown = Grown::new(number, root, depth, family, BranchId(branch));
                assert_eq!((grown.lineage(parent), grown.branch()), (lineage, BranchId(branch)));
                assert_eq!((grown.number(), grown.family()), (number, family));
            }
        }
    }
}
