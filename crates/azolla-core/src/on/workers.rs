//! Workers come and go.

use crate::effect::Effect;
use crate::id::WorkerId;
use crate::scheduler::Scheduler;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_join(&mut self, effects: &mut Vec<Effect<P>>) {
        effects.push(Effect::Joined(self.workers.join()));
    }

    pub(crate) fn on_leave(&mut self, worker: WorkerId) {
        self.workers.leave(worker);
        self.wakes_up(worker);
        self.lower_cap();
        self.waits_changed();
    }
}
