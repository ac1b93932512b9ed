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
        self.is_woken(id, yields);
        self.set_ready(id, effects);
    }

    /// The task will be queued as one that was woken just now.
    pub(crate) fn is_woken(&mut self, id: TaskId, yields: bool) {
        self.totals.wakes += 1;
        self.tasks.set_precedence(id, Precedence::woken(self.totals.wakes, yields));
    }

    /// The task will be queued by its lineage once more. If it has got another constraint meanwhile, it will be as if woken:
    /// an entry under the number of its lineage may still lie in the queue where it was before, and must not count.
    pub(crate) fn comes_anew(&mut self, id: TaskId) {
        let Some(rare) = self.tasks.get(id).map(|task| task.rare) else { return };
        if self.tasks.is_queued_by_lineage(rare) {
            return;
        }
        match self.tasks.set(rare) {
            Some(_) => self.is_woken(id, false),
            None => self.tasks.set_precedence(id, Precedence::BY_LINEAGE),
        }
    }
}
