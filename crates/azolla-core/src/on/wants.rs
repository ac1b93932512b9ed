//! Futures come and go, and some work is wanted in any case.

use crate::graph::Todo;
use crate::id::TaskId;
use crate::scheduler::Scheduler;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_want(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id)
            && !task.has_future
        {
            task.has_future = true;
            task.wants += 1;
        }
    }

    pub(crate) fn on_release(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id)
            && task.has_future
        {
            task.has_future = false;
            self.todo.push_back(Todo::Unwant([id].into_iter().collect()));
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
