//! Who waits for what: lending slots, the bound on parked tasks, and cycles.
//!
//! A parked task's thread sits idle in the middle of a function, so their number is bounded: at
//! the cap, a slot that falls free runs only tasks that a parked one needs, directly or through
//! dependencies. There is one as long as tasks wait for tasks, since waits make no cycle. Only
//! when nothing at all goes on (all wait for something outside, say an event that a task not yet
//! begun will set) does the cap rise, by one.
//!
//! Where only tasks go on that hold no slot (async work, seceded tasks), nobody can tell whether
//! they will end by themselves or wait for what has not begun. Then one sleeping worker dozes: it
//! comes back after a while, and if nothing has begun meanwhile the cap rises, faster each time
//! that nothing has ended either.

use crate::constraint::GroupId;
use crate::effect::Effect;
use crate::event::Wait;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::WorkerState;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

/// How many tasks may be parked before only needed ones are begun.
pub(crate) const PARKED_CAP: usize = 256;

/// A wait for the first of so many is looked into, to see whether only one is left.
const FEW: usize = 16;

pub(crate) struct Waits {
    base_cap: usize,
    cap: usize,
    /// Ready tasks that parked ones need, best last; gathered when asked for.
    needed: Vec<TaskId>,
    /// Whether `needed` may miss some, or hold some that nobody waits for any more.
    stale: bool,
    /// The worker that comes back after a while.
    dozer: Option<WorkerId>,
    /// By how much the cap rises when the dozer comes back to find nothing changed.
    step: usize,
    /// How many tasks had ended when it last rose so.
    settled_at_rise: u64,
}

/// The most by which the cap rises at once.
const STEPS: usize = 64;

impl Waits {
    pub(crate) fn new(cap: usize) -> Self {
        let (needed, stale) = (Vec::new(), true);
        Self { base_cap: cap, cap, needed, stale, dozer: None, step: 1, settled_at_rise: 0 }
    }

    pub(crate) fn something_became_ready(&mut self) {
        self.stale = true;
    }
}

impl<P: Clone> Scheduler<P> {
    fn lent_slots(&self) -> usize {
        self.workers.lent()
    }

    pub(crate) fn at_cap(&self) -> bool {
        self.lent_slots() >= self.waits.cap
    }

    /// The cap sinks back as tasks go on.
    pub(crate) fn lower_cap(&mut self) {
        self.waits.cap = self.waits.cap.min(self.lent_slots()).max(self.waits.base_cap);
    }

    #[cfg(test)]
    pub(crate) fn cap_is_raised(&self) -> bool {
        self.waits.cap > self.waits.base_cap
    }

    /// The cap is never below its base, and above it only as far as parked tasks reach.
    pub(crate) fn check_cap(&self) -> Result<(), String> {
        let (cap, base) = (self.waits.cap, self.waits.base_cap);
        let reached = (self.lent_slots() + self.waits.step).max(base);
        if (base..=reached).contains(&cap) {
            return Ok(());
        }
        Err(format!("the cap is {cap}, at least {base}, for {} parked", self.lent_slots()))
    }

    /// Somebody has begun or ended a wait: other tasks are needed now.
    pub(crate) fn waits_changed(&mut self) {
        self.waits.stale = true;
    }

    /// Gives free slots to those whose wait is over, then to sleepers while there is work that
    /// nobody has been woken for.
    #[inline]
    pub(crate) fn fill_slots(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.workers.free_slots() > 0
            && self.ready.len() + self.sets.ready_tasks() + self.workers.lent() > 0
        {
            self.fill_free_slots(effects);
        }
    }

    #[inline(never)]
    fn fill_free_slots(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.workers.lent() > 0 {
            self.resume_some(effects);
        }
        if self.closing {
            return;
        }
        while let Some(worker) = self.group_for_work().and_then(|it| self.workers.wake_next(it)) {
            effects.push(Effect::Grant(worker));
        }
        if self.at_cap()
            && self.waits.dozer.is_none()
            && let Some(group) = self.workers.any_idle()
            && self.stalls()
            && let Some(worker) = self.workers.wake_next(group)
        {
            self.waits.dozer = Some(worker);
            effects.push(Effect::Grant(worker));
        }
    }

    fn resume_some(&mut self, effects: &mut Vec<Effect<P>>) {
        for group in self.workers.group_ids() {
            while self.workers.group(group).free() > 0
                && let Some(worker) = self.workers.resume_next(group)
            {
                self.lower_cap();
                if let Some(task) = self.workers.get(worker).and_then(|worker| worker.task) {
                    self.set_state_if_running(task, State::Running { worker });
                }
                effects.push(Effect::Grant(worker));
            }
        }
    }

    /// A group in which a worker is to be woken, for work that nobody has been woken for.
    #[inline]
    fn group_for_work(&mut self) -> Option<GroupId> {
        if self.sets.ready_tasks() == 0 && !self.at_cap() {
            let to_wake = self.workers.waking() < self.ready.len();
            return if to_wake { self.workers.any_idle() } else { None };
        }
        self.group_for_demands()
    }

    #[inline(never)]
    fn group_for_demands(&mut self) -> Option<GroupId> {
        if self.at_cap() {
            let group = self.group_for_needed();
            if group.is_some() || self.something_goes_on() {
                return group;
            }
        }
        let demands = self.demands();
        let group = self.group_to_wake(&demands)?;
        // Nothing else goes on that could end a wait: one more may begin.
        if self.at_cap() {
            self.waits.cap = self.lent_slots() + 1;
        }
        Some(group)
    }

    /// The same at the cap, where only needed tasks count.
    fn group_for_needed(&mut self) -> Option<GroupId> {
        self.gather_needed();
        let demands = self.demands_of(&self.waits.needed);
        self.group_to_wake(&demands)
    }

    /// Whether ready tasks are held back though nothing but tasks without a slot goes on.
    fn stalls(&mut self) -> bool {
        let tally = self.workers.tally();
        if self.closing
            || !self.at_cap()
            || tally.active + tally.waking + tally.resuming > 0
            || self.group_for_needed().is_some()
        {
            return false;
        }
        let demands = self.demands();
        self.group_to_wake(&demands).is_some()
    }

    /// A worker has found nothing to do: whether it is the one to come back after a while.
    pub(crate) fn is_to_doze(&mut self, worker: WorkerId) -> bool {
        if self.waits.dozer == Some(worker) && !self.stalls() {
            self.waits.dozer = None;
        }
        self.waits.dozer == Some(worker)
    }

    /// A worker has something to do, or is gone: it does not doze any more.
    pub(crate) fn stops_dozing(&mut self, worker: WorkerId) {
        if self.waits.dozer == Some(worker) {
            self.waits.dozer = None;
        }
    }

    pub(crate) fn on_stalled(&mut self, worker: WorkerId) {
        let asleep = |worker: &crate::workers::Worker| worker.state == WorkerState::Asleep;
        if self.waits.dozer != Some(worker) || !self.workers.get(worker).is_some_and(asleep) {
            return;
        }
        self.waits.dozer = None;
        if self.stalls() {
            let nothing_ended = self.waits.settled_at_rise == self.totals.settled;
            self.waits.step = if nothing_ended { (self.waits.step * 2).min(STEPS) } else { 1 };
            self.waits.settled_at_rise = self.totals.settled;
            self.waits.cap = self.lent_slots() + self.waits.step;
        }
    }

    /// Whether anything but parked tasks could still make something happen.
    pub(crate) fn something_goes_on(&self) -> bool {
        let tally = self.workers.tally();
        tally.active + tally.waking + tally.resuming + tally.seceded + self.totals.detached > 0
    }

    /// Takes the next task for a worker of this group to begin.
    #[inline]
    pub(crate) fn next_ready(&mut self, group: GroupId) -> Option<TaskId> {
        if self.at_cap() { self.next_needed(group) } else { self.pop_for(group) }
    }

    #[inline(never)]
    fn next_needed(&mut self, group: GroupId) -> Option<TaskId> {
        self.gather_needed();
        let demands = self.demands_of(&self.waits.needed);
        let set = self.choose(group, &demands)?.set;
        let is_of_set =
            |id: &TaskId| self.tasks.get(*id).is_some_and(|task| self.tasks.set(task.rare) == set);
        let at = self.waits.needed.iter().rposition(is_of_set)?;
        let task = self.waits.needed.remove(at);
        // Out of the queue, as if popped: the state is the caller's to set.
        self.set_state(task, State::Waiting { unfinished: 0 });
        Some(task)
    }

    /// Finds the ready tasks that parked ones need.
    fn gather_needed(&mut self) {
        if !self.waits.stale {
            let tasks = &self.tasks;
            self.waits.needed.retain(|id| tasks.get(*id).is_some_and(|t| t.state == State::Ready));
            return;
        }
        self.waits.stale = false;
        let mut seen: HashSet<TaskId, FxBuildHasher> = HashSet::default();
        let mut reached: Vec<TaskId> = self
            .workers
            .iter()
            .flat_map(|(_, worker)| worker.waits())
            .flat_map(|(_, wait)| wait.tasks.iter().copied())
            .collect();
        let mut needed = Vec::new();
        while let Some(id) = reached.pop() {
            let Some(task) = self.tasks.get(id) else { continue };
            if !seen.insert(id) {
                continue;
            }
            match task.state {
                State::Ready => needed.push(id),
                State::Waiting { .. } => {
                    reached.extend(task.inputs.iter());
                    reached.extend(self.call_before(id));
                }
                _ => {}
            }
        }
        let order = |id: &TaskId| self.tasks.get(*id).map(|task| self.tasks.order(task));
        needed.sort_by_cached_key(|id| Reverse(order(id)));
        self.waits.needed = needed;
    }

    /// The path of waits from `task` back to itself that `wait` would close.
    ///
    /// Followed are the waits that cannot end before what is waited for does: those for all of
    /// several tasks.
    pub(crate) fn cycle(&self, task: TaskId, wait: &Wait) -> Option<Vec<TaskId>> {
        // Mostly none of them waits for anything.
        if self.needs(wait).all(|next| next != task && self.followed(next).is_empty()) {
            return None;
        }
        let mut reached_from: HashMap<TaskId, TaskId, FxBuildHasher> = HashMap::default();
        let mut reached: Vec<(TaskId, TaskId)> =
            self.needs(wait).map(|next| (next, task)).collect();
        while let Some((id, from)) = reached.pop() {
            if reached_from.contains_key(&id) {
                continue;
            }
            if id == task {
                reached_from.insert(id, from);
                return Some(path_back(task, &reached_from));
            }
            let next = self.followed(id);
            if !next.is_empty() {
                reached_from.insert(id, from);
                reached.extend(next.into_iter().map(|next| (next, id)));
            }
        }
        None
    }

    /// The tasks without which this one cannot go on.
    fn followed(&self, id: TaskId) -> SmallVec<[TaskId; 4]> {
        let state = self.tasks.get(id).map(|task| (task.state, &task.inputs));
        let wait = match state {
            Some((State::Waiting { .. }, inputs)) => {
                return inputs.iter().chain(self.call_before(id)).collect();
            }
            // The call that runs must let it in.
            Some((State::Detached, _)) => return self.call_before(id).into_iter().collect(),
            Some((State::Parked { worker }, _)) => {
                self.workers.get(worker).and_then(|worker| worker.wait_of(id))
            }
            // Cancelled, and yet the next call waits for it.
            _ if self.calls.abandoned.contains_key(&id) => {
                self.workers.iter().find_map(|(_, worker)| worker.wait_of(id))
            }
            _ => None,
        };
        wait.map_or_else(SmallVec::new, |wait| self.needs(wait).collect())
    }

    /// What a wait comes to, as things stand when it begins: one for the first of a few of which
    /// only one is left is one for that one. (A wait for the first that has ended since is over,
    /// though its worker may not have said so yet: nobody waits for what is left of it.)
    pub(crate) fn narrowed(&self, wait: Wait) -> Wait {
        if wait.all || wait.tasks.len() > FEW {
            return wait;
        }
        let mut left = wait.tasks.iter().copied().filter(|id| self.is_unsettled(*id));
        match (left.next(), left.next()) {
            (Some(only), None) => Wait { tasks: Arc::new(vec![only]), all: true },
            _ => wait,
        }
    }

    /// The tasks without which this wait cannot end.
    pub(crate) fn needs(&self, wait: &Wait) -> impl Iterator<Item = TaskId> {
        let needed: &[TaskId] = if wait.all { &wait.tasks } else { &[] };
        needed.iter().copied().filter(|id| self.is_unsettled(*id))
    }

    fn is_unsettled(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| !task.state.is_settled())
    }

    pub(crate) fn set_state_if_running(&mut self, id: TaskId, state: State) {
        if self.tasks.get(id).is_some_and(|task| task.state.is_running()) {
            self.set_state(id, state);
        }
    }
}

fn path_back(task: TaskId, reached_from: &HashMap<TaskId, TaskId, FxBuildHasher>) -> Vec<TaskId> {
    let mut path = Vec::new();
    let mut at = task;
    while let Some(from) = reached_from.get(&at) {
        path.push(*from);
        if *from == task {
            break;
        }
        at = *from;
    }
    path.reverse();
    path
}
