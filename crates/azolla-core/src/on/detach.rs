//! The task on a worker goes on elsewhere, as async work does. It needs no slot and no worker.

use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::State;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_detach(&mut self, id: WorkerId, task: TaskId) {
        if let Some(worker) = self.workers.get_mut(id)
            && worker.task == Some(task)
        {
            worker.task = None;
            self.detach_held(id, task);
        }
        if self.tasks.get(task).is_some_and(|task| !task.state.is_settled()) {
            self.set_state(task, State::Detached);
            if let Some(actor) = self.actor_of(task) {
                self.leave_mailbox(task, actor);
            }
        } else {
            self.lingers_detached(task);
            self.calls_on_after(task);
        }
    }
}
