//! A task waits, secedes, or goes on.

use crate::effect::{Effect, Refusal};
use crate::event::Wait;
use crate::id::WorkerId;
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::WorkerState;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_park(&mut self, id: WorkerId, wait: Wait, effects: &mut Vec<Effect<P>>) {
        let Some(worker) = self.workers.get(id) else { return };
        let seceded = match worker.state {
            WorkerState::Active => false,
            WorkerState::Seceded => true,
            _ => return,
        };
        let task = worker.task;
        let wait = self.narrowed(wait);
        if let Some(path) = task.and_then(|task| self.cycle(task, &wait)) {
            effects.push(Effect::Refused(Refusal::Cycle(path)));
            return;
        }
        if !seceded && !self.workers.has_spare() {
            effects.push(Effect::Refused(Refusal::NoSpare));
            return;
        }
        if let Some(task) = task {
            self.set_state_if_running(task, State::Parked { worker: id });
        }
        self.workers.set(id, WorkerState::Parked { wait, seceded });
        self.waits_changed();
    }

    pub(crate) fn on_secede(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        let Some(worker) = self.workers.get(id) else { return };
        if worker.state != WorkerState::Active {
            return;
        }
        if !self.workers.has_spare() {
            effects.push(Effect::Refused(Refusal::NoSpare));
            return;
        }
        if let Some(task) = worker.task {
            self.set_state_if_running(task, State::Seceded { worker: id });
        }
        self.workers.set(id, WorkerState::Seceded);
    }

    pub(crate) fn on_resume(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        self.waits_changed();
        let Some(worker) = self.workers.get(id) else { return };
        let task = worker.task;
        match worker.state {
            WorkerState::Parked { seceded: true, .. } => {
                self.workers.set(id, WorkerState::Seceded);
                if let Some(task) = task {
                    self.set_state_if_running(task, State::Seceded { worker: id });
                }
                effects.push(Effect::Grant(id));
            }
            WorkerState::Parked { seceded: false, .. } | WorkerState::Seceded => {
                self.workers.set(id, WorkerState::Resuming);
                if let Some(task) = task {
                    self.set_state_if_running(task, State::Parked { worker: id });
                }
            }
            _ => {}
        }
    }
}
