//! What the scheduler promises, beyond what it can check of itself: held to by the world, which knows
//! what the workers have in hand and what the futures show.

use super::world::{Cell, Shows, Thread, ThreadState, World};
use crate::task::Task;
use crate::waits::order;
use crate::workers::Tally;
use crate::{State, TaskId, WorkerId};
use std::collections::BTreeSet;
use std::vec::Vec;

impl World {
    /// A task runs with all its inputs there, not before those that want their slot back, and at the
    /// cap not as one of a batch. What is handed over is not outranked by what its worker has claimed.
    pub(super) fn check_may_run(&self, id: TaskId, worker: WorkerId, begun: bool) {
        let task = self.scheduler.tasks.get(id).expect("it is to run");
        for input in &self.cells[task.payload].inputs {
            assert!(self.cells[*input].was_done, "{id:?} runs without its input {input}");
        }
        if !begun {
            assert!(!self.scheduler.at_cap(), "{id:?} is claimed at the cap");
            return;
        }
        assert_eq!(self.scheduler.workers.tally().resuming, 0, "new work comes before old");
        for (claim, _) in &self.workers[&worker].batch {
            let claim = self.scheduler.tasks.get(*claim);
            let outranks = claim.is_some_and(|claim| {
                claim.state == State::Claimed { worker } && claim.priority > task.priority
            });
            assert!(!outranks, "{id:?} is handed over before what {worker:?} has claimed");
        }
    }

    /// The calls of an actor begin in their order, and none while another runs.
    pub(super) fn check_call(&mut self, call: Cell, begun: bool) {
        let Some(actor) = self.cells[call].actor else { return };
        assert!(begun, "a call is claimed");
        for thread in self.workers.values() {
            let Some((_, other)) = thread.running else { continue };
            assert_ne!(self.cells[other].actor, Some(actor), "{other} runs, and {call} begins");
        }
        if let Some(last) = self.last_calls.insert(actor, call) {
            assert!(last <= call, "{call} begins after {last}");
            self.note("an actor was called again");
        }
    }

    /// Whoever lent a slot has left enough others to use them all.
    pub(super) fn check_somebody_is_left(&self, before: Tally) {
        let without_slot = |tally: Tally| tally.parked + tally.resuming + tally.seceded;
        let tally = self.scheduler.workers.tally();
        if without_slot(tally) > without_slot(before) {
            let left = tally.asleep + tally.waking + tally.active;
            assert!(left >= self.scheduler.workers.slots(), "too few are left: {tally:?}");
        }
    }

    /// How tasks ended is counted as their futures show it.
    pub(super) fn check_endings(&self) {
        let shown = |shows| {
            let cells = self.cells.iter().filter(|cell| cell.id.is_some());
            cells.filter(|cell| cell.shows == shows).count() as u64
        };
        let branches = self.scheduler.branches();
        let counted = branches.iter().fold([0; 3], |[done, failed, cancelled], branch| {
            [done + branch.finished, failed + branch.failed, cancelled + branch.cancelled]
        });
        assert_eq!(counted, [Shows::Done, Shows::Failed, Shows::Cancelled].map(shown));
    }

    /// No claim begins when something more urgent is ready.
    pub(super) fn check_outranks(&self, begun: TaskId) {
        let priority = self.scheduler.tasks.get(begun).expect("a claim is kept").priority;
        for (id, ready) in self.scheduler.tasks.iter().filter(|(_, t)| t.state == State::Ready) {
            assert!(ready.priority <= priority, "{id:?} outranks {begun:?}, which begins");
        }
    }

    /// No slot stays idle while a claim that has not begun could be run there.
    pub(super) fn check_idle(&self) {
        let idle = self.scheduler.workers.free_slots() > 0
            && self.workers.values().any(|thread| thread.state == ThreadState::Asleep);
        if !idle || self.closed || self.scheduler.at_cap() {
            return;
        }
        for (worker, thread) in &self.workers {
            let unbegun = thread.batch.iter().find(|(id, _)| {
                let state = self.scheduler.tasks.get(*id).map(|task| task.state);
                state == Some(State::Claimed { worker: *worker })
            });
            assert_eq!(unbegun, None, "a slot is idle, and {worker:?} has not begun this");
        }
    }

    /// At the cap, no slot stays free while a task is ready that a parked one needs.
    pub(super) fn check_nothing_needed_is_held_back(&mut self) {
        let waking = self.scheduler.workers.tally().waking;
        let idle = self.scheduler.workers.free_slots() > 0
            && self.scheduler.workers.tally().asleep > 0
            && !self.closed;
        if idle {
            let needed = self.needed().filter(|task| task.state == State::Ready).count();
            assert!(
                needed <= waking,
                "{needed} tasks are needed and ready, {waking} come for them"
            );
            self.note("a slot was free at the cap");
        }
    }

    /// Nothing that is ready comes before a task that begins: in no way if it was pulled, not by
    /// priority if it was handed over. At the cap only what is needed counts.
    pub(super) fn check_goes_first(&self, id: TaskId, pulled: bool) {
        let begun = self.scheduler.tasks.get(id).expect("it has just begun");
        let goes_first = |ready: &Task<Cell>| {
            let first =
                if pulled { order(begun) < order(ready) } else { begun.priority >= ready.priority };
            assert!(first, "{:?} was to go before {:?}", ready.lineage, begun.lineage);
        };
        if self.scheduler.at_cap() {
            let is_it = |task: &Task<Cell>| task.lineage == begun.lineage;
            assert!(self.needed().any(is_it), "{id:?} begins at the cap, and nobody needs it");
            self.needed().filter(|task| task.state == State::Ready).for_each(goes_first);
        } else {
            let tasks = self.scheduler.tasks.iter().map(|(_, task)| task);
            tasks.filter(|task| task.state == State::Ready).for_each(goes_first);
        }
    }

    /// The tasks that parked ones wait for, directly or through dependencies, but for those that
    /// are gone.
    fn needed(&self) -> impl Iterator<Item = &Task<Cell>> {
        let parked = |thread: &&Thread| matches!(thread.state, ThreadState::Parked { .. });
        let waits = self.workers.values().filter(parked).filter_map(|it| it.waits_for.as_ref());
        let below = self.workers.values().flat_map(|it| it.below.iter().map(|(_, wait)| wait));
        let waits = waits.chain(below);
        let mut reached: Vec<TaskId> = waits.flat_map(|wait| wait.tasks.iter().copied()).collect();
        let mut needed = BTreeSet::new();
        while let Some(next) = reached.pop() {
            if needed.insert(next)
                && let Some(task) = self.scheduler.tasks.get(next)
                && matches!(task.state, State::Waiting { .. })
            {
                reached.extend(&task.inputs);
                reached.extend(self.scheduler.call_before(next));
            }
        }
        needed.into_iter().filter_map(|id| self.scheduler.tasks.get(id))
    }
}
