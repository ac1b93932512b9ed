//! The graph: which tasks depend on which, which are still wanted, and how both change.
//!
//! A settled task sends news to its dependents. A task that no longer needs its inputs takes its
//! wants back from them. Either may reach far, so neither recurses: both append to a list that is
//! worked off in portions (`todo.rs`).

use crate::effect::Effect;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::{Order, State, Want};
use crate::tasks::Tasks;
use crate::todo::{News, Todo};
use alloc::vec::Vec;

/// Whether a task stays that has lost a want.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It does not: it is forgotten or cancelled.
    No,
    /// It does, since there are other wants.
    Wanted,
    /// It does until it ends.
    UntilItEnds,
}

impl<P: Clone> Scheduler<P> {
    pub(crate) fn tell(&mut self, dependent: TaskId, news: &News<P>, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get_mut(dependent) else { return };
        let State::Waiting { unfinished } = &mut task.state else { return };
        match news {
            News::Done if *unfinished > 1 => *unfinished -= 1,
            News::Done if task.rare.may_be_listed() => self.count_again(dependent, effects),
            News::Done => self.set_ready(dependent, effects),
            News::Failed(cause) => {
                if *unfinished > 1 {
                    task.rare.set_listed();
                }
                let payload = task.payload.clone();
                effects.push(Effect::Inherit { payload, cause: cause.clone() });
                self.settle(dependent, State::Failed, effects);
            }
            News::Cancelled => self.cancel(dependent, effects),
        }
    }

    /// Puts a task into its ready queue. A task that goes straight to the worker that has finished
    /// its last input never comes here (see `on/finish.rs`).
    pub(crate) fn set_ready(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if self.observing {
            effects.push(Effect::Ready(id));
        }
        self.set_state(id, State::Ready);
    }

    /// Moves a task to another state, and updates the queues and counts that depend on the state.
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
            State::Detached => {
                self.totals.detached -= 1;
                self.awaits_no_more(id);
            }
            State::Suspended => self.totals.detached -= 1,
            State::Seceded { .. } => self.awaits_no_more(id),
            // It will not run, so parked tasks may no longer need its inputs.
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
                        let line = self.tasks.line(grown);
                        self.ready.push(id, priority, grown.number(), line);
                    }
                    None => {
                        let place = self.tasks.queued_as(grown, rare);
                        self.ready.push(id, priority, place.number, place.line());
                    }
                }
                self.became_ready(id);
            }
            State::Claimed { .. } => self.totals.claimed += 1,
            State::Detached | State::Suspended => self.totals.detached += 1,
            _ => {}
        }
    }

    /// The task has ended. Schedules the news to its dependents, and forgets the task if it is
    /// unwanted.
    pub(crate) fn settle(&mut self, id: TaskId, state: State, effects: &mut Vec<Effect<P>>) {
        self.set_state(id, state);
        let Some(task) = self.tasks.get_mut(id) else { return };
        self.growth.ended(task.grown.branch(), state);
        let actor = if task.is_call() { task.inputs.first() } else { None };
        // A failed task keeps its inputs because it may be retried. A call of an actor may not.
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
        let (unwanted, is_related) = (!task.wants.any(), task.is_related());
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
        if is_related {
            self.ends_in_families(id, state, effects);
            return self.forget_if_unwanted(id, effects);
        }
        if unwanted {
            self.forget(id, false, effects);
        }
    }

    /// Cancels a task. If it is done or failed already, its result or error is taken back.
    pub(crate) fn cancel(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if !self.calls.mailboxes.is_empty() {
            self.cancel_calls(id);
            self.abandon(id);
        }
        let Some(task) = self.tasks.get_mut(id) else { return };
        match task.state {
            State::Cancelled => {}
            State::Done | State::Failed => self.cancel_ended(id, effects),
            _ => {
                effects.push(Effect::Cancelled(task.payload.clone()));
                if task.rare.is_gate() {
                    return self.settle_gate(id, State::Cancelled, effects);
                }
                if task.is_related() {
                    self.may_linger(id);
                }
                self.give_back_suspended(id);
                self.settle(id, State::Cancelled, effects);
            }
        }
    }

    #[inline(never)]
    fn cancel_ended(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let (was, grown) = (core::mem::replace(&mut task.state, State::Cancelled), task.grown);
        effects.push(Effect::Cancelled(task.payload.clone()));
        if !task.rare.is_gate() {
            self.growth.not_ended(grown.branch(), was);
            self.growth.ended(grown.branch(), State::Cancelled);
            self.counts_otherwise(grown, was, State::Cancelled);
        }
        self.tasks.forget_key(id);
        self.release_inputs(id);
    }

    pub(crate) fn cancel_unless_settled(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if self.tasks.get(id).is_some_and(|task| !task.state.is_settled()) {
            self.cancel(id, effects);
        }
    }

    /// Removes one want from this task. If none is left, the task is forgotten if it has settled,
    /// and cancelled if it is waiting, ready or suspended.
    #[inline(always)]
    pub(crate) fn unwant(&mut self, id: TaskId, want: Want, effects: &mut Vec<Effect<P>>) -> Stays {
        let Some(task) = self.tasks.get_mut(id) else { return Stays::No };
        task.wants.remove(want);
        if task.wants.any() {
            return Stays::Wanted;
        }
        match task.state {
            State::Done | State::Failed | State::Cancelled => {
                let is_related = task.is_related();
                self.forget(id, is_related, effects);
            }
            State::Waiting { .. } | State::Ready | State::Suspended => self.cancel(id, effects),
            // It runs or is about to. It goes when it ends.
            _ => return Stays::UntilItEnds,
        }
        Stays::No
    }

    /// Removes the want of one dependent from this task.
    #[inline(never)]
    pub(crate) fn unwant_by_dependent(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let stays = self.unwant(id, Want::Dependent, effects);
        if stays == Stays::UntilItEnds
            && self.tasks.get(id).is_some_and(|task| task.rare.is_there())
        {
            self.result_is_there(id);
        }
    }

    /// The result of a task is there, but the core may not have been told yet. Nothing need see to it that it ends, and it
    /// needs no inputs. (Of a call the actor is the only one, and is let go of when it ends.) If nothing wants it, its key is
    /// free: a submission of the key is to get a new task, not that result.
    #[inline(never)]
    pub(crate) fn result_is_there(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| !task.state.is_settled()) else {
            return;
        };
        task.rare.set_there();
        if task.wants.has(Want::Keep) {
            task.wants.remove(Want::Keep);
        }
        let (is_call, is_wanted) = (task.is_call(), task.wants.any());
        if !is_call {
            self.release_inputs(id);
        }
        if !is_wanted {
            self.tasks.forget_key(id);
        }
    }

    #[inline(never)]
    pub(crate) fn forget_if_unwanted(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if self.tasks.get(id).is_some_and(|task| !task.wants.any()) {
            self.forget(id, true, effects);
        }
    }

    /// Forgets a task. `is_related`: it belongs to a family or has one.
    pub(crate) fn forget(&mut self, id: TaskId, is_related: bool, effects: &mut Vec<Effect<P>>) {
        if is_related && self.leaves_families(id, effects) == Stays::Wanted {
            return;
        }
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

    /// Adds `dependent` to the tasks that are told when `input` settles.
    pub(crate) fn add_dependent(&mut self, input: TaskId, dependent: TaskId) {
        let Some(task) = self.tasks.get_mut(input) else { return };
        // Before the list grows, drop the dependents that are gone. Many may come and go while an
        // input takes long.
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

    /// Takes the first task without a constraint out of its queue.
    pub(crate) fn pop_ready(&mut self) -> Option<TaskId> {
        let tasks = &self.tasks;
        self.ready.pop(|number, id| is_ready(tasks, number, id))
    }

    pub(crate) fn peek_ready(&mut self) -> Option<TaskId> {
        let tasks = &self.tasks;
        self.ready.peek(|number, id| is_ready(tasks, number, id))
    }

    /// Gives a task to a worker: to begin now (`begun`), or as a claim. The task must be in no
    /// queue.
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

/// Returns whether the queue entry of this task under this number still counts: the task is ready,
/// and was queued under this number last.
pub(crate) fn is_ready<P>(tasks: &Tasks<P>, number: u64, id: TaskId) -> bool {
    tasks
        .get(id)
        .is_some_and(|task| task.state == State::Ready && tasks.queued_number(task) == number)
}

/// Returns the position of a task in the order, if its entry under this number still counts.
pub(crate) fn ready_order<P>(tasks: &Tasks<P>, number: u64, id: TaskId) -> Option<Order> {
    if is_ready(tasks, number, id) { tasks.get(id).map(|task| tasks.order(task)) } else { None }
}
