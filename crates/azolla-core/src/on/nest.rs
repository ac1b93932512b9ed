//! A task waits for others, and meanwhile runs them on its own worker and stack.
//!
//! It must need all of them: it cannot go on before the tasks that run on top of it have ended. The
//! task on top uses the worker's slot. The tasks below it are parked, but hold up no other thread.

use crate::effect::{Effect, Refusal};
use crate::event::Wait;
use crate::graph::is_ready;
use crate::id::WorkerId;
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::{Hold, WorkerState};
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_nest(&mut self, id: WorkerId, wait: Wait, effects: &mut Vec<Effect<P>>) {
        debug_assert!(wait.all, "a wait for the first may be over before what is nested in it");
        let Some(worker) = self.workers.get(id) else { return };
        let WorkerState::Active = worker.state else { return };
        let Some(task) = worker.task else { return };
        // A worker records the hold of one task only, so a task that holds something must not lie
        // below another.
        if worker.hold != Hold::Nothing {
            effects.push(Effect::Refused(Refusal::HoldsResources));
            return;
        }
        let path = self.cycle(task, &wait).or_else(|| self.deadlock(id, task, Some(&wait)));
        if let Some(path) = path {
            effects.push(Effect::Refused(Refusal::Cycle(path)));
            return;
        }
        self.set_state_if_running(task, State::Parked { worker: id });
        self.note_awaited(&wait);
        self.wait_begins(&wait);
        if let Some(worker) = self.workers.get_mut(id) {
            worker.task = None;
            worker.below.push((task, wait));
        }
    }

    /// Runs one of the tasks that the topmost waiting task waits for on top of it, if that task can
    /// run and nothing more urgent is ready.
    pub(crate) fn on_run_nested(&mut self, id: WorkerId, at: usize, effects: &mut Vec<Effect<P>>) {
        let Some(worker) = self.workers.get(id) else { return };
        let Some(&nested) = worker.below.last().and_then(|(_, wait)| wait.tasks.get(at)) else {
            return;
        };
        let group = worker.group;
        let may_run = worker.state == WorkerState::Active
            && worker.task.is_none()
            && self.workers.group(group).tally.resuming == 0
            && !self.closing;
        let Some(task) = self.tasks.get(nested).filter(|task| task.state == State::Ready) else {
            return;
        };
        let goes_first = self.best_for(group).is_none_or(|best| best <= task.priority);
        if may_run && goes_first && self.tasks.set(task.rare).is_none() {
            // It is mostly the first in the queue.
            let tasks = &self.tasks;
            let first = |number, id| is_ready(tasks, number, id);
            if self.ready.pop_if(first, |id| id == nested).is_none() {
                // This takes the task out of the queue, as a pop would. `give` sets the real state.
                self.set_state(nested, State::Waiting { unfinished: 0 });
            }
            self.give(id, nested, true, effects);
        }
    }

    pub(crate) fn on_unnest(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        debug_assert!(worker.task.is_none(), "something runs on top");
        let Some((task, wait)) = worker.below.pop() else { return };
        worker.task = Some(task);
        // The worker has no slot only when the runtime closes: a nested task that had seceded could
        // not get one back.
        let state = match worker.state {
            WorkerState::Seceded => State::Seceded { worker: id },
            _ => State::Running { worker: id },
        };
        self.set_state_if_running(task, state);
        self.wait_ends(&wait);
    }
}
