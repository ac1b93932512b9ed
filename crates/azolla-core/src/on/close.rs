//! The end: everything that is not settled is cancelled, and nothing begins any more.

use crate::scheduler::Scheduler;
use crate::todo::Todo;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.retries.clear();
            self.todo.push_back(Todo::CancelFrom(0));
        }
    }
}
