//! Workers come and go.

use crate::constraint::GroupId;
use crate::effect::Effect;
use crate::id::WorkerId;
use crate::scheduler::Scheduler;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_join(&mut self, group: GroupId, effects: &mut Vec<Effect<P>>) {
        effects.push(Effect::Joined(self.workers.join(group)));
    }

    pub(crate) fn on_leave(&mut self, worker: WorkerId) {
        self.give_back(worker);
        self.workers.leave(worker);
        self.stops_dozing(worker);
        self.lower_cap();
        self.waits_changed();
    }
}
