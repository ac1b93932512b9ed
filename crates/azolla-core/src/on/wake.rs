//! A suspended task can go on. It is queued ahead of the tasks of its priority that have not begun,
//! or behind all of them if it only wanted to let others go first.

use crate::effect::Effect;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::{Precedence, State};
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_wake(&mut self, id: TaskId, yields: bool, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get(id) else { return };
        if task.state != State::Suspended {
            return;
        }
        self.totals.wakes += 1;
        self.tasks.set_precedence(id, Precedence::woken(self.totals.wakes, yields));
        self.set_ready(id, effects);
    }
}
