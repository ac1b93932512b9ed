//! A task parks, secedes, or wants to go on.

use crate::effect::{Effect, Refusal};
use crate::event::Wait;
use crate::id::WorkerId;
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::{Hold, WorkerState};
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_park(&mut self, id: WorkerId, wait: Wait, effects: &mut Vec<Effect<P>>) {
        let Some(worker) = self.workers.get(id) else { return };
        let seceded = match worker.state {
            WorkerState::Active => false,
            WorkerState::Seceded => true,
            _ => return,
        };
        let (task, group) = (worker.task, worker.group);
        let wait = self.narrowed(wait);
        if let Some(path) = task.and_then(|task| {
            self.cycle(task, &wait).or_else(|| self.deadlock(id, task, Some(&wait)))
        }) {
            effects.push(Effect::Refused(Refusal::Cycle(path)));
            return;
        }
        if !seceded && !self.workers.has_spare(group) {
            effects.push(Effect::Refused(Refusal::NoSpare));
            return;
        }
        if let Some(task) = task {
            self.set_state_if_running(task, State::Parked { worker: id });
        }
        self.note_awaited(&wait);
        self.wait_begins(&wait);
        self.workers.set(id, WorkerState::Parked { wait, seceded });
        self.keep_held(id);
    }

    pub(crate) fn on_secede(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        let Some(worker) = self.workers.get(id) else { return };
        if worker.state != WorkerState::Active {
            return;
        }
        if !self.workers.has_spare(worker.group) {
            effects.push(Effect::Refused(Refusal::NoSpare));
            return;
        }
        if let Some(task) = worker.task {
            self.set_state_if_running(task, State::Seceded { worker: id });
        }
        self.workers.set(id, WorkerState::Seceded);
        self.give_up(id);
    }

    pub(crate) fn on_resume(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        self.wait_of_worker_ends(id);
        let Some(worker) = self.workers.get(id) else { return };
        let (task, hold, group) = (worker.task, worker.hold, worker.group);
        match worker.state {
            WorkerState::Parked { seceded: true, .. } => {
                self.workers.set(id, WorkerState::Seceded);
                if let Some(task) = task {
                    self.set_state_if_running(task, State::Seceded { worker: id });
                }
                effects.push(Effect::Grant(id));
            }
            WorkerState::Seceded if matches!(hold, Hold::GivenUp(_)) => {
                if let Some(path) = task.and_then(|task| self.deadlock(id, task, None)) {
                    effects.push(Effect::Refused(Refusal::Cycle(path)));
                    return;
                }
                self.workers.set(id, WorkerState::Rejoining);
                if let Some(task) = task {
                    self.set_state_if_running(task, State::Parked { worker: id });
                }
                self.grant_rejoining(group);
            }
            WorkerState::Parked { seceded: false, .. } | WorkerState::Seceded => {
                self.workers.set(id, WorkerState::Resuming);
                self.use_kept(id);
                if let Some(task) = task {
                    self.set_state_if_running(task, State::Parked { worker: id });
                }
            }
            _ => {}
        }
    }
}
