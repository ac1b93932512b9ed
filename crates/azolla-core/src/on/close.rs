//! The scheduler closes: it cancels every unsettled task, and begins none any more.

use crate::scheduler::Scheduler;
use crate::todo::Todo;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.retries.clear();
            self.reviving = Default::default();
            // First the gates: what they wait for has not ended by itself.
            let gates = self.tasks.families.gates.values().flatten();
            let tasks = gates.map(|gate| (*gate, false)).collect();
            self.todo.push_back(Todo::CancelEach { tasks, interrupt: false });
            self.todo.push_back(Todo::CancelFrom(0));
        }
    }
}
