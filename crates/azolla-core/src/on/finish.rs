//! A task has ended, or its turn has.
//!
//! If exactly one task depends on the finished one, waits for nothing else, and nothing more urgent
//! is ready, the same worker runs that task next, past the queue. So a chain stays on one thread,
//! where its data is.

use crate::durations::Stretch;
use crate::effect::Effect;
use crate::event::Outcome;
use crate::few::Few;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::{Hold, WorkerState};
use alloc::vec::Vec;

/// After this many handed-over tasks in a row the worker must pull, so that an endless chain does
/// not starve other tasks.
const HANDED_OVER_IN_A_ROW: u32 = 64;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_finish(
        &mut self,
        worker: Option<WorkerId>,
        id: TaskId,
        outcome: Outcome,
        took: u64,
        effects: &mut Vec<Effect<P>>,
    ) {
        match worker {
            None => self.give_back_workerless(id),
            Some(at) => {
                if let Some(worker) = self.workers.get_mut(at)
                    && worker.task == Some(id)
                {
                    worker.task = None;
                    if !matches!(worker.hold, Hold::Nothing) {
                        self.lets_go_of_held(at, id, outcome);
                    }
                }
            }
        }
        // The task was cancelled meanwhile, and may be gone.
        let Some(task) = self.tasks.get(id).filter(|task| !task.state.is_settled()) else {
            return self.end_abandoned(id);
        };
        let what = match (outcome, worker) {
            (Outcome::Suspended, _) => Stretch::Turn,
            (_, None) => Stretch::Detached,
            (_, Some(_)) => Stretch::Held,
        };
        self.kinds.took(task.kind, took, what);
        match outcome {
            Outcome::Done => {
                let next = worker.and_then(|worker| self.next_in_chain(worker, id));
                self.settle(id, State::Done, effects);
                if let (Some(worker), Some(next)) = (worker, next) {
                    if self.observing {
                        effects.push(Effect::Ready(next));
                    }
                    self.give(worker, next, true, effects);
                }
            }
            Outcome::Failed => self.settle(id, State::Failed, effects),
            Outcome::Again | Outcome::Elsewhere(_) | Outcome::Suspended => {
                self.goes_on(worker, id, outcome, effects);
            }
        }
    }

    /// The task has not ended: it is to go on, unless it must not.
    #[inline(never)]
    fn goes_on(
        &mut self,
        worker: Option<WorkerId>,
        id: TaskId,
        outcome: Outcome,
        effects: &mut Vec<Effect<P>>,
    ) {
        if self.goes_no_further(id) {
            self.cancel(id, effects);
            return self.end_abandoned(id);
        }
        if outcome == Outcome::Suspended {
            return self.set_state(id, State::Suspended);
        }
        if let (Outcome::Elsewhere(group), Some(worker)) = (outcome, worker)
            && self.tasks.get(id).is_some_and(|task| task.state.is_on(worker))
        {
            self.confine(id, group);
        }
        self.comes_anew(id);
        self.set_ready(id, effects);
    }

    /// The task on this worker has ended, or its turn has. It gives up what it holds.
    #[inline(never)]
    fn lets_go_of_held(&mut self, worker: WorkerId, id: TaskId, outcome: Outcome) {
        if outcome == Outcome::Suspended {
            self.suspend_held(worker, id);
        }
        self.give_back(worker);
    }

    /// Returns the task to hand over to this worker. It is taken off the list of tasks to be told.
    fn next_in_chain(&mut self, id: WorkerId, finished: TaskId) -> Option<TaskId> {
        let worker = self.workers.get(id)?;
        if worker.state != WorkerState::Active
            || worker.task.is_some()
            || !worker.below.is_empty()
            || worker.handed_over >= HANDED_OVER_IN_A_ROW
            || self.workers.begins_nothing(worker.group)
            || self.closing
            || self.at_cap()
        {
            return None;
        }
        let task = self.tasks.get(finished)?;
        let (next, is_call) = if task.is_call() {
            self.next_after_call(finished)?
        } else {
            (task.dependents.only()?, false)
        };
        let task = self.tasks.get(next)?;
        let outranked = self.best_for(worker.group).is_some_and(|best| best > task.priority)
            || worker.claims.iter().any(|claim| {
                self.tasks.get(*claim).is_some_and(|claim| {
                    claim.state == State::Claimed { worker: id } && claim.priority > task.priority
                })
            });
        if task.state != (State::Waiting { unfinished: 1 }) || outranked {
            return None;
        }
        // It may have been told twice, and wait for more than it counts.
        let unsettled = |input: &TaskId| self.tasks.is_live(*input);
        if task.rare.may_be_listed() && task.inputs.iter().filter(unsettled).count() > 1 {
            return None;
        }
        if let Some(set) = self.tasks.set(task.rare)
            && !self.may_take_over(worker, set, self.tasks.order(task))
        {
            return None;
        }
        if is_call {
            self.make_next_current(finished);
        } else {
            self.tasks.get_mut(finished)?.dependents = Few::new();
        }
        self.workers.get_mut(id)?.handed_over += 1;
        Some(next)
    }

    /// Returns whether a task that would run again must not: it is unwanted, the scheduler is
    /// closing, or it is a call that went on without a worker. Such a call has left its mailbox and
    /// may not enter it again, because the check for cycles did not count that wait.
    fn goes_no_further(&self, id: TaskId) -> bool {
        let unwanted = self.tasks.get(id).is_none_or(|task| !task.wants.any());
        let is_late = |actor| !self.is_current_call(id, actor);
        unwanted || self.closing || self.actor_of(id).is_some_and(is_late)
    }
}
