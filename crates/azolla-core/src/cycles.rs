//! Cycles of waits. A wait that would close one is refused.

use crate::event::Wait;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::State;
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

/// How many tasks the search for a cycle looks at from the end where there are mostly few.
const LOOKED_AT: usize = 1024;

#[cfg(test)]
std::thread_local! {
    /// How many tasks the searches of this thread have looked at from the other end.
    pub(crate) static FOLLOWED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

impl<P: Clone> Scheduler<P> {
    /// Returns the path of waits from `task` back to itself that `wait` would close, if it would.
    ///
    /// Only waits for all of several tasks count. A wait for the first of several may end in
    /// another way.
    pub(crate) fn cycle(&self, task: TaskId, wait: &Wait) -> Option<Vec<TaskId>> {
        // A task that is being revived waits for its inputs, and they may not list it as a dependent yet.
        let listed = self.retries.is_empty();
        // The common cases: nothing waits for the task, or none of these tasks waits for anything.
        if !wait.all
            || listed && !self.may_be_waited_for(task) && !wait.tasks.contains(&task)
            || self.needs(wait).all(|next| next != task && self.followed(next).is_empty())
            || listed && self.is_out_of_reach(task, wait)
        {
            return None;
        }
        let mut reached_from: HashMap<TaskId, TaskId, FxBuildHasher> = HashMap::default();
        let mut reached: Vec<(TaskId, TaskId)> =
            self.needs(wait).map(|next| (next, task)).collect();
        while let Some((id, from)) = reached.pop() {
            if reached_from.contains_key(&id) {
                continue;
            }
            if id == task {
                reached_from.insert(id, from);
                return Some(path_back(task, &reached_from));
            }
            let next = self.followed(id);
            if !next.is_empty() {
                reached_from.insert(id, from);
                reached.extend(next.into_iter().map(|next| (next, id)));
            }
        }
        None
    }

    /// Returns the tasks without which this task cannot go on.
    fn followed(&self, id: TaskId) -> SmallVec<[TaskId; 4]> {
        #[cfg(test)]
        FOLLOWED.set(FOLLOWED.get() + 1);
        let state = self.tasks.get(id).map(|task| (task.state, task));
        let wait = match state {
            Some((State::Waiting { .. }, task)) => return self.awaited_by(id, task).collect(),
            // A task that is being revived needs it, so it is to be revived as well.
            Some((State::Failed, task)) if !self.retries.is_empty() => {
                return task.inputs.iter().collect();
            }
            // A detached call goes on only while no other call of its actor runs.
            Some((state, _)) if state.may_await() => {
                let awaited = self.awaits.get(&id).into_iter().flat_map(|wait| self.needs(wait));
                let before = if state == State::Detached { self.call_before(id) } else { None };
                return before.into_iter().chain(awaited).collect();
            }
            Some((State::Parked { worker }, _)) => {
                self.workers.get(worker).and_then(|worker| worker.wait_of(id))
            }
            // The task is cancelled but still runs, and the next call waits for its end, or a gate does.
            _ if self.calls.abandoned.contains_key(&id) || self.lingering.contains_key(&id) => {
                self.workers.iter().find_map(|(_, worker)| worker.wait_of(id))
            }
            _ => None,
        };
        wait.map_or_else(SmallVec::new, |wait| self.needs(wait).collect())
    }

    /// Records that a task begins this wait.
    pub(crate) fn note_awaited(&mut self, wait: &Wait) {
        for id in if wait.all { &wait.tasks[..] } else { &[] } {
            if let Some(task) = self.tasks.get_mut(*id) {
                task.rare.set_awaited();
            }
        }
    }

    /// Returns false if no task waits for this one, as one look shows.
    fn may_be_waited_for(&self, id: TaskId) -> bool {
        // The task may have been cancelled, and be gone.
        self.tasks
            .get(id)
            .is_some_and(|task| task.may_be_waited_for() || !self.gates_above(task).is_empty())
            || self.calls.abandoned.contains_key(&id)
            || self.lingering.contains_key(&id)
    }

    /// Looks at the few tasks that wait for `task`, directly or through others. Returns whether `wait` is for
    /// none of them. If they are more than a few, returns false.
    ///
    /// A task may poll, by waits that time out, and what it waits for may depend on very many tasks. They are
    /// looked at only if this look says nothing.
    fn is_out_of_reach(&self, task: TaskId, wait: &Wait) -> bool {
        let mut waiting: HashSet<TaskId, FxBuildHasher> = HashSet::default();
        let (mut reached, mut left) = (vec![task], LOOKED_AT);
        while let Some(id) = reached.pop() {
            if !waiting.insert(id) {
                continue;
            }
            let Some(task) = self.tasks.get(id).filter(|task| !task.is_call()) else {
                return false;
            };
            let is_waiting = |id: &TaskId| {
                self.tasks.get(*id).is_some_and(|task| matches!(task.state, State::Waiting { .. }))
            };
            let Some(fewer) = left.checked_sub(task.dependents.len() + 1) else { return false };
            left = fewer;
            reached.extend(task.dependents.iter().filter(is_waiting));
            reached.extend(self.gates_above(task));
            if task.rare.is_awaited() {
                let on_workers = self.workers.iter().flat_map(|(_, worker)| worker.waits());
                let others = self.awaits.iter().map(|(waiter, wait)| (Some(*waiter), wait));
                for (waiter, other) in on_workers.chain(others) {
                    let Some(fewer) = left.checked_sub(other.tasks.len()) else { return false };
                    left = fewer;
                    if other.all && other.tasks.contains(&id) {
                        reached.extend(waiter);
                    }
                }
            }
        }
        !wait.tasks.iter().any(|id| waiting.contains(id))
    }
}

fn path_back(task: TaskId, reached_from: &HashMap<TaskId, TaskId, FxBuildHasher>) -> Vec<TaskId> {
    let mut path = Vec::new();
    let mut at = task;
    while let Some(from) = reached_from.get(&at) {
        path.push(*from);
        if *from == task {
            break;
        }
        at = *from;
    }
    path.reverse();
    path
}
