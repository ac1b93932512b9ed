//! A function is submitted.

use crate::effect::Effect;
use crate::event::Submission;
use crate::few::Few;
use crate::growth::BranchId;
use crate::id::{Priority, TaskId};
use crate::scheduler::Scheduler;
use crate::task::{Grown, Lineage, Rare, State, Task, Want, Wants};
use alloc::vec::Vec;
use core::num::NonZeroU32;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_submit(&mut self, submission: Submission<P>, effects: &mut Vec<Effect<P>>) {
        if let Some(id) = submission.key.and_then(|key| self.tasks.find(key)) {
            self.on_want(id);
            effects.push(Effect::Existing(id));
            effects.push(Effect::Drop(submission.payload));
            return;
        }
        let Submission { payload, key, priority, parent, kind, constraint, inputs, call } =
            submission;
        let set = constraint.map(|constraint| self.sets.of(constraint, &self.workers.groups));
        let caller = parent;
        let parent = if call { inputs.first().map(|actor| actor.task) } else { parent };
        let (lineage, mut inherited) = self.lineage(parent);
        if call && let Some(caller) = caller.and_then(|caller| self.tasks.get(caller)) {
            inherited = inherited.max(caller.priority);
        }
        let grower = parent.or_else(|| inputs.first().map(|input| input.task));
        let from = grower.and_then(|task| self.tasks.get(task)).map(|task| task.grown.branch());
        let branch = self.growth.grow(from.unwrap_or(BranchId::ROOT), kind);
        let mut wants = Wants::by_future();
        if call {
            wants.add(Want::Keep);
        }
        let task = Task {
            state: State::Waiting { unfinished: 0 },
            payload,
            grown: Grown::new(lineage, branch),
            priority: priority.unwrap_or(inherited),
            kind,
            wants,
            rare: Rare::new(call),
            generation: NonZeroU32::MIN,
            inputs: inputs.iter().map(|input| input.task).collect(),
            dependents: Few::new(),
        };
        let id = self.tasks.insert(task, key, set);
        self.totals.live += 1;
        self.totals.peak_live = self.totals.peak_live.max(self.totals.live);
        effects.push(Effect::Submitted(id));
        if inputs.is_empty() {
            self.set_ready(id, effects);
            return;
        }
        let unfinished =
            inputs.iter().filter(|input| self.connect(id, input.task, input.there)).count();
        let unfinished = unfinished + usize::from(call && self.enter_mailbox(id));
        self.start_waiting(id, unfinished, effects);
    }

    fn lineage(&mut self, parent: Option<TaskId>) -> (Lineage, Priority) {
        self.totals.submitted += 1;
        let number = self.totals.submitted;
        match parent.and_then(|parent| self.tasks.get(parent)) {
            Some(parent) => {
                let Lineage { root, number: of_parent, depth, .. } = parent.grown.lineage();
                let depth = depth.saturating_add(1);
                (Lineage { number, root, parent: of_parent, depth }, parent.priority)
            }
            None => (Lineage { number, root: number, parent: 0, depth: 0 }, Priority::default()),
        }
    }

    /// Makes `id` want the result of `input`. Returns whether `id` must wait for it.
    fn connect(&mut self, id: TaskId, input: TaskId, there: bool) -> bool {
        let Some(task) = self.tasks.get_mut(input) else { return false };
        task.wants.add(Want::Dependent);
        let waits = !there && !task.state.is_settled();
        if waits {
            self.add_dependent(input, id);
        } else if there {
            self.result_is_there(input);
        }
        waits
    }

    /// Gives a task whose inputs are connected its state. It fails or is cancelled with an input
    /// that has no result. Otherwise it waits for the unfinished inputs, or is ready.
    pub(crate) fn start_waiting(
        &mut self,
        id: TaskId,
        unfinished: usize,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(task) = self.tasks.get(id) else { return };
        let fate = task.inputs.iter().find_map(|input| match self.tasks.get(input) {
            Some(input) if input.state == State::Failed => Some(Some(input.payload.clone())),
            Some(input) if input.state != State::Cancelled => None,
            _ => Some(None),
        });
        match fate {
            Some(Some(cause)) => self.inherit(id, cause, unfinished > 0, effects),
            Some(None) => self.cancel(id, effects),
            None if unfinished == 0 => self.set_ready(id, effects),
            None => self.set_state(id, State::Waiting { unfinished: unfinished as u32 }),
        }
    }

    /// The task fails because this input has. `is_listed`: others have not ended, and list it as a dependent.
    #[cold]
    fn inherit(&mut self, id: TaskId, cause: P, is_listed: bool, effects: &mut Vec<Effect<P>>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if is_listed {
            task.rare.set_listed();
        }
        effects.push(Effect::Inherit { payload: task.payload.clone(), cause });
        self.settle(id, State::Failed, effects);
    }
}
