//! A task without a slot awaits others: async work, or a seceded task on its own event loop. It lends nothing, so this is
//! known for one reason: a circle of tasks that wait for each other, or for what each other hold, may lead through it.

use crate::effect::{Effect, Refusal};
use crate::event::Wait;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_await(&mut self, id: TaskId, wait: Wait, effects: &mut Vec<Effect<P>>) {
        self.awaits.remove(&id);
        if wait.tasks.is_empty() || !self.tasks.get(id).is_some_and(|task| task.state.may_await()) {
            return;
        }
        if let Some(path) = self.cycle(id, &wait).or_else(|| self.deadlock_of_await(id, &wait)) {
            effects.push(Effect::Refused(Refusal::Cycle(path)));
            return;
        }
        self.note_awaited(&wait);
        self.awaits.insert(id, wait);
    }
}

impl<P> Scheduler<P> {
    // Not inlined: it would make every change of a task's state slower.
    #[inline(never)]
    pub(crate) fn awaits_no_more(&mut self, id: TaskId) {
        self.awaits.remove(&id);
    }
}
