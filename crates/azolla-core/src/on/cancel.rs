//! A task is cancelled. A running task goes on until its function returns, and its result is dropped.

use crate::effect::Effect;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_cancel(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        self.cancel(id, effects);
    }
}
