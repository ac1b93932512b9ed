//! A task is refused that would be waited for without end.
//!
//! Who waits for a gate waits for tasks that are yet to come. So a task may close a cycle of waits when it is submitted: it
//! needs the result, or the resources, of a task that waits for the gate. Such a task fails at once.

use crate::effect::Effect;
use crate::event::Wait;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::State;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    /// Returns whether this task holds up a gate.
    #[inline]
    pub(crate) fn is_watched(&self, id: TaskId) -> bool {
        !self.tasks.families.gates.is_empty() && self.is_below_gate(id)
    }

    #[cold]
    fn is_below_gate(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| !self.gates_above(task).is_empty())
    }

    /// Has a task fail that a gate would wait for without end. Returns whether it has.
    #[cold]
    pub(crate) fn refuse(
        &mut self,
        id: TaskId,
        unfinished: usize,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        if unfinished > 0 && self.is_needed_by_gate(id) {
            // So are its inputs.
            self.waits_changed();
        }
        self.set_state(id, State::Waiting { unfinished: unfinished as u32 });
        let Some(task) = self.tasks.get(id) else { return false };
        let waits = task.inputs.iter().chain(self.call_before(id));
        let wait = Wait { tasks: Arc::new(waits.collect()), all: true };
        let gates = self.gates_above(task);
        let endless = self.cycle(id, &wait).or_else(|| self.starved_behind(id, &gates));
        let (Some(path), Some(task)) = (endless, self.tasks.get_mut(id)) else { return false };
        if unfinished > 0 {
            task.rare.set_listed();
        }
        effects.push(Effect::Endless { payload: task.payload.clone(), path });
        self.settle(id, State::Failed, effects);
        true
    }
}
