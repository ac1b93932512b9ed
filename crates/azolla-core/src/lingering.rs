//! Cancelled tasks that linger: their functions still run. What they belong to has not ended before they have, and what they
//! submit belongs there too.

use crate::families::FamilyId;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::State;
use alloc::vec::Vec;

/// What is known of a task that lingers, which may be forgotten.
pub(crate) struct Lingering {
    /// Where it runs; `None` if it is detached.
    worker: Option<WorkerId>,
    /// The family that it counts for and names: its own, or the one that it belongs to.
    pub(crate) family: FamilyId,
    /// What it submits is cancelled.
    pub(crate) is_cut: bool,
}

impl<P: Clone> Scheduler<P> {
    /// A task is about to be cancelled. If it runs, it goes on.
    #[cold]
    #[inline(never)]
    pub(crate) fn may_linger(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(id) else { return };
        let worker = match task.state {
            State::Claimed { worker }
            | State::Running { worker }
            | State::Parked { worker }
            | State::Seceded { worker } => Some(worker),
            State::Detached => None,
            _ => return,
        };
        let (own, grown) = (self.tasks.family(task.rare), task.grown.family());
        let families = &mut self.tasks.families;
        let Some(family) = own.or_else(|| families.found(grown)) else { return };
        let is_cut = families.get(family).is_cut;
        families.name(family);
        families.gains(family);
        self.lingering.insert(id, Lingering { worker, family, is_cut });
    }

    /// This task has ended, or never begins.
    #[inline]
    pub(crate) fn lingers_no_more(&mut self, id: TaskId) {
        if !self.lingering.is_empty()
            && let Some(Lingering { family, .. }) = self.lingering.remove(&id)
        {
            self.loses(Some(family));
            self.tasks.families.unname(family);
        }
    }

    /// This task goes on without its worker.
    pub(crate) fn lingers_detached(&mut self, id: TaskId) {
        if let Some(lingering) = self.lingering.get_mut(&id) {
            lingering.worker = None;
        }
    }

    /// This worker has nothing in hand.
    #[inline]
    pub(crate) fn nothing_lingers_on(&mut self, worker: WorkerId) {
        if !self.lingering.is_empty() {
            self.end_those_on(worker);
        }
    }

    #[cold]
    fn end_those_on(&mut self, worker: WorkerId) {
        let is_there = |it: &Lingering| it.worker == Some(worker);
        let there = self.lingering.iter().filter(|(_, it)| is_there(it));
        let there: Vec<_> = there.map(|(id, _)| *id).collect();
        there.into_iter().for_each(|id| self.lingers_no_more(id));
    }

    /// Returns the family that what this task submits belongs to, if the task lingers.
    pub(crate) fn family_of_lingering(&mut self, id: TaskId) -> Option<FamilyId> {
        let family = self.lingering.get(&id)?.family;
        self.tasks.families.found(Some(family))
    }

    /// Returns true if the task lingers, and what it submits is cancelled.
    pub(crate) fn is_cut(&self, id: TaskId) -> bool {
        !self.lingering.is_empty() && self.lingering.get(&id).is_some_and(|it| it.is_cut)
    }

    /// Returns what lingers in this family or below it.
    pub(crate) fn lingering_below(&self, family: Option<FamilyId>) -> Vec<TaskId> {
        if self.lingering.is_empty() {
            return Vec::new();
        }
        let families = &self.tasks.families;
        let below = family.map(|family| families.all_below(family)).unwrap_or_default();
        let is_below = |it: &Lingering| {
            families.find(Some(it.family)).is_some_and(|family| below.contains(&family))
        };
        let found = self.lingering.iter().filter(|(_, it)| is_below(it));
        let mut found: Vec<_> = found.map(|(id, _)| *id).collect();
        found.sort_unstable();
        found
    }
}
