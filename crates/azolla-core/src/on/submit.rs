//! A function is submitted.

use crate::effect::Effect;
use crate::event::{Input, Submission};
use crate::families::FamilyId;
use crate::growth::BranchId;
use crate::id::{Key, Priority, TaskId};
use crate::scheduler::Scheduler;
use crate::sets::SetId;
use crate::task::{Grown, Lineage, Rare, State, Task, Want};
use alloc::vec::Vec;

/// Where a task comes from.
pub(crate) struct Origin {
    pub(crate) number: u64,
    pub(crate) root: u64,
    pub(crate) depth: u32,
    /// The family that it belongs to.
    pub(crate) family: Option<FamilyId>,
    /// The branch that it grows from.
    pub(crate) branch: BranchId,
    /// The priority that it inherits.
    pub(crate) priority: Priority,
}

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_submit(&mut self, submission: Submission<P>, effects: &mut Vec<Effect<P>>) {
        if let Some(id) = submission.key.and_then(|key| self.tasks.find(key)) {
            self.on_want(id);
            if self.tasks.get(id).is_some_and(Task::is_related) {
                self.shares(id, submission.parent);
            }
            effects.push(Effect::Existing(id));
            effects.push(Effect::Drop(submission.payload));
            return;
        }
        self.totals.submitted += 1;
        if submission.parent.is_some() || submission.call {
            return self.submit_child(submission, effects);
        }
        let Submission { payload, key, priority, parent: _, kind, constraint, inputs, call: _ } =
            submission;
        let set = constraint.map(|constraint| self.sets.of(constraint, &self.workers.groups));
        let from = inputs.first().and_then(|input| self.tasks.get(input.task));
        let from = from.map_or(BranchId::ROOT, |task| task.grown.branch());
        let branch = self.growth.grow(from, kind);
        let number = self.totals.submitted;
        let grown = Grown::new(number, number, 0, None, branch);
        let needs = inputs.iter().map(|input| input.task).collect();
        let priority = priority.unwrap_or_default();
        let task = Task::new(payload, grown, priority, kind, Rare::new(false), needs);
        let id = self.add_task(task, key, set, effects);
        if inputs.is_empty() {
            self.set_ready(id, effects);
            return;
        }
        let waits = |input: &&Input| self.connect(id, input.task, input.there);
        let unfinished = inputs.iter().filter(waits).count();
        self.start_waiting(id, unfinished, effects);
    }

    #[inline(never)]
    fn submit_child(&mut self, submission: Submission<P>, effects: &mut Vec<Effect<P>>) {
        let Submission { payload, key, priority, parent, kind, constraint, inputs, call } =
            submission;
        let set = constraint.map(|constraint| self.sets.of(constraint, &self.workers.groups));
        let takes = set.is_some();
        let actor = if call { inputs.first().map(|actor| actor.task) } else { None };
        let origin = self.origin_of_child(self.totals.submitted, parent, actor);
        let Origin { number, root, depth, family, branch, priority: inherited } = origin;
        let branch = self.growth.grow(branch, kind);
        let mut rare = Rare::new(call);
        if family.is_some() {
            rare.set_related();
        }
        let grown = Grown::new(number, root, depth, family, branch);
        let needs = inputs.iter().map(|input| input.task).collect();
        let priority = priority.unwrap_or(inherited);
        let mut task = Task::new(payload, grown, priority, kind, rare, needs);
        if call {
            task.wants.add(Want::Keep);
        }
        let id = self.add_task(task, key, set, effects);
        let is_cut = match family {
            Some(family) => self.grows(id, family),
            None => false,
        };
        let is_cut = is_cut || parent.is_some_and(|parent| self.is_cut(parent));
        // What waits for nothing, and takes nothing, closes no circle of waits.
        let is_watched = (takes || !inputs.is_empty()) && self.is_watched(id);
        if inputs.is_empty() && !is_watched {
            self.set_ready(id, effects);
        } else {
            let waits = |input: &&Input| self.connect(id, input.task, input.there);
            let unfinished = inputs.iter().filter(waits).count();
            let unfinished = unfinished + usize::from(call && self.enter_mailbox(id));
            if !is_watched || !self.refuse(id, unfinished, effects) {
                self.start_waiting(id, unfinished, effects);
            }
        }
        if is_cut {
            self.cancel_unless_settled(id, effects);
        }
    }

    #[inline(always)]
    fn add_task(
        &mut self,
        task: Task<P>,
        key: Option<Key>,
        set: Option<SetId>,
        effects: &mut Vec<Effect<P>>,
    ) -> TaskId {
        let id = self.tasks.insert(task, key, set);
        self.totals.live += 1;
        self.totals.peak_live = self.totals.peak_live.max(self.totals.live);
        effects.push(Effect::Submitted(id));
        id
    }

    /// Returns where the task with this number comes from: a call from its actor, any other from its parent.
    pub(crate) fn origin_of_child(
        &mut self,
        number: u64,
        parent: Option<TaskId>,
        actor: Option<TaskId>,
    ) -> Origin {
        let mut origin = Origin {
            number,
            root: number,
            depth: 0,
            family: None,
            branch: BranchId::ROOT,
            priority: Priority::default(),
        };
        if let Some(id) = parent
            && let Some(parent) = self.tasks.get(id)
        {
            let Lineage { root, depth, .. } = parent.grown.lineage(0);
            (origin.branch, origin.priority) = (parent.grown.branch(), parent.priority);
            let is_scope = parent.rare.is_gate();
            origin.family = match self.tasks.family(parent.rare) {
                None => self.family_of(id),
                family => family,
            };
            if !is_scope {
                (origin.root, origin.depth) = (root, depth.saturating_add(1));
            } else if self.tasks.families.number(origin.family) != 0 {
                // A scope is as deep as what is submitted in it. If no task has opened it, that is a root.
                (origin.root, origin.depth) = (root, depth);
            }
        }
        if let Some(id) = parent
            && origin.family.is_none()
        {
            // It may be forgotten, and still run.
            origin.family = self.family_of_lingering(id);
        }
        if let Some(id) = actor
            && let Some(actor) = self.tasks.get(id)
        {
            let Lineage { root, depth, number, .. } = actor.grown.lineage(0);
            (origin.root, origin.depth) = (root, depth.saturating_add(1));
            origin.branch = actor.grown.branch();
            origin.priority = origin.priority.max(actor.priority);
            // The call belongs to its caller, and has its place in the order by its actor.
            origin.family = match origin.family {
                None => self.family_of(id),
                caller => Some(self.tasks.families.add_signpost(number, caller)),
            };
        }
        origin
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
