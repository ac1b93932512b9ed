//! Workers come and go, and are woken for the driver.

use crate::constraint::GroupId;
use crate::effect::Effect;
use crate::id::WorkerId;
use crate::scheduler::Scheduler;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_join(&mut self, group: GroupId, effects: &mut Vec<Effect<P>>) {
        if !self.workers.group(group).is_retired {
            effects.push(Effect::Joined(self.workers.join(group)));
        }
    }

    pub(crate) fn on_rouse(&mut self, group: Option<GroupId>, effects: &mut Vec<Effect<P>>) {
        let idle = match group {
            Some(group) => Some(group).filter(|group| self.workers.group(*group).is_idle()),
            None => self.workers.any_idle(),
        };
        if !self.closing
            && let Some(group) = idle
            && let Some(worker) = self.workers.wake_next(group)
        {
            effects.push(Effect::Grant(worker));
        }
    }

    pub(crate) fn on_leave(&mut self, worker: WorkerId, effects: &mut Vec<Effect<P>>) {
        self.give_back(worker);
        self.nothing_lingers_on(worker);
        if let Some(group) = self.workers.leave(worker) {
            effects.push(Effect::Gone(group));
        }
        self.stops_dozing(worker);
        self.lower_cap();
        self.waits_changed();
    }
}
