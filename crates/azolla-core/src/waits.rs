//! Waiting tasks: how workers get slots back, how many tasks may be parked, and which waits are
//! refused.
//!
//! A parked task keeps a thread that sits idle in the middle of a function. So the number of lent
//! slots has a cap. At the cap, a free slot runs only *needed* tasks: tasks that a parked task
//! waits for, directly or through dependencies. As long as parked tasks wait for tasks, such a task
//! is usually ready or running, because waits for all of several tasks never form a cycle.
//!
//! The cap rises by one when nothing else can happen: no needed task can begin, and every task that
//! has begun is parked. For example, all of them may wait for an event that a task which has not
//! begun will set.
//!
//! Some tasks go on without a slot (async work and seceded tasks). If only such tasks go on, the
//! scheduler cannot tell whether they will end by themselves or wait for a task that has not begun.
//! So one sleeping worker *dozes*: it comes back after a while. If nothing has begun by then, the
//! cap rises. It rises by more each time if no task has ended since the last rise either.

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

/// How many slots may be lent before only needed tasks begin.
pub(crate) const PARKED_CAP: usize = 256;

/// A wait for the first of at most this many tasks is checked for having only one unsettled task
/// left.
const FEW: usize = 16;

pub(crate) struct Waits {
    base_cap: usize,
    cap: usize,
    /// The ready tasks that parked tasks need, the first in the order last. Gathered on demand.
    pub(crate) needed: Vec<TaskId>,
    /// Set when `needed` may lack a task, or may hold one that no parked task needs any more.
    pub(crate) stale: bool,
    /// Set when a task may wait for the first of several. Such waits leave no mark on the tasks (see
    /// `note_awaited`), so any task that becomes ready may be needed.
    pub(crate) firsts: bool,
    /// The worker that dozes, or that has been woken to doze.
    dozer: Option<WorkerId>,
    /// By how much the cap last rose when the dozer came back and found nothing changed.
    step: usize,
    /// How many tasks had settled at that rise.
    settled_at_rise: u64,
}

/// The upper limit of `step`.
const STEPS: usize = 64;

impl Waits {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            base_cap: cap,
            cap,
            needed: Vec::new(),
            stale: true,
            firsts: false,
            dozer: None,
            step: 1,
            settled_at_rise: 0,
        }
    }
}

impl<P: Clone> Scheduler<P> {
    fn lent_slots(&self) -> usize {
        self.workers.lent()
    }

    pub(crate) fn at_cap(&self) -> bool {
        self.lent_slots() >= self.waits.cap
    }

    /// Lowers a raised cap as waiting tasks go on.
    pub(crate) fn lower_cap(&mut self) {
        self.waits.cap = self.waits.cap.min(self.lent_slots()).max(self.waits.base_cap);
    }

    #[cfg(test)]
    pub(crate) fn cap_is_raised(&self) -> bool {
        self.waits.cap > self.waits.base_cap
    }

    /// Checks that the cap is not below its base, and above the base by no more than the last step
    /// beyond the lent slots.
    pub(crate) fn check_cap(&self) -> Result<(), String> {
        let (cap, base) = (self.waits.cap, self.waits.base_cap);
        let reached = (self.lent_slots() + self.waits.step).max(base);
        if !(base..=reached).contains(&cap) {
            return Err(format!("the cap is {cap}, at least {base}, for {}", self.lent_slots()));
        }
        Ok(())
    }

    /// Grants free slots: first to tasks whose wait is over, then to sleeping workers as long as
    /// there is ready work for which no worker has been woken.
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
        let mut at = 0;
        while let Some(group) = self.workers.nth(at) {
            at += 1;
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

    /// Returns a group in which to wake a worker, if there is ready work for which none has been
    /// woken.
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
        // No running task could end a wait, so one more task may begin.
        if self.at_cap() {
            self.waits.cap = self.lent_slots() + 1;
        }
        Some(group)
    }

    /// As [`group_for_work`](Self::group_for_work), but counts only needed tasks. Used at the cap.
    fn group_for_needed(&mut self) -> Option<GroupId> {
        self.gather_needed();
        let demands = self.demands_of(&self.waits.needed);
        self.group_to_wake(&demands)
    }

    /// Returns whether the cap holds ready tasks back while no worker holds a slot or is about to.
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

    /// Returns whether this worker, which has found nothing to do, is to doze. The dozer stops
    /// being one if there is no longer a reason for it.
    pub(crate) fn is_to_doze(&mut self, worker: WorkerId) -> bool {
        if self.waits.dozer == Some(worker) && !self.stalls() {
            self.waits.dozer = None;
        }
        self.waits.dozer == Some(worker)
    }

    /// The worker has found something to do or has left, so it no longer dozes.
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

    /// Returns whether anything but a parked task could still make something happen: a worker that
    /// holds a slot or queues for one, a seceded task, or a task on no worker.
    pub(crate) fn something_goes_on(&self) -> bool {
        let tally = self.workers.tally();
        tally.active + tally.waking + tally.resuming + tally.seceded + self.totals.detached > 0
    }

    /// Takes the task that a worker of this group begins next out of its queue.
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
        // This takes the task out of the queue, as a pop would. The caller sets the real state.
        self.set_state(task, State::Waiting { unfinished: 0 });
        Some(task)
    }

    /// Turns a wait for the first of a few tasks into a wait for all of one task, if only one of
    /// them is unsettled. Meant for the moment when the wait begins. (Later it would be wrong: once
    /// one task has settled the wait is over, even if its worker has not said so, and no longer
    /// needs the others.)
    pub(crate) fn narrowed(&self, wait: Wait) -> Wait {
        if wait.all || wait.tasks.len() > FEW {
            return wait;
        }
        let mut left = wait.tasks.iter().copied().filter(|id| self.tasks.is_live(*id));
        let only = left.next();
        match (only, left.find(|other| only != Some(*other))) {
            (Some(only), None) => Wait { tasks: Arc::new(vec![only]), all: true },
            _ => wait,
        }
    }

    /// Returns the tasks without which this wait cannot end.
    pub(crate) fn needs(&self, wait: &Wait) -> impl Iterator<Item = TaskId> {
        let needed: &[TaskId] = if wait.all { &wait.tasks } else { &[] };
        needed.iter().copied().filter(|id| self.tasks.is_live(*id))
    }

    pub(crate) fn set_state_if_running(&mut self, id: TaskId, state: State) {
        if self.tasks.get(id).is_some_and(|task| task.state.is_running()) {
            self.set_state(id, state);
        }
    }
}
