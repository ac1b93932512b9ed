//! A failed task is to run again. If it failed because of its inputs, those run again first.

use crate::effect::Effect;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::{Precedence, State};
use crate::workers::WorkerState;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_retry(&mut self, id: TaskId) {
        if !self.closing {
            self.retries.push_back(id);
        }
    }

    /// Makes a failed task and the failed tasks that it depends on wait again, or ready. Returns
    /// how many tasks it revived.
    pub(crate) fn revive(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) -> usize {
        let failed = self.take_out_of_failure(id, effects);
        self.has_ended_once(&failed);
        for id in &failed {
            let inputs = self.tasks.get(*id).map(|task| task.inputs.clone()).unwrap_or_default();
            let mut unfinished = 0;
            for input in inputs.iter() {
                let Some(task) = self.tasks.get(input) else { continue };
                if task.state.is_settled() {
                    continue;
                }
                // If this input was unfinished when another one failed, it still lists the task as
                // a dependent, as often as it is an input of the task.
                let listed = task.dependents.iter().filter(|other| other == id).count();
                let times = self
                    .tasks
                    .get(*id)
                    .map_or(0, |task| task.inputs.iter().filter(|other| *other == input).count());
                if listed < times {
                    self.add_dependent(input, *id);
                }
                unfinished += 1;
            }
            self.start_waiting(*id, unfinished, effects);
        }
        failed.len()
    }

    /// Takes these tasks out of the waits for them. A waiting task counted them when they failed,
    /// and does not wait for them to end again. A wait for the first of several is over.
    fn has_ended_once(&mut self, revived: &[TaskId]) {
        let revived: HashSet<TaskId, FxBuildHasher> = revived.iter().copied().collect();
        for worker in self.workers.iter_mut() {
            let parked = match &mut worker.state {
                WorkerState::Parked { wait, .. } => Some(wait),
                _ => None,
            };
            let below = worker.below.iter_mut().map(|(_, wait)| wait);
            for wait in below.chain(parked) {
                if wait.tasks.iter().any(|task| revived.contains(task)) {
                    // Replaced, not removed: `RunNested` names the other tasks by their index.
                    let left = wait.tasks.iter().map(|task| match revived.contains(task) {
                        false if wait.all => *task,
                        _ => TaskId::GONE,
                    });
                    wait.tasks = Arc::new(left.collect());
                }
            }
        }
        self.waits_changed();
    }

    /// Takes this task, and all failed tasks that it depends on, out of their failure. Returns
    /// them.
    fn take_out_of_failure(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) -> Vec<TaskId> {
        let mut revived = Vec::new();
        let mut reached = alloc::vec![id];
        while let Some(id) = reached.pop() {
            let Some(task) = self.tasks.get_mut(id) else { continue };
            // What a call did to its actor cannot be undone, so a call does not run again.
            if task.state != State::Failed || task.is_call() {
                continue;
            }
            // Until `revive` has counted its inputs, the task waits for more of them than there can
            // be, so that nothing makes it ready.
            task.state = State::Waiting { unfinished: u32::MAX };
            self.growth.not_ended(task.grown.branch(), State::Failed);
            effects.push(Effect::Reset(task.payload.clone()));
            reached.extend(task.inputs.iter());
            self.tasks.set_precedence(id, Precedence::BY_LINEAGE);
            self.totals.settled -= 1;
            self.totals.live += 1;
            revived.push(id);
        }
        self.totals.peak_live = self.totals.peak_live.max(self.totals.live);
        revived
    }
}
