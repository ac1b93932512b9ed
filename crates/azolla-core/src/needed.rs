//! Which ready tasks are needed: a parked task waits for them, directly or through dependencies. At the cap on parked
//! tasks only these begin (see `waits.rs`).
//!
//! They are gathered on demand. Then a wait that begins adds what it needs, and one that ends when its tasks have takes
//! nothing away. So waits within waits cost the same at every depth. Anything else has them gathered anew.

use crate::event::Wait;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::task::Task;
use crate::workers::WorkerState;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

#[cfg(test)]
std::thread_local! {
    /// For how many tasks of waits the ready tasks were looked for on this thread.
    pub(crate) static REACHED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

impl<P: Clone> Scheduler<P> {
    /// A task has become ready. It may be needed if a task waits for it or depends on it.
    #[inline]
    pub(crate) fn became_ready(&mut self, id: TaskId) {
        if !self.waits.stale {
            self.may_be_needed(id);
        }
    }

    #[inline(never)]
    fn may_be_needed(&mut self, id: TaskId) {
        if self.is_needed_by_gate(id) {
            if !self.at_cap() {
                return self.waits_changed();
            }
            self.gather_needed();
            self.insert_needed(id);
        }
        let is_waited_for = self.tasks.get(id).is_some_and(Task::may_be_waited_for);
        // A revived task whose inputs are not counted yet is not listed as their dependent.
        let is_reviving = !self.retries.is_empty();
        self.waits.stale = is_waited_for || is_reviving || self.waits.firsts;
    }

    /// A wait has ended in the middle, or its tasks have, so some may be needed no more.
    pub(crate) fn waits_changed(&mut self) {
        self.waits.stale = true;
    }

    /// The wait of this worker's task, if it has one, is over.
    #[inline]
    pub(crate) fn wait_of_worker_ends(&mut self, id: WorkerId) {
        if !self.waits.stale
            && let Some(WorkerState::Parked { wait, .. }) = self.workers.get(id).map(|it| &it.state)
        {
            self.wait_ends(&wait.clone());
        }
    }

    /// A wait begins. What it needs joins what the others need: to gather that anew costs as much as all waits together.
    #[inline]
    pub(crate) fn wait_begins(&mut self, wait: &Wait) {
        if !self.waits.stale {
            self.add_needed(wait);
        }
    }

    #[inline(never)]
    fn add_needed(&mut self, wait: &Wait) {
        if !wait.all && !wait.tasks.is_empty() {
            return self.waits_changed();
        }
        // What is no longer ready may stand out of order.
        self.gather_needed();
        for id in self.needed_by(wait.tasks.to_vec()) {
            self.insert_needed(id);
        }
    }

    fn insert_needed(&mut self, id: TaskId) {
        let order = |id: &TaskId| Reverse(self.tasks.get(*id).map(|task| self.tasks.order(task)));
        let own = order(&id);
        if let Err(place) = self.waits.needed.binary_search_by(|other| order(other).cmp(&own)) {
            self.waits.needed.insert(place, id);
        }
    }

    /// Returns whether a parked task waits for a gate that this one holds up.
    pub(crate) fn is_needed_by_gate(&self, id: TaskId) -> bool {
        let gates = self.tasks.get(id).map(|task| self.gates_above(task)).unwrap_or_default();
        !gates.is_empty() && {
            let mut waits = self.workers.iter().flat_map(|(_, worker)| worker.waits());
            waits.any(|(_, wait)| wait.tasks.iter().any(|task| gates.contains(task)))
        }
    }

    /// A wait is over. If all that it was for has ended, the others need what they did.
    #[inline(never)]
    pub(crate) fn wait_ends(&mut self, wait: &Wait) {
        if self.waits.stale {
            return;
        }
        if !wait.all && !wait.tasks.is_empty() || self.needs(wait).next().is_some() {
            self.waits_changed();
        }
    }

    /// Brings `needed` up to date: the ready tasks that parked tasks need.
    pub(crate) fn gather_needed(&mut self) {
        if !self.waits.stale {
            let tasks = &self.tasks;
            self.waits.needed.retain(|id| tasks.get(*id).is_some_and(|t| t.state == State::Ready));
            return;
        }
        self.waits.stale = false;
        let waits = self.workers.iter().flat_map(|(_, worker)| worker.waits());
        let (mut firsts, mut reached) = (false, Vec::new());
        for (_, wait) in waits {
            firsts |= !wait.all && !wait.tasks.is_empty();
            reached.extend(&wait.tasks[..]);
        }
        self.waits.needed = self.in_order(self.needed_by(reached));
        self.waits.firsts = firsts;
    }

    fn in_order(&self, mut tasks: Vec<TaskId>) -> Vec<TaskId> {
        let order = |id: &TaskId| self.tasks.get(*id).map(|task| self.tasks.order(task));
        tasks.sort_by_cached_key(|id| Reverse(order(id)));
        tasks
    }

    /// Returns the ready tasks without which these do not all end.
    fn needed_by(&self, mut reached: Vec<TaskId>) -> Vec<TaskId> {
        #[cfg(test)]
        REACHED.set(REACHED.get() + reached.len());
        let mut seen: HashSet<TaskId, FxBuildHasher> = HashSet::default();
        let mut needed = Vec::new();
        while let Some(id) = reached.pop() {
            let Some(task) = self.tasks.get(id) else { continue };
            if !seen.insert(id) {
                continue;
            }
            match task.state {
                State::Ready => needed.push(id),
                State::Waiting { .. } => reached.extend(self.awaited_by(id, task)),
                _ => {}
            }
        }
        needed
    }

    /// Checks that `needed` lacks nothing and holds nothing more, unless it is known to be out of date.
    pub(crate) fn check_needed(&self) -> Result<(), String> {
        let waits = self.workers.iter().flat_map(|(_, worker)| worker.waits());
        let reached = waits.flat_map(|(_, wait)| wait.tasks.iter().copied()).collect();
        let needed = self.in_order(self.needed_by(reached));
        let is_ready = |id: &&TaskId| self.tasks.get(**id).is_some_and(|t| t.state == State::Ready);
        let known = self.waits.needed.iter().filter(is_ready);
        if self.waits.stale || known.clone().eq(&needed) {
            return Ok(());
        }
        Err(format!("needed are {needed:?}, and known to be {:?}", known.collect::<Vec<_>>()))
    }
}
