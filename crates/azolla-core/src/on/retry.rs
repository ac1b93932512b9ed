//! A failed task is to run again. If it failed because of its inputs, those run again first.
//!
//! That may be many tasks, so it takes several calls. First the task and all failed tasks that it depends on
//! are taken out of their failure. Then each of them waits for those of its inputs that have not ended. Until
//! its inputs are counted, such a task waits for more of them than there can be, so that nothing makes it ready.

use crate::effect::Effect;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::WorkerState;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

/// The first of `Scheduler::retries`, as far as it has come.
#[derive(Default)]
pub(crate) struct Reviving {
    begun: bool,
    /// Tasks that may have failed too, and are still to be looked at.
    reached: Vec<TaskId>,
    /// The tasks that were taken out of their failure and whose inputs are still to be counted. Those that are
    /// counted first come last.
    uncounted: Vec<TaskId>,
}

/// The inputs of a task were not counted if it waits for at least so many.
const UNCOUNTED: u32 = u32::MAX / 2;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_retry(&mut self, id: TaskId) {
        if !self.closing {
            self.retries.push_back(id);
        }
    }

    /// Makes a failed task and the failed tasks that it depends on wait again, or ready. Looks at no more than
    /// `most` tasks, and returns how many it looked at.
    pub(crate) fn revive(&mut self, most: usize, effects: &mut Vec<Effect<P>>) -> usize {
        if !core::mem::replace(&mut self.reviving.begun, true) {
            self.reviving.reached.extend(self.retries.front());
        }
        let mut left = most;
        let already = self.reviving.uncounted.len();
        while left > 0
            && let Some(id) = self.reviving.reached.pop()
        {
            left -= 1;
            self.take_out_of_failure(id, effects);
        }
        self.has_ended_once(already);
        self.totals.peak_live = self.totals.peak_live.max(self.totals.live);
        if !self.reviving.reached.is_empty() {
            return most - left;
        }
        while left > 0
            && let Some(id) = self.reviving.uncounted.pop()
        {
            left -= 1;
            self.count(id, effects);
            // What is ready by now may be needed by those that are counted later.
            self.waits_changed();
        }
        if left > 0 {
            self.retries.pop_front();
            self.reviving = Reviving::default();
            left -= 1;
        }
        most - left
    }

    fn take_out_of_failure(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        // What a call did to its actor cannot be undone, so a call does not run again.
        if task.state != State::Failed || task.is_call() {
            return;
        }
        task.state = State::Waiting { unfinished: u32::MAX };
        let is_related = task.is_related();
        self.growth.not_ended(task.grown.branch(), State::Failed);
        effects.push(Effect::Reset(task.payload.clone()));
        self.reviving.reached.extend(task.inputs.iter());
        self.reviving.uncounted.push(id);
        self.comes_anew(id);
        if is_related {
            self.lives_in_families(id);
        }
        self.totals.settled -= 1;
        self.totals.live += 1;
    }

    /// Has a revived task wait for those of its inputs that have not ended.
    fn count(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        // It may have been cancelled meanwhile, or have failed again.
        if !self.is_uncounted(id) {
            return;
        }
        let inputs = self.tasks.get(id).map(|task| task.inputs.clone()).unwrap_or_default();
        let mut unfinished = 0;
        for input in inputs.iter() {
            if !self.tasks.is_live(input) {
                continue;
            }
            // If this input had not ended when another one failed, it lists the task as a dependent already. To
            // look that up would take as long as the list is. So the task is listed again, and may be told
            // twice.
            self.add_dependent(input, id);
            unfinished += 1;
        }
        if !self.is_watched(id) || !self.refuse(id, unfinished, effects) {
            self.start_waiting(id, unfinished, effects);
        }
    }

    /// A task that may be told twice by an input was told as often as there were inputs. Counts those that
    /// have not ended. Each time, at least half of those counted last have ended.
    #[cold]
    pub(crate) fn count_again(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get(id) else { return };
        match task.inputs.iter().filter(|input| self.tasks.is_live(*input)).count() {
            0 => self.set_ready(id, effects),
            unfinished => {
                self.set_state(id, State::Waiting { unfinished: unfinished as u32 });
            }
        }
    }

    /// Returns whether this task was revived and waits for its inputs to be counted.
    pub(crate) fn is_uncounted(&self, id: TaskId) -> bool {
        let state = self.tasks.get(id).map(|task| task.state);
        matches!(state, Some(State::Waiting { unfinished }) if unfinished >= UNCOUNTED)
    }

    /// Takes the tasks that were revived out of the waits for them, from the `first` on. A waiting task counted
    /// them when they failed, and does not wait for them to end again. A wait for the first of several is
    /// over.
    fn has_ended_once(&mut self, first: usize) {
        let revived: HashSet<TaskId, FxBuildHasher> =
            self.reviving.uncounted[first..].iter().copied().collect();
        if revived.is_empty() {
            return;
        }
        let is_awaited = |id: &TaskId| self.tasks.get(*id).is_some_and(|it| it.rare.is_awaited());
        let by_all = revived.iter().any(is_awaited);
        let of_workers = self.workers.iter_mut().flat_map(|worker| {
            let parked = match &mut worker.state {
                WorkerState::Parked { wait, .. } => Some(wait),
                _ => None,
            };
            worker.below.iter_mut().map(|(_, wait)| wait).chain(parked)
        });
        for wait in of_workers.chain(self.awaits.values_mut()).filter(|wait| by_all || !wait.all) {
            if wait.tasks.iter().any(|task| revived.contains(task)) {
                // Replaced, not removed: `RunNested` names the other tasks by their index.
                let left = wait.tasks.iter().map(|task| match revived.contains(task) {
                    false if wait.all => *task,
                    _ => TaskId::GONE,
                });
                wait.tasks = Arc::new(left.collect());
            }
        }
        self.waits_changed();
    }
}
