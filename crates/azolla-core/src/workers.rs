//! The workers and the slots: which workers hold a slot, sleep, or want a slot back.
//!
//! There are as many slots as tasks may run at once. Slots come in groups. A worker belongs to one
//! group and takes only slots of that group. It holds a slot while it runs a task or looks for one.
//! It holds none while it sleeps, while its task waits (parked) or has seceded, and while its task
//! wants to go on but queues for resources (rejoining) or for a slot (resuming).

use crate::constraint::{Amount, Group, GroupId, ResourceId};
use crate::event::Wait;
use crate::id::{TaskId, WorkerId};
use crate::sets::SetId;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

/// How many sleeping workers a group keeps beyond its slots, ready for the next waits.
const SPARES: usize = 16;

pub(crate) struct Worker {
    pub(crate) state: WorkerState,
    /// The task that it runs, or that waits on top of its stack.
    pub(crate) task: Option<TaskId>,
    /// What that task takes of the group's resources. Tasks below it take nothing.
    pub(crate) hold: Hold,
    pub(crate) group: GroupId,
    /// The tasks that wait below that task on the worker's stack, each with its wait. The bottom of
    /// the stack comes first.
    pub(crate) below: Vec<(TaskId, Wait)>,
    /// How many tasks in a row it was handed past the queue.
    pub(crate) handed_over: u32,
    /// The tasks that it has claimed. May name tasks that it no longer claims.
    pub(crate) claims: Vec<TaskId>,
}

/// What the task on a worker takes of its group's resources (see `holds.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    /// Taken by a task that runs or is about to go on.
    Used(SetId),
    /// Taken by a task that waits.
    Kept(SetId),
    /// Given back by a task that has seceded, which needs it again to rejoin.
    GivenUp(SetId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    /// Holds no slot and has nothing to do.
    Asleep,
    /// Was granted a slot and has not pulled yet.
    Waking,
    /// Holds a slot, and runs a task or is about to pull.
    Active,
    /// Its task waits. A `seceded` task held no slot before the wait and needs none after.
    Parked { wait: Wait, seceded: bool },
    /// Its task had seceded, wants a slot again, and waits for its resources first.
    Rejoining,
    /// Its task wants to go on and queues for a slot.
    Resuming,
    /// Its task runs without a slot.
    Seceded,
    /// It slept when its group was retired, and is about to pull.
    Summoned,
}

/// A worker's state without its data: what decides which counts it enters.
#[derive(Clone, Copy)]
pub(crate) enum Standing {
    Asleep,
    Waking,
    Active,
    Parked,
    Rejoining,
    Resuming,
    Seceded,
    Summoned,
}

/// By standing: 1 if the worker holds a slot (`HELD`), or has given one up and wants one again
/// (`LENT`).
const HELD: [usize; 8] = [0, 1, 1, 0, 0, 0, 0, 0];
const LENT: [usize; 8] = [0, 0, 0, 1, 1, 1, 0, 0];

/// How many workers are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) asleep: usize,
    pub(crate) waking: usize,
    pub(crate) active: usize,
    /// Workers whose parked task has lent a slot.
    pub(crate) parked: usize,
    pub(crate) rejoining: usize,
    pub(crate) resuming: usize,
    /// Workers whose task has seceded, including those whose seceded task waits.
    pub(crate) seceded: usize,
    /// Workers of a retired group that are about to leave.
    pub(crate) summoned: usize,
}

impl Tally {
    pub(crate) fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Asleep => &mut self.asleep,
            Standing::Waking => &mut self.waking,
            Standing::Active => &mut self.active,
            Standing::Parked => &mut self.parked,
            Standing::Rejoining => &mut self.rejoining,
            Standing::Resuming => &mut self.resuming,
            Standing::Seceded => &mut self.seceded,
            Standing::Summoned => &mut self.summoned,
        }
    }

    /// Returns how many workers have given up a slot and want one again, now or later.
    pub(crate) fn lent(&self) -> usize {
        self.parked + self.rejoining + self.resuming
    }

    pub(crate) fn all(&self) -> usize {
        self.asleep + self.waking + self.active + self.seceded + self.summoned + self.lent()
    }

    fn add(&mut self, other: &Self) {
        self.asleep += other.asleep;
        self.waking += other.waking;
        self.active += other.active;
        self.parked += other.parked;
        self.rejoining += other.rejoining;
        self.resuming += other.resuming;
        self.seceded += other.seceded;
        self.summoned += other.summoned;
    }
}

/// The slots, workers and resources of one group.
pub(crate) struct Slots {
    pub(crate) slots: usize,
    pub(crate) tally: Tally,
    /// The numbers of workers that have left, for new ones.
    vacant: Vec<WorkerId>,
    /// A stack: the last worker to sleep is the first to wake, as its memory is still in the cache.
    asleep: Vec<WorkerId>,
    resuming: VecDeque<WorkerId>,
    pub(crate) rejoining: VecDeque<WorkerId>,
    /// By the number of the resource.
    pub(crate) resources: Vec<Stock>,
    /// The group begins nothing any more. It has no more slots than workers.
    pub(crate) is_retired: bool,
}

/// How much there is of one resource in a group.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) total: Amount,
    /// Taken by no task.
    pub(crate) available: Amount,
    /// Taken by tasks that may not end by themselves: they wait, or are on no worker.
    pub(crate) kept: Amount,
}

impl Slots {
    fn new(group: &Group) -> Self {
        let most = group.resources.iter().map(|(resource, _)| resource.0 as usize + 1).max();
        let mut resources = vec![Stock::default(); most.unwrap_or(0)];
        for (resource, amount) in &group.resources {
            let stock = &mut resources[resource.0 as usize];
            stock.total = stock.total.plus(*amount);
            stock.available = stock.total;
        }
        Self {
            slots: group.slots,
            tally: Tally::default(),
            vacant: Vec::new(),
            asleep: Vec::new(),
            resuming: VecDeque::new(),
            rejoining: VecDeque::new(),
            resources,
            is_retired: false,
        }
    }

    pub(crate) fn free(&self) -> usize {
        self.slots - self.tally.waking - self.tally.active
    }

    /// Returns whether a worker could be woken here.
    pub(crate) fn is_idle(&self) -> bool {
        self.tally.asleep > 0 && self.free() > 0
    }

    pub(crate) fn stock(&self, resource: ResourceId) -> Stock {
        self.resources.get(resource.0 as usize).copied().unwrap_or_default()
    }
}

pub(crate) struct Workers {
    all: Vec<Option<Worker>>,
    /// The group of every worker that ever joined. The number of a worker stays with its group.
    groups_of: Vec<GroupId>,
    pub(crate) groups: Vec<Slots>,
    /// The groups that have slots or workers: all but the retired ones whose workers have left.
    present: Vec<GroupId>,
    /// How many of these are retired.
    retiring: usize,
    slots: usize,
    /// Slots that no worker holds.
    free: usize,
    /// Workers that have given up a slot and want one again, now or later.
    lent: usize,
}

impl Worker {
    /// Returns the waits of all tasks on this worker, each with its task.
    pub(crate) fn waits(&self) -> impl Iterator<Item = (Option<TaskId>, &Wait)> {
        let parked = match &self.state {
            WorkerState::Parked { wait, .. } => Some((self.task, wait)),
            _ => None,
        };
        self.below.iter().map(|(task, wait)| (Some(*task), wait)).chain(parked)
    }

    /// Returns the wait of this task on this worker.
    pub(crate) fn wait_of(&self, task: TaskId) -> Option<&Wait> {
        self.waits().find(|(other, _)| *other == Some(task)).map(|(_, wait)| wait)
    }
}

impl Workers {
    pub(crate) fn new(groups: &[Group]) -> Self {
        let groups: Vec<Slots> = groups.iter().map(Slots::new).collect();
        let slots = groups.iter().map(|group| group.slots).sum();
        let present = (0..groups.len() as u16).map(GroupId).collect();
        let (all, groups_of) = (Vec::new(), Vec::new());
        Self { all, groups_of, groups, present, retiring: 0, slots, free: slots, lent: 0 }
    }

    pub(crate) fn add_group(&mut self, group: &Group) {
        self.present.push(GroupId(self.groups.len() as u16));
        self.groups.push(Slots::new(group));
        self.slots += group.slots;
        self.free += group.slots;
    }

    /// Returns the workers that slept there, and true if nothing is left of the group, since it has no worker.
    pub(crate) fn retire_group(&mut self, id: GroupId) -> (Vec<WorkerId>, bool) {
        self.retiring += 1;
        let slots = &mut self.groups[id.index()];
        slots.is_retired = true;
        let sleepers = core::mem::take(&mut slots.asleep);
        for worker in &sleepers {
            self.set(*worker, WorkerState::Summoned);
        }
        // One that wakes comes for no task: none may count on it.
        let wakes = |(_, worker): &(WorkerId, &Worker)| {
            worker.group == id && worker.state == WorkerState::Waking
        };
        let waking: Vec<_> = self.iter().filter(wakes).map(|(id, _)| id).collect();
        for worker in waking {
            self.set(worker, WorkerState::Active);
        }
        (sleepers, self.trim(id))
    }

    /// Takes away the slots of a retired group for which it has no workers. Returns true if no worker is left.
    fn trim(&mut self, id: GroupId) -> bool {
        let slots = &mut self.groups[id.index()];
        let workers = slots.tally.all();
        let surplus = slots.slots.saturating_sub(workers);
        slots.slots -= surplus;
        self.slots -= surplus;
        self.free -= surplus;
        if workers == 0 {
            self.present.retain(|other| *other != id);
            self.retiring -= 1;
        }
        workers == 0
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Returns how many workers of all groups are in each state.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for group in self.group_ids() {
            tally.add(&self.group(group).tally);
        }
        tally
    }

    pub(crate) fn waking(&self) -> usize {
        self.group_ids().map(|group| self.group(group).tally.waking).sum()
    }

    pub(crate) fn free_slots(&self) -> usize {
        self.free
    }

    pub(crate) fn lent(&self) -> usize {
        self.lent
    }

    pub(crate) fn group(&self, id: GroupId) -> &Slots {
        &self.groups[id.index()]
    }

    /// The groups that have slots or workers.
    pub(crate) fn group_ids(&self) -> impl Iterator<Item = GroupId> {
        self.present.iter().copied()
    }

    /// Returns a group in which a worker can be woken. It is the one with the most free slots, so
    /// that work spreads.
    pub(crate) fn any_idle(&self) -> Option<GroupId> {
        let idle = self.group_ids().filter(|group| self.group(*group).is_idle());
        idle.reduce(|best, group| self.more_free(group, best))
    }

    pub(crate) fn more_free(&self, one: GroupId, other: GroupId) -> GroupId {
        if self.group(one).free() > self.group(other).free() { one } else { other }
    }

    /// Returns whether the workers of this group begin nothing: a waiting task wants a slot back, which comes first, or the
    /// group is retired.
    #[inline]
    pub(crate) fn begins_nothing(&self, group: GroupId) -> bool {
        self.lent | self.retiring > 0 && {
            let slots = self.group(group);
            slots.tally.resuming > 0 || slots.is_retired
        }
    }

    /// The n-th of the groups that have slots or workers.
    pub(crate) fn nth(&self, at: usize) -> Option<GroupId> {
        self.present.get(at).copied()
    }

    /// Returns whether an active worker may give up its slot: the others must suffice to use all
    /// slots of the group.
    pub(crate) fn has_spare(&self, group: GroupId) -> bool {
        let Slots { tally, slots, is_retired, .. } = self.group(group);
        tally.asleep + tally.waking + tally.active > *slots || *is_retired
    }

    /// Returns whether more workers sleep than will be needed.
    pub(crate) fn has_plenty(&self, group: GroupId) -> bool {
        let Slots { tally, slots, .. } = self.group(group);
        tally.asleep > *slots + SPARES
    }

    pub(crate) fn join(&mut self, group: GroupId) -> WorkerId {
        let worker = Worker {
            state: WorkerState::Asleep,
            task: None,
            hold: Hold::Nothing,
            group,
            below: Vec::new(),
            handed_over: 0,
            claims: Vec::new(),
        };
        let slots = &mut self.groups[group.index()];
        let id = match slots.vacant.pop() {
            Some(id) => {
                self.all[id.0 as usize] = Some(worker);
                id
            }
            None => {
                self.all.push(Some(worker));
                self.groups_of.push(group);
                WorkerId(self.all.len() as u32 - 1)
            }
        };
        slots.tally.asleep += 1;
        slots.asleep.push(id);
        id
    }

    /// Returns the group of the worker if that is retired, and this was its last one.
    pub(crate) fn leave(&mut self, id: WorkerId) -> Option<GroupId> {
        let worker = self.all.get_mut(id.0 as usize).and_then(Option::take)?;
        let slots = &mut self.groups[worker.group.index()];
        let from = worker.state.standing();
        *slots.tally.of(from) -= 1;
        self.free += HELD[from as usize];
        self.lent -= LENT[from as usize];
        slots.asleep.retain(|other| *other != id);
        slots.resuming.retain(|other| *other != id);
        slots.rejoining.retain(|other| *other != id);
        slots.vacant.push(id);
        (slots.is_retired && self.trim(worker.group)).then_some(worker.group)
    }

    /// Returns the group of a worker, even of one that has left.
    pub(crate) fn group_of(&self, id: WorkerId) -> Option<GroupId> {
        self.groups_of.get(id.0 as usize).copied()
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.all.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.all.get_mut(id.0 as usize)?.as_mut()
    }

    /// Moves a worker to another state, and appends it to the line of that state if there is one.
    /// The caller has taken it out of the line of the old state.
    #[inline]
    pub(crate) fn set(&mut self, id: WorkerId, state: WorkerState) {
        let Some(worker) = self.all.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        let slots = &mut self.groups[worker.group.index()];
        let (from, to) = (worker.state.standing(), state.standing());
        *slots.tally.of(from) -= 1;
        *slots.tally.of(to) += 1;
        self.free = self.free + HELD[from as usize] - HELD[to as usize];
        self.lent = self.lent + LENT[to as usize] - LENT[from as usize];
        match state {
            WorkerState::Asleep => slots.asleep.push(id),
            WorkerState::Resuming => slots.resuming.push_back(id),
            WorkerState::Rejoining => slots.rejoining.push_back(id),
            _ => {}
        }
        worker.state = state;
    }

    /// The task on this worker has its resources back, and now queues for a slot.
    pub(crate) fn stop_rejoining(&mut self, id: WorkerId) {
        if let Some(group) = self.get(id).map(|worker| worker.group) {
            self.groups[group.index()].rejoining.retain(|other| *other != id);
            self.set(id, WorkerState::Resuming);
        }
    }

    /// Gives a slot to the worker of this group that has queued for one the longest.
    pub(crate) fn resume_next(&mut self, group: GroupId) -> Option<WorkerId> {
        let id = self.groups[group.index()].resuming.pop_front()?;
        self.set(id, WorkerState::Active);
        Some(id)
    }

    /// Gives a slot to a sleeping worker of this group, which is to pull.
    pub(crate) fn wake_next(&mut self, group: GroupId) -> Option<WorkerId> {
        let id = self.groups[group.index()].asleep.pop()?;
        self.set(id, WorkerState::Waking);
        Some(id)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.all.iter_mut().flatten()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.all
            .iter()
            .enumerate()
            .filter_map(|(id, worker)| Some((WorkerId(id as u32), worker.as_ref()?)))
    }
}

impl WorkerState {
    #[inline]
    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Asleep => Standing::Asleep,
            Self::Waking => Standing::Waking,
            Self::Active => Standing::Active,
            Self::Parked { seceded: false, .. } => Standing::Parked,
            Self::Rejoining => Standing::Rejoining,
            Self::Resuming => Standing::Resuming,
            Self::Summoned => Standing::Summoned,
            Self::Seceded | Self::Parked { seceded: true, .. } => Standing::Seceded,
        }
    }
}
