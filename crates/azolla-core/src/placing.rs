//! Placing: which task a group begins next if tasks have constraints.
//!
//! A group begins the first task in the order that it can run now, and passes over a task that
//! lacks a resource. But if running tasks will give that resource back, the group saves it: no
//! later task may take any of it. Otherwise a large task could starve behind small ones. Resources
//! that waiting tasks keep do not count as coming back, because those tasks may wait for the very
//! tasks that would be held back.
//!
//! As long as no task has a constraint, none of this runs: there is one queue, and every group
//! takes from it.

use crate::constraint::{GroupId, ResourceId};
use crate::graph::ready_order;
use crate::id::{Priority, TaskId};
use crate::scheduler::Scheduler;
use crate::sets::{Fit, SetId};
use crate::task::{Order, State};
use crate::workers::Worker;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// The ready tasks of one constraint set, or those without a constraint (`None`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) set: Option<SetId>,
    /// The position of the first of them in the order.
    pub(crate) head: Order,
    pub(crate) count: usize,
}

pub(crate) type Demands = SmallVec<[Demand; 4]>;
/// The resources that a group saves, each with the position of the task that it is saved for.
/// `None` stands for a task that rejoins, which comes before all ready tasks.
pub(crate) type Awaited = Vec<(ResourceId, Option<Order>)>;

impl<P: Clone> Scheduler<P> {
    /// Returns what is ready and can be run by some group, set by set.
    pub(crate) fn demands(&mut self) -> Demands {
        let mut demands = self.demands_of_sets();
        if let Some(head) = self.peek_ready().and_then(|id| self.order_of(id)) {
            demands.push(Demand { set: None, head, count: self.ready.len() });
        }
        demands
    }

    fn demands_of_sets(&self) -> Demands {
        let demand = |(id, set): (SetId, &crate::sets::Set)| {
            Some(Demand { set: Some(id), head: set.head?, count: set.queue.len() })
        };
        self.sets.ready().filter_map(demand).collect()
    }

    /// As [`demands`](Self::demands), but counts only these ready tasks. The last of them goes
    /// first.
    pub(crate) fn demands_of(&self, tasks: &[TaskId]) -> Demands {
        let mut demands = Demands::new();
        for task in tasks.iter().rev().filter_map(|id| self.tasks.get(*id)) {
            let set = self.tasks.set(task.rare);
            if set.is_some_and(|set| !self.sets.get(set).is_runnable()) {
                continue;
            }
            match demands.iter_mut().find(|demand| demand.set == set) {
                Some(demand) => demand.count += 1,
                None => demands.push(Demand { set, head: self.tasks.order(task), count: 1 }),
            }
        }
        demands
    }

    fn order_of(&self, id: TaskId) -> Option<Order> {
        self.tasks.get(id).map(|task| self.tasks.order(task))
    }

    /// Returns the demand that the group serves next.
    pub(crate) fn choose(&self, group: GroupId, demands: &[Demand]) -> Option<Demand> {
        let awaited = self.awaited(group, demands);
        let can = demands.iter().filter(|demand| self.can_begin(group, demand, &awaited));
        can.min_by_key(|demand| demand.head).copied()
    }

    /// Takes the first ready task of this set.
    pub(crate) fn pop_of(&mut self, set: Option<SetId>) -> Option<TaskId> {
        let Some(set) = set else { return self.pop_ready() };
        let tasks = &self.tasks;
        self.sets.pop(set, |number, id| ready_order(tasks, number, id))
    }

    /// Takes the ready task that this group begins next.
    #[inline]
    pub(crate) fn pop_for(&mut self, group: GroupId) -> Option<TaskId> {
        if self.sets.ready_tasks() == 0 { self.pop_ready() } else { self.pop_placed(group) }
    }

    #[inline(never)]
    fn pop_placed(&mut self, group: GroupId) -> Option<TaskId> {
        let demands = self.demands();
        let chosen = self.choose(group, &demands)?;
        self.pop_of(chosen.set)
    }

    /// As [`pop_placed`](Self::pop_placed), but leaves the task in its queue.
    #[inline(never)]
    pub(crate) fn peek_placed(&mut self, group: GroupId) -> Option<TaskId> {
        let demands = self.demands();
        let Some(set) = self.choose(group, &demands)?.set else { return self.peek_ready() };
        let tasks = &self.tasks;
        self.sets.peek(set, |number, id| ready_order(tasks, number, id).is_some())
    }

    /// Returns the highest priority among the tasks that this group could begin.
    #[inline]
    pub(crate) fn best_for(&self, group: GroupId) -> Option<Priority> {
        let best = self.ready.best();
        if self.sets.ready_tasks() == 0 { best } else { best.max(self.best_placed(group)) }
    }

    #[inline(never)]
    fn best_placed(&self, group: GroupId) -> Option<Priority> {
        let demands = self.demands_of_sets();
        self.choose(group, &demands).map(|demand| demand.head.priority())
    }

    /// Returns whether this worker may be handed a task of this set past the queue. The task is not
    /// ready yet.
    #[inline(never)]
    pub(crate) fn may_take_over(&self, worker: &Worker, set: SetId, head: Order) -> bool {
        // The worker may begin its claims after this task, and report the end of this task only
        // when they have ended. The resources would be held for all that time.
        if !worker.claims.is_empty() && !self.sets.get(set).takes().is_empty() {
            return false;
        }
        let group = worker.group;
        let awaited = self.awaited(group, &self.demands_of_sets());
        self.can_begin(group, &Demand { set: Some(set), head, count: 1 }, &awaited)
    }

    /// Returns a group in which to wake a sleeping worker for these demands.
    ///
    /// A first pass goes by set: a worker is woken if the workers that are waking are fewer than
    /// the tasks of the set that could begin at once. A waking worker may count for several sets
    /// there. So in the end one more is woken if fewer workers are waking than tasks could begin in
    /// all.
    pub(crate) fn group_to_wake(&self, demands: &[Demand]) -> Option<GroupId> {
        let groups = || self.workers.group_ids();
        let awaited: Vec<(GroupId, Awaited)> =
            groups().map(|group| (group, self.awaited(group, demands))).collect();
        let awaited = |of: GroupId| {
            let found = awaited.iter().find(|(group, _)| *group == of);
            found.map_or(&[][..], |(_, awaited)| awaited)
        };
        let waking = |group: GroupId| self.workers.group(group).tally.waking;
        let (mut all, mut idle) = (0, None);
        for demand in demands {
            let can = |group: &GroupId| self.can_begin(*group, demand, awaited(*group));
            let (mut at_once, mut woken, mut free) = (0_usize, 0, None);
            for group in groups().filter(can) {
                let times = self.times(group, demand);
                at_once = at_once.saturating_add(times);
                woken += waking(group).min(times);
                if self.workers.group(group).is_idle() && waking(group) < times {
                    let better = |other| self.workers.more_free(group, other);
                    free = Some(free.map_or(group, better));
                }
            }
            if woken < demand.count.min(at_once) && free.is_some() {
                return free;
            }
            all += demand.count.min(at_once);
            let may = groups().filter(can).find(|group| self.workers.group(*group).is_idle());
            idle = idle.or(may);
        }
        idle.filter(|_| self.workers.waking() < all)
    }

    /// Returns how many tasks of a demand the available resources of the group suffice for.
    pub(crate) fn times(&self, group: GroupId, demand: &Demand) -> usize {
        let slots = self.workers.group(group);
        let times = self
            .takes(demand.set)
            .iter()
            .map(|(resource, amount)| slots.stock(*resource).available.times(*amount));
        times.min().unwrap_or(usize::MAX)
    }

    /// Returns the resources that this group saves for tasks that lack them.
    pub(crate) fn awaited(&self, group: GroupId, demands: &[Demand]) -> Awaited {
        let mut awaited = Awaited::new();
        for worker in &self.workers.group(group).rejoining {
            if let Some(crate::workers::Hold::GivenUp(set)) =
                self.workers.get(*worker).map(|worker| worker.hold)
            {
                self.await_lacking(group, set, None, &mut awaited);
            }
        }
        for demand in demands {
            if let Some(set) = demand.set
                && self.sets.get(set).fit(group) == Fit::Chosen
            {
                self.await_lacking(group, set, Some(demand.head), &mut awaited);
            }
        }
        awaited
    }

    fn await_lacking(
        &self,
        group: GroupId,
        set: SetId,
        head: Option<Order>,
        awaited: &mut Awaited,
    ) {
        let takes = self.sets.get(set).takes();
        if takes.is_empty() {
            return;
        }
        let lacks = self.lacks(group, takes);
        if !lacks.is_empty() && self.will_come(group, takes) {
            awaited.extend(lacks.into_iter().map(|resource| (resource, head)));
        }
    }

    pub(crate) fn can_begin(
        &self,
        group: GroupId,
        demand: &Demand,
        awaited: &[(ResourceId, Option<Order>)],
    ) -> bool {
        if self.workers.group(group).is_retired {
            return false;
        }
        let Some(id) = demand.set else { return true };
        let set = self.sets.get(id);
        let may = match set.fit(group) {
            Fit::Never => false,
            Fit::Chosen => true,
            Fit::Other => !self.workers.group_ids().any(|wished| self.has_room(wished, id)),
        };
        let overtakes = |resource: ResourceId| {
            awaited.iter().any(|(other, head)| *other == resource && *head < Some(demand.head))
        };
        may && self.lacks(group, set.takes()).is_empty()
            && !set.takes().iter().any(|(resource, _)| overtakes(*resource))
    }

    /// Returns whether a group that the set prefers has a slot and the resources for one of its
    /// tasks.
    fn has_room(&self, group: GroupId, set: SetId) -> bool {
        let (slots, set) = (self.workers.group(group), self.sets.get(set));
        set.fit(group) == Fit::Chosen
            && (slots.is_idle() || slots.tally.waking > 0)
            && self.lacks(group, set.takes()).is_empty()
    }

    /// Returns whether this task is ready but no group can ever run it.
    #[must_use]
    pub fn is_unrunnable(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| {
            task.state == State::Ready
                && self.tasks.set(task.rare).is_some_and(|set| !self.sets.get(set).is_runnable())
        })
    }
}
