//! Gates: tasks that run nowhere, and end when all that has grown from somewhere has ended.
//!
//! A *scope* is a gate with a family of its own. It ends when it has been closed and all that was submitted in it has ended.
//! Other gates wait for the family of a task.

use crate::effect::Effect;
use crate::event::Submission;
use crate::families::FamilyId;
use crate::few::Few;
use crate::id::TaskId;
use crate::on::submit::Origin;
use crate::scheduler::Scheduler;
use crate::task::{Grown, Rare, State, Task, Want};
use crate::todo::Todo;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    #[cold]
    pub(crate) fn on_open_scope(&mut self, scope: Submission<P>, effects: &mut Vec<Effect<P>>) {
        let is_cut = scope.parent.is_some_and(|opener| self.is_cut(opener));
        let opener = scope.parent.filter(|opener| self.tasks.get(*opener).is_some());
        let origin = self.origin_of_child(self.totals.submitted, scope.parent, None);
        let number = opener.map_or(0, |_| self.tasks.families.number(origin.family));
        let id = self.add_gate(scope, &origin, Few::new());
        if let Some(family) = origin.family {
            self.belongs_to(id, family);
        }
        let own = self.tasks.families.add(id, number, origin.family, true);
        let family = self.tasks.families.get_mut(own);
        family.of_scope = Some(Box::default());
        family.is_cut |= is_cut;
        self.tasks.set_family(id, own);
        self.tasks.families.gates.entry(own).or_default().push(id);
        effects.push(Effect::Submitted(id));
    }

    /// The blocks of scopes that were opened here are over, since what they were opened in is.
    #[cold]
    pub(crate) fn close_scopes_in(&mut self, family: FamilyId) {
        // A scope that has not ended has a gate.
        if self.tasks.families.gates.is_empty() {
            return;
        }
        let mut opened_in = Vec::from([family]);
        while let Some(family) = opened_in.pop() {
            let families = &self.tasks.families;
            let is_open = |below: &FamilyId| {
                let family = families.get(*below);
                family.of_scope.is_some() && family.is_task_live
            };
            let open: Vec<_> = families.below(family).filter(is_open).collect();
            for scope in open {
                let gate = self.tasks.families.get(scope).task;
                self.close_one(gate);
                opened_in.push(scope);
            }
        }
    }

    #[cold]
    pub(crate) fn on_close_scope(&mut self, id: TaskId) {
        self.close_one(id);
        if let Some(family) = self.own_family(id) {
            self.close_scopes_in(family);
        }
    }

    fn close_one(&mut self, id: TaskId) {
        if let Some(family) = self.own_family(id)
            && self.tasks.get(id).is_some_and(|it| it.rare.is_gate() && !it.state.is_settled())
        {
            self.tasks.families.set_waits(family, true);
            self.task_of_family_ends(family);
        }
    }

    #[cold]
    pub(crate) fn on_watch_growth(&mut self, gate: Submission<P>, effects: &mut Vec<Effect<P>>) {
        let of = gate.inputs.first().map_or(TaskId::GONE, |of| of.task);
        let origin = self.origin_of_child(self.totals.submitted, None, None);
        let family = self
            .own_family(of)
            .or_else(|| if self.tasks.is_live(of) { self.family_of(of) } else { None });
        let families = &self.tasks.families;
        // Gates that are about to pass do so together.
        let has_ended =
            |id: &FamilyId| families.get(*id).live == 0 && !families.gates.contains_key(id);
        let live = family.filter(|family| !has_ended(family));
        let id = self.add_gate(gate, &origin, live.map(|_| of).into_iter().collect());
        effects.push(Effect::Submitted(id));
        let Some(family) = live else { return self.pass(id, effects) };
        if let Some(task) = self.tasks.get_mut(of) {
            task.wants.add(Want::Dependent);
        }
        self.tasks.families.gates.entry(family).or_default().push(id);
        self.tasks.families.urgent += 1;
    }

    fn add_gate(&mut self, gate: Submission<P>, origin: &Origin, inputs: Few) -> TaskId {
        let Submission { payload, priority, kind, .. } = gate;
        let Origin { number, root, depth, family, branch, priority: inherited } = *origin;
        let mut rare = Rare::of_gate();
        if family.is_some() {
            rare.set_related();
        }
        // What is submitted in a scope grows from the task that has opened it.
        let grown = Grown::new(number, root, depth, family, branch);
        let priority = priority.unwrap_or(inherited);
        let mut task = Task::new(payload, grown, priority, kind, rare, inputs);
        task.state = State::Waiting { unfinished: 1 };
        self.tasks.insert(task, None, None)
    }

    /// What a gate waits for has ended.
    pub(crate) fn pass(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        if let Some(task) = self.tasks.get(id).filter(|task| !task.state.is_settled()) {
            effects.push(Effect::GrowthEnded(task.payload.clone()));
            self.settle_gate(id, State::Done, effects);
        }
    }

    /// A gate ends. It counts nowhere, and has told its driver already.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle_gate(&mut self, id: TaskId, state: State, effects: &mut Vec<Effect<P>>) {
        // A watch of what had ended when it began waits for nothing.
        let was_waiting = self.tasks.get(id).is_some_and(|task| !task.inputs.is_empty());
        if state == State::Cancelled
            && let Some(family) = self.family_awaited(id)
            && let Some(gates) = self.tasks.families.gates.get_mut(&family)
        {
            gates.retain(|gate| *gate != id);
            if gates.is_empty() {
                self.tasks.families.gates.remove(&family);
            }
        }
        self.on_close_scope(id);
        if let Some(own) = self.own_family(id) {
            self.tasks.families.set_waits(own, false);
        }
        if was_waiting {
            self.tasks.families.urgent -= 1;
        }
        self.set_state(id, state);
        let Some(task) = self.tasks.get_mut(id) else { return };
        if !task.inputs.is_empty() {
            self.todo.push_back(Todo::Unwant(core::mem::take(&mut task.inputs)));
        }
        if !task.wants.any() {
            self.forget(id, true, effects);
        }
    }
}
