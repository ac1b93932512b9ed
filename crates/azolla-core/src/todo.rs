//! The list of things left to do for events that were handled already.
//!
//! One event may affect many tasks: the end of a task with a million dependents, say. So the
//! handlers append to `Scheduler::todo`, and each call of `handle` works off about `TRANSITIONS`
//! tasks of it. If something is left, `has_more` is true and the driver sends `Event::Continue`.

use crate::effect::Effect;
use crate::families::FamilyId;
use crate::few::Few;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Something left to do.
pub(crate) enum Todo<P> {
    /// Tell these tasks the news of one of their inputs.
    Tell { dependents: Few, news: News<P> },
    /// Take one dependent's want from each of these tasks.
    Unwant(Few),
    /// Make the next call in this actor's mailbox the current one.
    NextCall(TaskId),
    /// Cancel these calls, except one that has begun.
    CancelCalls(VecDeque<TaskId>),
    /// Cancel those of these tasks that have not ended; of each it is known whether it has, with a result. Those that run are to stop soon if `interrupt` is set.
    CancelEach { tasks: VecDeque<(TaskId, bool)>, interrupt: bool },
    /// Cancel every unsettled task from this place in the slab on.
    CancelFrom(usize),
    /// Nothing in this family was live any more, which this names.
    FamilyEnded(FamilyId),
}

#[derive(Clone)]
pub(crate) enum News<P> {
    Done,
    /// Carries the payload of the task that failed, with which the driver finds the error.
    Failed(P),
    Cancelled,
}

impl<P: Clone> Scheduler<P> {
    /// Works off the list until it has made `transitions` transitions. The last item may exceed the
    /// bound: the inputs of one task lose their wants together.
    #[inline]
    pub(crate) fn work_off(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.has_more() {
            self.work_off_some(effects);
        }
    }

    #[inline(never)]
    fn work_off_some(&mut self, effects: &mut Vec<Effect<P>>) {
        let mut left = self.transitions;
        while left > 0 {
            let Some(todo) = self.todo.pop_front() else {
                if self.retries.is_empty() {
                    return;
                }
                left -= self.revive(left, effects);
                continue;
            };
            match todo {
                Todo::Tell { mut dependents, news } => {
                    let later = dependents.split_off(left);
                    left -= dependents.len();
                    dependents.iter().for_each(|dependent| self.tell(dependent, &news, effects));
                    if !later.is_empty() {
                        self.todo.push_front(Todo::Tell { dependents: later, news });
                    }
                }
                Todo::Unwant(tasks) => {
                    left = left.saturating_sub(tasks.len());
                    tasks.iter().for_each(|task| self.unwant_by_dependent(task, effects));
                }
                Todo::NextCall(actor) => left -= self.next_from_mailbox(actor, left, effects),
                Todo::CancelCalls(mut calls) => {
                    let later = calls.split_off(calls.len().min(left));
                    left -= calls.len();
                    for call in calls {
                        self.cancel_unless_begun(call, effects);
                    }
                    if !later.is_empty() {
                        self.todo.push_front(Todo::CancelCalls(later));
                    }
                }
                Todo::CancelEach { mut tasks, interrupt } => {
                    let later = tasks.split_off(tasks.len().min(left));
                    left -= tasks.len();
                    for (task, has_ended) in tasks {
                        self.cancel_each(task, has_ended, interrupt, effects);
                    }
                    if !later.is_empty() {
                        self.todo.push_front(Todo::CancelEach { tasks: later, interrupt });
                    }
                }
                Todo::FamilyEnded(family) => {
                    left = left.saturating_sub(1 + self.family_ended(family, effects));
                }
                Todo::CancelFrom(place) => {
                    if let Some((next, task)) = self.tasks.next_from(place) {
                        left -= 1;
                        self.cancel_unless_settled(task, effects);
                        self.todo.push_back(Todo::CancelFrom(next));
                    }
                }
            }
        }
    }
}
