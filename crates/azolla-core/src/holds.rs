//! What tasks hold of their group's resources, and for how long.
//!
//! A task takes its resources when it begins and gives them back when it really ends. A cancelled
//! task goes on using them until its function returns.
//!
//! A task that waits lends its slot but *keeps* its resources: what it has put on a GPU is still
//! there. A task that secedes says that it does no work for a while, so it gives its resources back
//! with its slot. To rejoin it needs both again, the resources first. Async work keeps its
//! resources until it ends. A suspended task keeps them too, and goes on in the group where they
//! are.
//!
//! A claim takes no resources, because tasks with a constraint are never claimed in batches.

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

/// What is held by tasks that have begun and are on no worker: suspended tasks, and async work,
/// which may go on after its task is gone.
pub(crate) type Workerless = HashMap<TaskId, (GroupId, SetId), FxBuildHasher>;

impl<P: Clone> Scheduler<P> {
    /// Returns what the tasks of this set take.
    pub(crate) fn takes(&self, set: Option<SetId>) -> &[(ResourceId, Amount)] {
        set.map_or(&[], |set| self.sets.get(set).takes())
    }

    /// This worker begins `task`, which takes its resources. A task that was suspended holds them
    /// already.
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

    /// The task on this worker has ended, and gives back all that it held.
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

    /// The wait on this worker is over, and its task uses again what it has kept.
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

    /// The task on this worker leaves it, and keeps what it has taken.
    pub(crate) fn detach_held(&mut self, id: WorkerId, task: TaskId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if let (Hold::Used(set), group) = (worker.hold, worker.group) {
            // The worker's use of the set becomes the task's.
            worker.hold = Hold::Nothing;
            self.workerless.insert(task, (group, set));
            self.move_stock(group, Hold::Used(set), Hold::Kept(set));
            self.grant_rejoining(group);
        }
        self.give_back(id);
    }

    /// The task on this worker has ended its turn. It keeps what it has taken, unless it is settled
    /// or unwanted or the scheduler is closing. So it gets a constraint that takes nothing and
    /// names this group alone, where it can go on.
    pub(crate) fn suspend_held(&mut self, id: WorkerId, task: TaskId) {
        let Some(worker) = self.workers.get(id) else { return };
        let goes_on = |task: &Task<P>| !task.state.is_settled() && task.wants.any();
        if matches!(worker.hold, Hold::Used(_))
            && !self.closing
            && !self.workers.group(worker.group).is_retired
            && self.tasks.get(task).is_some_and(goes_on)
            && let Some(here) = Constraint::new(Some(vec![worker.group]), false, Vec::new())
        {
            self.detach_held(id, task);
            let here = self.sets.of(Arc::new(here), &self.workers.groups);
            self.set_constraint(task, here);
            self.sets.let_go(here);
        }
    }

    /// Has a task that holds nothing run in this group alone, if the group may run it.
    pub(crate) fn confine(&mut self, id: TaskId, group: GroupId) {
        let Some(task) = self.tasks.get(id).filter(|_| self.may_run_in(id, group)) else { return };
        let set = self.tasks.set(task.rare);
        let takes = set.map_or(Vec::new(), |set| self.sets.get(set).takes().to_vec());
        if let Some(there) = Constraint::new(Some(vec![group]), false, takes) {
            let there = self.sets.of(Arc::new(there.outliving_groups()), &self.workers.groups);
            self.set_constraint(id, there);
            self.sets.let_go(there);
            self.is_woken(id, false);
        }
    }

    pub(crate) fn set_constraint(&mut self, task: TaskId, set: SetId) {
        if self.tasks.get(task).is_some() {
            self.sets.use_again(set);
            if let Some(before) = self.tasks.replace_set(task, set) {
                self.sets.let_go(before);
            }
        }
    }

    /// This task is cancelled. If it is suspended, or queued to go on, what it kept is given back.
    #[inline]
    pub(crate) fn give_back_suspended(&mut self, id: TaskId) {
        if !self.workerless.is_empty()
            && let Some(task) = self.tasks.get(id)
            && matches!(task.state, State::Suspended | State::Ready)
        {
            self.give_back_workerless(id);
        }
    }

    /// A task that was on no worker has ended, and gives back what it held.
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

    /// Updates a group's stock for one hold that changes.
    #[inline(never)]
    pub(crate) fn move_stock(&mut self, group: GroupId, before: Hold, after: Hold) {
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

    /// Serves the tasks that want to rejoin, in the order in which they asked. A task whose
    /// resources are available takes them and queues for a slot. If a task lacks a resource that
    /// running tasks will give back, no later task may take that resource.
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

    /// Returns the resources of which this group has less available than `takes` asks for.
    pub(crate) fn lacks(&self, group: GroupId, takes: &[(ResourceId, Amount)]) -> Vec<ResourceId> {
        let slots = self.workers.group(group);
        let lacking =
            takes.iter().filter(|(resource, amount)| slots.stock(*resource).available < *amount);
        lacking.map(|(resource, _)| *resource).collect()
    }

    /// Returns whether the group will have this much once its running tasks have ended. What
    /// waiting tasks keep does not count, as it may come back only after other tasks have got
    /// theirs.
    pub(crate) fn will_come(&self, group: GroupId, takes: &[(ResourceId, Amount)]) -> bool {
        let slots = self.workers.group(group);
        takes.iter().all(|(resource, amount)| {
            let stock = slots.stock(*resource);
            stock.total.minus(stock.kept) >= *amount
        })
    }
}
