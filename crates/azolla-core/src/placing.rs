//! Which task a group begins next, where tasks have constraints.
//!
//! Of what is ready, a group begins the first in the order that it can run now. A task whose resources
//! are not all at hand is passed over; but where they will be, once the tasks that use them have
//! ended, no later one takes of the resources that it lacks, or it might wait for ever. (What waiting
//! tasks keep is not counted on: those may wait for the very tasks that would be held back.)
//!
//! Without constraints none of this is looked at: there is one queue, and any group takes from it.

use crate::constraint::{GroupId, ResourceId};
use crate::graph::ready_order;
use crate::id::{Priority, TaskId};
use crate::scheduler::Scheduler;
use crate::sets::{Fit, SetId};
use crate::task::{Order, State};
use crate::workers::Worker;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// Ready tasks of one constraint set, or of none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) set: Option<SetId>,
    /// Where the first of them stands.
    pub(crate) head: Order,
    pub(crate) count: usize,
}

pub(crate) type Demands = SmallVec<[Demand; 4]>;
/// Which resources are kept for tasks that stand here in the order, or for a task that rejoins.
pub(crate) type Awaited = Vec<(ResourceId, Option<Order>)>;

impl<P: Clone> Scheduler<P> {
    /// All that is ready and could be run by some group, set by set.
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

    /// The same of these tasks alone, which are ready; the last of them goes first.
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

    /// The one of these demands that the group serves next.
    pub(crate) fn choose(&self, group: GroupId, demands: &[Demand]) -> Option<Demand> {
        let awaited = self.awaited(group, demands);
        let can = demands.iter().filter(|demand| self.can_begin(group, demand, &awaited));
        can.min_by_key(|demand| demand.head).copied()
    }

    /// Takes a ready task of this set, the first.
    pub(crate) fn pop_of(&mut self, set: Option<SetId>) -> Option<TaskId> {
        let Some(set) = set else { return self.pop_ready() };
        let tasks = &self.tasks;
        self.sets.pop(set, |number, id| ready_order(tasks, number, id))
    }

    /// The ready task that this group begins next.
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

    /// The same, left where it is.
    #[inline(never)]
    pub(crate) fn peek_placed(&mut self, group: GroupId) -> Option<TaskId> {
        let demands = self.demands();
        let Some(set) = self.choose(group, &demands)?.set else { return self.peek_ready() };
        let tasks = &self.tasks;
        self.sets.peek(set, |number, id| ready_order(tasks, number, id).is_some())
    }

    /// The highest priority of what this group could begin.
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

    /// Whether this worker may be handed a task of this set, which is not ready yet, past the queue.
    #[inline(never)]
    pub(crate) fn may_take_over(&self, worker: &Worker, set: SetId, head: Order) -> bool {
        // Claims that are begun after it may go on for long before its end is told.
        if !worker.claims.is_empty() && !self.sets.get(set).takes().is_empty() {
            return false;
        }
        let group = worker.group;
        let awaited = self.awaited(group, &self.demands_of_sets());
        self.can_begin(group, &Demand { set: Some(set), head, count: 1 }, &awaited)
    }

    /// A group in which a sleeping worker is to be woken for these demands.
    ///
    /// For no set are more woken than it has tasks or the group resources; and as long as fewer have
    /// been woken than there is to do in all, it does not matter for what they were.
    pub(crate) fn group_to_wake(&self, demands: &[Demand]) -> Option<GroupId> {
        let groups = || self.workers.group_ids();
        let awaited: Vec<Awaited> = groups().map(|group| self.awaited(group, demands)).collect();
        let waking = |group: GroupId| self.workers.group(group).tally.waking;
        let (mut all, mut idle) = (0, None);
        for demand in demands {
            let can = |group: &GroupId| self.can_begin(*group, demand, &awaited[group.index()]);
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

    /// How many tasks of a demand the group's resources at hand are enough for.
    pub(crate) fn times(&self, group: GroupId, demand: &Demand) -> usize {
        let slots = self.workers.group(group);
        let times = self
            .takes(demand.set)
            .iter()
            .map(|(resource, amount)| slots.stock(*resource).available.times(*amount));
        times.min().unwrap_or(usize::MAX)
    }

    /// What is kept, in this group, for tasks that lack something which will come.
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

    pub(crate) fn can_begin(&self, group: GroupId, demand: &Demand, awaited: &Awaited) -> bool {
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

    /// Whether a group that is wished for has a slot and the resources to spare.
    fn has_room(&self, group: GroupId, set: SetId) -> bool {
        let (slots, set) = (self.workers.group(group), self.sets.get(set));
        set.fit(group) == Fit::Chosen
            && (slots.is_idle() || slots.tally.waking > 0)
            && self.lacks(group, set.takes()).is_empty()
    }

    /// Whether no group can ever run this task, which is ready.
    #[must_use]
    pub fn is_unrunnable(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| {
            task.state == State::Ready
                && self.tasks.set(task.rare).is_some_and(|set| !self.sets.get(set).is_runnable())
        })
    }
}
