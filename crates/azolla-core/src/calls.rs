//! Calls of actors: tasks that run one at a time, in the order in which they were submitted.
//!
//! An actor is a task whose result is a state that its calls change. A call needs its actor as any
//! task needs an input. It must also be the *current* call of the actor's mailbox. Each call in the
//! mailbox becomes current in turn, whatever became of the calls before it.
//!
//! A call that has begun stays current until its worker reports its end, even if it is cancelled
//! meanwhile. A call that goes on without a worker leaves the mailbox, and its driver lets it go on
//! only while no other call runs.
//!
//! The core must always know which call has begun. So a call is never claimed: the worker that gets
//! it begins it.

use crate::effect::Effect;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::tasks::Tasks;
use crate::todo::{News, Todo};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// The mailboxes of the actors that have a current call or queued ones.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) mailboxes: HashMap<TaskId, Mailbox, FxBuildHasher>,
    /// Calls that were cancelled after they had begun, with their actors. They are still current.
    pub(crate) abandoned: HashMap<TaskId, TaskId, FxBuildHasher>,
}

#[derive(Default)]
pub(crate) struct Mailbox {
    /// The call that may run. `None` while `Todo::NextCall` is on the list.
    pub(crate) current: Option<TaskId>,
    /// The calls after it, oldest first. Some may have ended, or be gone.
    pub(crate) queue: VecDeque<TaskId>,
}

impl<P: Clone> Scheduler<P> {
    /// Returns the actor of this task, if the task is a call that has not settled.
    pub(crate) fn actor_of(&self, id: TaskId) -> Option<TaskId> {
        let task = self.tasks.get(id).filter(|task| task.is_call())?;
        // A settled call has given up its inputs, and is in no mailbox.
        task.inputs.first()
    }

    /// Puts a call into its actor's mailbox. Returns whether others come before it.
    #[cold]
    pub(crate) fn enter_mailbox(&mut self, call: TaskId) -> bool {
        let Some(actor) = self.actor_of(call) else { return false };
        let Some(mailbox) = self.calls.mailboxes.get_mut(&actor) else {
            let mailbox = Mailbox { current: Some(call), queue: VecDeque::new() };
            self.calls.mailboxes.insert(actor, mailbox);
            return false;
        };
        // Before the queue grows, drop the calls that were cancelled.
        if mailbox.queue.len() == mailbox.queue.capacity() && mailbox.queue.len() >= 64 {
            mailbox.queue.retain(|other| is_waiting(&self.tasks, *other));
        }
        mailbox.queue.push_back(call);
        true
    }

    /// This call will not go on in the mailbox. If it was current, the next call becomes current.
    #[cold]
    pub(crate) fn leave_mailbox(&mut self, call: TaskId, actor: TaskId) {
        if let Some(mailbox) = self.calls.mailboxes.get_mut(&actor)
            && mailbox.current == Some(call)
        {
            mailbox.current = None;
            self.todo.push_back(Todo::NextCall(actor));
        }
    }

    /// A call is about to be cancelled. If it runs, it runs on, and no other call may begin
    /// meanwhile.
    #[cold]
    pub(crate) fn abandon(&mut self, call: TaskId) {
        if let Some(actor) = self.actor_of(call)
            && let Some(state) = self.tasks.get(call).map(|task| task.state)
            && state.is_running()
            && state != State::Suspended
            && self.is_current_call(call, actor)
        {
            self.calls.abandoned.insert(call, actor);
        }
    }

    /// The worker reports the end of a task that was settled before and may be gone.
    #[cold]
    pub(crate) fn end_abandoned(&mut self, call: TaskId) {
        self.lingers_no_more(call);
        self.calls_on_after(call);
    }

    /// This task was settled before. If it was an abandoned call, the next call becomes current.
    #[cold]
    pub(crate) fn calls_on_after(&mut self, call: TaskId) {
        if let Some(actor) = self.calls.abandoned.remove(&call) {
            self.leave_mailbox(call, actor);
        }
    }

    pub(crate) fn is_current_call(&self, call: TaskId, actor: TaskId) -> bool {
        self.calls.mailboxes.get(&actor).is_some_and(|mailbox| mailbox.current == Some(call))
    }

    /// Returns the current call of the mailbox, if it is another one: this call waits in the
    /// mailbox or has left it, and cannot go on before that one ends.
    pub(crate) fn call_before(&self, call: TaskId) -> Option<TaskId> {
        let current = self.calls.mailboxes.get(&self.actor_of(call)?)?.current?;
        (current != call).then_some(current)
    }

    /// Makes the next waiting call in the mailbox the current one. Looks at no more than `most`
    /// calls, and returns how many it looked at.
    #[cold]
    pub(crate) fn next_from_mailbox(
        &mut self,
        actor: TaskId,
        most: usize,
        effects: &mut Vec<Effect<P>>,
    ) -> usize {
        for looked_at in 1..=most {
            let Some(mailbox) = self.calls.mailboxes.get_mut(&actor) else { return looked_at };
            let Some(next) = mailbox.queue.pop_front() else {
                self.calls.mailboxes.remove(&actor);
                return looked_at;
            };
            if is_waiting(&self.tasks, next) {
                mailbox.current = Some(next);
                self.tell(next, &News::Done, effects);
                return looked_at;
            }
        }
        self.todo.push_front(Todo::NextCall(actor));
        most
    }

    fn has_next_call(&self, call: TaskId) -> bool {
        let mailbox = self.actor_of(call).and_then(|actor| self.calls.mailboxes.get(&actor));
        mailbox.is_some_and(|mailbox| !mailbox.queue.is_empty())
    }

    /// Returns the next call, if it waits for nothing but the end of this one.
    fn next_call(&self, call: TaskId) -> Option<TaskId> {
        let mailbox = self.calls.mailboxes.get(&self.actor_of(call)?)?;
        let next = *mailbox.queue.front().filter(|_| mailbox.current == Some(call))?;
        let waits = self.tasks.get(next)?.state == (State::Waiting { unfinished: 1 });
        waits.then_some(next)
    }

    /// Returns what the worker of this call may run next, and whether that is the next call. It is
    /// the call's only dependent or the next call, the one with the higher priority.
    #[cold]
    pub(crate) fn next_after_call(&self, call: TaskId) -> Option<(TaskId, bool)> {
        let priority = |id| self.tasks.get(id).map(|task| task.priority);
        let dependents = &self.tasks.get(call)?.dependents;
        if dependents.is_empty() {
            return Some((self.next_call(call)?, true));
        }
        let only = dependents.only()?;
        if !self.has_next_call(call) {
            return Some((only, false));
        }
        let next = self.next_call(call)?;
        let goes_first = priority(next) > priority(only);
        Some(if goes_first { (next, true) } else { (only, false) })
    }

    /// Makes the call current that [`next_call`](Self::next_call) has returned.
    #[cold]
    pub(crate) fn make_next_current(&mut self, call: TaskId) {
        if let Some(actor) = self.actor_of(call)
            && let Some(mailbox) = self.calls.mailboxes.get_mut(&actor)
        {
            mailbox.current = mailbox.queue.pop_front();
        }
    }

    /// The task is cancelled. If it is an actor, its calls are cancelled too, except one that has
    /// begun.
    #[cold]
    pub(crate) fn cancel_calls(&mut self, actor: TaskId) {
        if let Some(mailbox) = self.calls.mailboxes.get(&actor) {
            let calls = mailbox.current.iter().chain(&mailbox.queue).copied().collect();
            self.todo.push_back(Todo::CancelCalls(calls));
        }
    }

    #[cold]
    pub(crate) fn cancel_unless_begun(&mut self, call: TaskId, effects: &mut Vec<Effect<P>>) {
        let state = self.tasks.get(call).map(|task| task.state);
        if matches!(state, Some(State::Waiting { .. } | State::Ready)) {
            self.cancel(call, effects);
        }
    }
}

fn is_waiting<P>(tasks: &Tasks<P>, id: TaskId) -> bool {
    tasks.get(id).is_some_and(|task| matches!(task.state, State::Waiting { .. }))
}
