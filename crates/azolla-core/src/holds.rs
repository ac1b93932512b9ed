//! What tasks take of their group's resources, and for how long.
//!
//! A task takes its resources when it begins and gives them back when it really ends: a cancelled one
//! goes on using them until its function returns. While it waits, it lends its slot and *keeps* its
//! resources: what it has put on a GPU is still there. A task that secedes says that it does no work
//! for a while, and gives them back with its slot; to rejoin it needs both again, the resources first.
//! Async work keeps them until it ends, and so does a task that is suspended: it goes on where they are.
//!
//! What is only claimed takes nothing yet: tasks with a constraint are not claimed, but pulled one by one.

use crate::constraint::{Amount, Constraint, GroupId, ResourceId};
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::sets::SetId;
use crate::task::{State, Task};
use crate::workers::Hold;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// What is held by tasks that have begun and are on no worker: async work, which may go on when its
/// task is gone, and tasks that are suspended.
pub(crate) type Workerless = HashMap<TaskId, (GroupId, SetId), FxBuildHasher>;

impl<P: Clone> Scheduler<P> {
    /// What tasks of this set take.
    pub(crate) fn takes(&self, set: Option<SetId>) -> &[(ResourceId, Amount)] {
        set.map_or(&[], |set| self.sets.get(set).takes())
    }

    /// The task that this worker begins takes its resources.
    #[inline(never)]
    pub(crate) fn take(&mut self, id: WorkerId, task: TaskId, set: SetId) {
        if let Some((group, held)) = self.workerless.remove(&task) {
            self.set_constraint(task, held);
            if let Some(worker) = self.workers.get_mut(id) {
                worker.hold = Hold::Used(held);
            }
            self.move_stock(group, Hold::Kept(held), Hold::Used(held));
        } else if !self.sets.get(set).takes().is_empty() {
            self.sets.use_again(set);
            self.set_hold(id, Hold::Used(set));
        }
    }

    /// The task on this worker has ended, and gives back whatever it held.
    pub(crate) fn give_back(&mut self, id: WorkerId) {
        if let Some(Hold::Used(set) | Hold::Kept(set) | Hold::GivenUp(set)) =
            self.set_hold(id, Hold::Nothing)
        {
            self.sets.let_go(set);
        }
    }

    /// The task on this worker waits, and keeps what it has taken.
    #[inline]
    pub(crate) fn keep_held(&mut self, id: WorkerId) {
        if let Some(Hold::Used(set)) = self.workers.get(id).map(|worker| worker.hold) {
            self.set_hold(id, Hold::Kept(set));
        }
    }

    /// The wait is over, and the task uses again what it has kept.
    #[inline]
    pub(crate) fn use_kept(&mut self, id: WorkerId) {
        if let Some(Hold::Kept(set)) = self.workers.get(id).map(|worker| worker.hold) {
            self.set_hold(id, Hold::Used(set));
        }
    }

    /// The task on this worker secedes.
    pub(crate) fn give_up(&mut self, id: WorkerId) {
        if let Some(Hold::Used(set)) = self.workers.get(id).map(|worker| worker.hold) {
            self.set_hold(id, Hold::GivenUp(set));
        }
    }

    /// The task on this worker goes on without it, as async work, and keeps what it has taken.
    pub(crate) fn detach_held(&mut self, id: WorkerId, task: TaskId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if let (Hold::Used(set), group) = (worker.hold, worker.group) {
            // Its worker's use of the set becomes its own.
            worker.hold = Hold::Nothing;
            self.workerless.insert(task, (group, set));
            self.move_stock(group, Hold::Used(set), Hold::Kept(set));
            self.grant_rejoining(group);
        }
        self.give_back(id);
    }

    /// The turn of the task on this worker is over. It keeps what it has taken, and so it can go on in
    /// this group alone, where it takes nothing again.
    pub(crate) fn suspend_held(&mut self, id: WorkerId, task: TaskId) {
        let Some(worker) = self.workers.get(id) else { return };
        let goes_on = |task: &Task<P>| !task.state.is_settled() && task.wants.any();
        if matches!(worker.hold, Hold::Used(_))
            && !self.closing
            && self.tasks.get(task).is_some_and(goes_on)
            && let Some(here) = Constraint::new(Some(vec![worker.group]), false, Vec::new())
        {
            self.detach_held(id, task);
            let here = self.sets.of(Arc::new(here), &self.workers.groups);
            self.set_constraint(task, here);
            self.sets.let_go(here);
        }
    }

    fn set_constraint(&mut self, task: TaskId, set: SetId) {
        if self.tasks.get(task).is_some() {
            self.sets.use_again(set);
            if let Some(before) = self.tasks.replace_set(task, set) {
                self.sets.let_go(before);
            }
        }
    }

    /// If this task is suspended, or queued to go on, it will not: what it kept is given back.
    #[inline]
    pub(crate) fn give_back_suspended(&mut self, id: TaskId) {
        if !self.workerless.is_empty()
            && let Some(task) = self.tasks.get(id)
            && matches!(task.state, State::Suspended | State::Ready)
        {
            self.give_back_workerless(id);
        }
    }

    /// Async work has ended.
    #[inline]
    pub(crate) fn give_back_workerless(&mut self, task: TaskId) {
        if !self.workerless.is_empty()
            && let Some((group, set)) = self.workerless.remove(&task)
        {
            self.move_stock(group, Hold::Kept(set), Hold::Nothing);
            self.sets.let_go(set);
            self.grant_rejoining(group);
        }
    }

    #[inline(never)]
    fn set_hold(&mut self, id: WorkerId, hold: Hold) -> Option<Hold> {
        let worker = self.workers.get_mut(id)?;
        let before = core::mem::replace(&mut worker.hold, hold);
        let group = worker.group;
        self.move_stock(group, before, hold);
        self.grant_rejoining(group);
        Some(before)
    }

    /// Keeps a group's stock in step with what one task holds of it.
    #[inline(never)]
    fn move_stock(&mut self, group: GroupId, before: Hold, after: Hold) {
        let stock = &mut self.workers.groups[group.index()].resources;
        let at = |resource: ResourceId| usize::from(resource.0);
        if let Hold::Used(set) | Hold::Kept(set) = before {
            for (resource, amount) in self.sets.get(set).takes() {
                let stock = &mut stock[at(*resource)];
                stock.available = stock.available.plus(*amount);
                if let Hold::Kept(_) = before {
                    stock.kept = stock.kept.minus(*amount);
                }
            }
        }
        if let Hold::Used(set) | Hold::Kept(set) = after {
            for (resource, amount) in self.sets.get(set).takes() {
                let stock = &mut stock[at(*resource)];
                stock.available = stock.available.minus(*amount);
                if let Hold::Kept(_) = after {
                    stock.kept = stock.kept.plus(*amount);
                }
            }
        }
    }

    /// Gives those that rejoin what they need, in their order, and lets them queue for a slot. One
    /// that must wait for what running tasks hold keeps later ones from it.
    pub(crate) fn grant_rejoining(&mut self, group: GroupId) {
        if self.workers.group(group).tally.rejoining == 0 {
            return;
        }
        let mut awaited: Vec<ResourceId> = Vec::new();
        let rejoining: Vec<WorkerId> =
            self.workers.group(group).rejoining.iter().copied().collect();
        for id in rejoining {
            let Some(Hold::GivenUp(set)) = self.workers.get(id).map(|worker| worker.hold) else {
                continue;
            };
            let takes = self.sets.get(set).takes();
            let lacks = self.lacks(group, takes);
            let overtakes = takes.iter().any(|(resource, _)| awaited.contains(resource));
            if !lacks.is_empty() {
                if self.will_come(group, takes) {
                    awaited.extend(lacks);
                }
            } else if !overtakes {
                self.workers.stop_rejoining(id);
                if let Some(worker) = self.workers.get_mut(id) {
                    worker.hold = Hold::Used(set);
                }
                self.move_stock(group, Hold::GivenUp(set), Hold::Used(set));
            }
        }
    }

    /// The resources of which this group has less at hand than is to be taken.
    pub(crate) fn lacks(&self, group: GroupId, takes: &[(ResourceId, Amount)]) -> Vec<ResourceId> {
        let slots = self.workers.group(group);
        let lacking =
            takes.iter().filter(|(resource, amount)| slots.stock(*resource).available < *amount);
        lacking.map(|(resource, _)| *resource).collect()
    }

    /// Whether the group will have so much when those that use its resources have ended: what
    /// waiting tasks keep may not come before other tasks have got theirs.
    pub(crate) fn will_come(&self, group: GroupId, takes: &[(ResourceId, Amount)]) -> bool {
        let slots = self.workers.group(group);
        takes.iter().all(|(resource, amount)| {
            let stock = slots.stock(*resource);
            stock.total.minus(stock.kept) >= *amount
        })
    }
}
