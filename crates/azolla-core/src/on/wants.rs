//! Futures come and go, and some tasks are wanted in any case.

use crate::effect::Effect;
use crate::graph::Stays;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::Want;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_want(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id)
            && !task.wants.has(Want::Future)
        {
            task.wants.add(Want::Future);
        }
    }

    pub(crate) fn on_release(&mut self, id: TaskId, there: bool, effects: &mut Vec<Effect<P>>) {
        if self.tasks.get(id).is_some_and(|task| task.wants.has(Want::Future))
            && self.unwant(id, Want::Future, effects) != Stays::No
            && there
        {
            self.result_is_there(id);
        }
    }

    pub(crate) fn on_keep(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id)
            && !task.wants.has(Want::Keep)
            && !task.state.is_settled()
            && !task.rare.is_there()
        {
            task.wants.add(Want::Keep);
        }
    }
}
