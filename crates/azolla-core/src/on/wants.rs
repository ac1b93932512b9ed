//! Futures come and go, and some work is wanted in any case.

use crate::effect::Effect;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_want(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id)
            && !task.has_future
        {
            task.has_future = true;
            task.wants += 1;
        }
    }

    pub(crate) fn on_release(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if let Some(task) = self.tasks.get_mut(id)
            && task.has_future
        {
            task.has_future = false;
            self.unwant(id, effects);
        }
    }

    pub(crate) fn on_keep(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id)
            && !task.keep
            && !task.state.is_settled()
        {
            task.keep = true;
            task.wants += 1;
        }
    }
}
