//! The graph: who depends on whom, who still wants what, and the news that travel along.
//!
//! News go from a settled task to its dependents, and the loss of a want from a task that is gone
//! to its inputs. Either way may reach far, so it is done in portions from a list, never by
//! recursion.

use crate::effect::Effect;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::{Order, State, Want};
use crate::tasks::Tasks;
use crate::todo::{News, Todo};
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn tell(&mut self, dependent: TaskId, news: &News<P>, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get_mut(dependent) else { return };
        let State::Waiting { unfinished } = &mut task.state else { return };
        match news {
            News::Done if *unfinished > 1 => *unfinished -= 1,
            News::Done => self.set_ready(dependent, effects),
            News::Failed(cause) => {
                let payload = task.payload.clone();
                effects.push(Effect::Inherit { payload, cause: cause.clone() });
                self.settle(dependent, State::Failed, effects);
            }
            News::Cancelled => self.cancel(dependent, effects),
        }
    }

    /// All inputs are there: into the queue, or to the worker that has just finished one of them
    /// (see `on/finish.rs`).
    pub(crate) fn set_ready(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if self.observing {
            effects.push(Effect::Ready(id));
        }
        self.set_state(id, State::Ready);
    }

    /// Moves a task to another state and keeps what is counted by state in step.
    pub(crate) fn set_state(&mut self, id: TaskId, state: State) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let (priority, grown, rare) = (task.priority, task.grown, task.rare);
        match core::mem::replace(&mut task.state, state) {
            State::Ready => {
                let tasks = &self.tasks;
                match tasks.set(rare) {
                    None => self.ready.removed(priority, |number, id| is_ready(tasks, number, id)),
                    Some(set) => {
                        let gone = tasks.queued_as(grown, rare).order(priority);
                        self.sets.removed(set, gone, |number, id| ready_order(tasks, number, id));
                    }
                }
            }
            State::Claimed { .. } => self.totals.claimed -= 1,
            State::Detached | State::Suspended => self.totals.detached -= 1,
            // It will not run: what it needs is needed no more.
            State::Waiting { .. } if state.is_settled() => self.waits_changed(),
            _ => {}
        }
        match state {
            State::Ready => {
                match self.tasks.set(rare) {
                    Some(set) => {
                        self.sets.push(set, id, priority, self.tasks.queued_as(grown, rare))
                    }
                    None if self.tasks.is_queued_by_lineage(rare) => {
                        self.ready.push(id, priority, grown.number(), grown.line());
                    }
                    None => {
                        let place = self.tasks.queued_as(grown, rare);
                        self.ready.push(id, priority, place.number, place.line());
                    }
                }
                self.waits.something_became_ready();
            }
            State::Claimed { .. } => self.totals.claimed += 1,
            State::Detached | State::Suspended => self.totals.detached += 1,
            _ => {}
        }
    }

    /// The task has ended: its dependents are told, and it goes if nobody wants it.
    pub(crate) fn settle(&mut self, id: TaskId, state: State, effects: &mut Vec<Effect<P>>) {
        self.set_state(id, state);
        let Some(task) = self.tasks.get_mut(id) else { return };
        self.growth.ended(task.grown.branch(), state);
        let actor = if task.is_call() { task.inputs.first() } else { None };
        // A failed task keeps its inputs, for it may be retried; a call may not.
        if (state != State::Failed || task.is_call()) && !task.inputs.is_empty() {
            self.todo.push_back(Todo::Unwant(core::mem::take(&mut task.inputs)));
        }
        if !task.dependents.is_empty() {
            let dependents = core::mem::take(&mut task.dependents);
            let news = match state {
                State::Done => News::Done,
                State::Failed => News::Failed(task.payload.clone()),
                _ => News::Cancelled,
            };
            self.todo.push_back(Todo::Tell { dependents, news });
        }
        if task.wants.has(Want::Keep) {
            task.wants.remove(Want::Keep);
        }
        let unwanted = !task.wants.any();
        if state == State::Cancelled {
            self.tasks.forget_key(id);
        }
        self.totals.settled += 1;
        self.totals.live -= 1;
        if let Some(actor) = actor
            && !self.calls.abandoned.contains_key(&id)
        {
            self.leave_mailbox(id, actor);
        }
        if unwanted {
            self.forget(id, effects);
        }
    }

    /// Ends a task that is not settled as cancelled, and takes back the result of one that is.
    pub(crate) fn cancel(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if !self.calls.mailboxes.is_empty() {
            self.cancel_calls(id);
            self.abandon(id);
        }
        let Some(task) = self.tasks.get_mut(id) else { return };
        match task.state {
            State::Cancelled => {}
            State::Done | State::Failed => {
                self.growth.not_ended(task.grown.branch(), task.state);
                self.growth.ended(task.grown.branch(), State::Cancelled);
                task.state = State::Cancelled;
                effects.push(Effect::Cancelled(task.payload.clone()));
                self.tasks.forget_key(id);
                self.release_inputs(id);
            }
            _ => {
                effects.push(Effect::Cancelled(task.payload.clone()));
                self.give_back_suspended(id);
                self.settle(id, State::Cancelled, effects);
            }
        }
    }

    pub(crate) fn cancel_unless_settled(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if self.tasks.get(id).is_some_and(|task| !task.state.is_settled()) {
            self.cancel(id, effects);
        }
    }

    /// One fewer wants this task.
    pub(crate) fn unwant(&mut self, id: TaskId, want: Want, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.wants.remove(want);
        if task.wants.any() {
            return;
        }
        match task.state {
            State::Done | State::Failed | State::Cancelled => self.forget(id, effects),
            State::Waiting { .. } | State::Ready | State::Suspended => self.cancel(id, effects),
            // It runs, or is about to: it goes when it ends.
            _ => {}
        }
    }

    fn forget(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let Some((task, set)) = self.tasks.remove(id) else { return };
        if let Some(set) = set {
            self.sets.let_go(set);
        }
        if !task.inputs.is_empty() {
            self.todo.push_back(Todo::Unwant(task.inputs));
        }
        effects.push(Effect::Drop(task.payload));
    }

    fn release_inputs(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let inputs = core::mem::take(&mut task.inputs);
        if !inputs.is_empty() {
            self.todo.push_back(Todo::Unwant(inputs));
        }
    }

    /// Adds `dependent` to those told when `input` is settled.
    pub(crate) fn add_dependent(&mut self, input: TaskId, dependent: TaskId) {
        let Some(task) = self.tasks.get_mut(input) else { return };
        // Before the list grows, those that are gone make room: dependents may come and go while
        // an input takes long.
        if task.dependents.is_full() && task.dependents.len() >= 64 {
            self.drop_gone_dependents(input);
        }
        if let Some(task) = self.tasks.get_mut(input) {
            task.dependents.push(dependent);
        }
    }

    #[cold]
    fn drop_gone_dependents(&mut self, input: TaskId) {
        let Some(task) = self.tasks.get_mut(input) else { return };
        let mut dependents = core::mem::take(&mut task.dependents);
        dependents.retain(|other| self.tasks.get(other).is_some());
        if let Some(task) = self.tasks.get_mut(input) {
            task.dependents = dependents;
        }
    }

    /// Takes the task that goes first out of the queue.
    pub(crate) fn pop_ready(&mut self) -> Option<TaskId> {
        let tasks = &self.tasks;
        self.ready.pop(|number, id| is_ready(tasks, number, id))
    }

    pub(crate) fn peek_ready(&mut self) -> Option<TaskId> {
        let tasks = &self.tasks;
        self.ready.peek(|number, id| is_ready(tasks, number, id))
    }

    /// Gives a task that is in no queue to a worker.
    pub(crate) fn give(
        &mut self,
        worker: WorkerId,
        id: TaskId,
        begun: bool,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let (priority, payload, rare) = (task.priority, task.payload.clone(), task.rare);
        effects.push(Effect::Run { worker, task: id, payload, priority, begun });
        if begun {
            task.state = State::Running { worker };
            if let Some(worker) = self.workers.get_mut(worker) {
                worker.task = Some(id);
            }
            if let Some(set) = self.tasks.set(rare) {
                self.take(worker, id, set);
            }
        } else {
            task.state = State::Claimed { worker };
            self.totals.claimed += 1;
            if let Some(worker) = self.workers.get_mut(worker) {
                worker.claims.push(id);
            }
        }
    }
}

/// Whether the entry of this task by this number is the one that counts.
pub(crate) fn is_ready<P>(tasks: &Tasks<P>, number: u64, id: TaskId) -> bool {
    tasks
        .get(id)
        .is_some_and(|task| task.state == State::Ready && tasks.queued_number(task) == number)
}

/// Where a task stands in the queue, if it is there.
pub(crate) fn ready_order<P>(tasks: &Tasks<P>, number: u64, id: TaskId) -> Option<Order> {
    if is_ready(tasks, number, id) { tasks.get(id).map(|task| tasks.order(task)) } else { None }
}
