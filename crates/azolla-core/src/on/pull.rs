//! A worker asks for work; and what becomes of the tasks that it claims.

use crate::constraint::GroupId;
use crate::effect::Effect;
use crate::graph::is_ready;
use crate::id::{TaskId, WorkerId};
use crate::kinds::Kinds;
use crate::scheduler::Scheduler;
use crate::task::{State, Task};
use crate::tasks::Tasks;
use crate::workers::WorkerState;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_pull(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if !matches!(
            worker.state,
            WorkerState::Active
                | WorkerState::Waking
                | WorkerState::Seceded
                | WorkerState::Summoned
        ) {
            return;
        }
        worker.task = None;
        worker.handed_over = 0;
        let claims = core::mem::take(&mut worker.claims);
        let (group, holds_slot) = (worker.group, worker.state != WorkerState::Seceded);
        let is_active = worker.state == WorkerState::Active;
        for task in claims {
            self.unclaim_from(id, task, effects);
        }
        self.nothing_lingers_on(id);
        // The worker sleeps if a waiting task wants a slot back, which comes first, or if the
        // worker holds no slot because its task had seceded. It is woken like any other worker.
        let begins_nothing = self.workers.begins_nothing(group);
        if holds_slot && !begins_nothing && self.begin_some(id, group, effects) {
            if !is_active {
                self.workers.set(id, WorkerState::Active);
            }
            self.stops_dozing(id);
            return;
        }
        if begins_nothing && self.workers.group(group).is_retired {
            self.retire(id, effects);
            return;
        }
        self.workers.set(id, WorkerState::Asleep);
        self.fill_slots(effects);
        if self.workers.get(id).is_some_and(|worker| worker.state == WorkerState::Asleep) {
            if self.is_to_doze(id) {
                effects.push(Effect::Doze(id));
            } else {
                self.retire_surplus(id, effects);
            }
        }
    }

    /// Gives the worker the task that goes first. If that task is short, the worker also claims
    /// short tasks that come next.
    fn begin_some(
        &mut self,
        worker: WorkerId,
        group: GroupId,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        if self.closing {
            return false;
        }
        let Some(first) = self.next_ready(group) else { return false };
        let several = self.may_be_claimed(first);
        self.give(worker, first, true, effects);
        if several && !self.at_cap() {
            // The task just given counts too, but it has left the queue.
            let batch = Kinds::batch(self.ready.len() + 1, self.workers.slots());
            for _ in 1..batch {
                let Some(next) = self.pop_claim(group) else { break };
                self.give(worker, next, false, effects);
            }
        }
        true
    }

    fn may_be_claimed(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| is_claimable(&self.tasks, task, &self.kinds))
    }

    /// Takes the ready task that this group begins next, if it may be claimed and is no call of an
    /// actor.
    fn pop_claim(&mut self, group: GroupId) -> Option<TaskId> {
        if self.sets.ready_tasks() > 0 {
            let next = self.peek_placed(group)?;
            let is_claim = is_claim(&self.tasks, &self.kinds, next);
            return if is_claim { self.pop_for(group) } else { None };
        }
        let (tasks, kinds) = (&self.tasks, &self.kinds);
        self.ready.pop_if(|number, id| is_ready(tasks, number, id), |id| is_claim(tasks, kinds, id))
    }

    /// If a slot is idle and a sleeping worker could use it, asks for the claims that have not
    /// begun.
    pub(crate) fn take_back_claims(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.totals.claimed == 0 || self.workers.any_idle().is_none() || self.closing {
            return;
        }
        for (id, worker) in self.workers.iter() {
            let claimed = worker.claims.iter().rev().filter_map(|task| {
                let claimed = self.tasks.get(*task)?;
                (claimed.state == State::Claimed { worker: id })
                    .then(|| Effect::TakeBack { task: *task, payload: claimed.payload.clone() })
            });
            effects.extend(claimed);
        }
    }

    fn retire_surplus(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        if self.workers.get(id).is_some_and(|worker| self.workers.has_plenty(worker.group)) {
            self.workers.leave(id); // it is not the last of a retired group
            effects.push(Effect::Retire(id));
        }
    }

    pub(crate) fn on_begun(&mut self, worker: WorkerId, id: TaskId) {
        if self.tasks.get(id).is_some_and(|task| task.state == State::Claimed { worker }) {
            self.set_state(id, State::Running { worker });
        }
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.task = Some(id);
        }
    }

    pub(crate) fn on_unclaim(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if let Some(task) = self.tasks.get(id)
            && let State::Claimed { worker } = task.state
        {
            return self.unclaim_from(worker, id, effects);
        }
        // It was cancelled, and will not begin.
        self.lingers_no_more(id);
    }

    fn unclaim_from(&mut self, worker: WorkerId, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get(id) else { return };
        if task.state != (State::Claimed { worker }) {
            return;
        }
        if !task.wants.any() {
            self.cancel(id, effects);
            self.lingers_no_more(id);
        } else {
            self.set_ready(id, effects);
        }
    }
}

/// Returns whether a task may be claimed: it is short and has no constraint. So any idle slot can
/// take it over, and the claim holds no resources meanwhile.
fn is_claimable<P>(tasks: &Tasks<P>, task: &Task<P>, kinds: &Kinds) -> bool {
    tasks.set(task.rare).is_none() && kinds.is_short(task.kind)
}

/// Returns whether a task may be claimed and is no call of an actor.
fn is_claim<P>(tasks: &Tasks<P>, kinds: &Kinds, id: TaskId) -> bool {
    tasks.get(id).is_some_and(|task| !task.is_call() && is_claimable(tasks, task, kinds))
}
