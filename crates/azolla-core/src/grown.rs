//! How families follow the tasks: what happens to them when a task is submitted, ends, is revived or is forgotten.

use crate::effect::Effect;
use crate::families::{FamilyId, Tally};
use crate::graph::Stays;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::{Grown, Rare, State, Task, Want};
use crate::todo::Todo;
use crate::view::ScopeView;
use alloc::vec::Vec;

/// A task that more others submit again is not asked for each of them whether it has gone.
const MANY_SHARERS: usize = 8;

impl<P: Clone> Scheduler<P> {
    /// Returns the family of what this task has submitted, if it has submitted anything.
    pub(crate) fn own_family(&self, id: TaskId) -> Option<FamilyId> {
        self.tasks.family(self.tasks.get(id)?.rare)
    }

    /// Returns the same, and makes the family if there is none.
    pub(crate) fn family_of(&mut self, id: TaskId) -> Option<FamilyId> {
        let task = self.tasks.get(id)?;
        if let Some(family) = self.tasks.family(task.rare) {
            return Some(family);
        }
        let (grown, is_live) = (task.grown, !task.state.is_settled());
        let family = self.tasks.families.add(id, grown.number(), grown.family(), is_live);
        let is_cut = self.is_cut(id);
        self.tasks.families.get_mut(family).is_cut |= is_cut;
        self.tasks.set_family(id, family);
        Some(family)
    }

    /// Returns the family that this gate waits for.
    pub(crate) fn family_awaited(&self, gate: TaskId) -> Option<FamilyId> {
        let task = self.tasks.get(gate).filter(|task| task.rare.is_gate())?;
        self.own_family(task.inputs.first().unwrap_or(gate))
    }

    /// Returns the tasks that this one waits for if it has not begun: its inputs, the call before it, and if it is a gate, all
    /// that has grown there and has not ended.
    pub(crate) fn awaited_by(&self, id: TaskId, task: &Task<P>) -> impl Iterator<Item = TaskId> {
        let grown = if task.rare.is_gate() { self.growth_of(id) } else { Vec::new() };
        task.inputs.iter().chain(self.call_before(id)).chain(grown)
    }

    #[cold]
    fn growth_of(&self, gate: TaskId) -> Vec<TaskId> {
        let family = self.family_awaited(gate);
        let mut growth = self.live_below(family);
        growth.extend(self.lingering_below(family));
        growth
    }

    /// Returns all that has grown from this task and has not ended.
    #[must_use]
    pub fn grown_from(&self, task: TaskId) -> Vec<TaskId> {
        self.live_below(self.own_family(task))
    }

    fn live_below(&self, family: Option<FamilyId>) -> Vec<TaskId> {
        let families = family.map(|id| self.tasks.families.all_below(id));
        let children = families
            .into_iter()
            .flatten()
            .flat_map(|family| self.tasks.families.get(family).children.iter().copied());
        let mut live: Vec<_> = children.filter(|child| self.tasks.is_live(*child)).collect();
        // A task that was revived is listed twice.
        live.sort_unstable();
        live.dedup();
        live
    }

    /// Returns whether the end of a task may end what a scope or a watch of growth waits for. Then the driver is to tell each
    /// end at once. It is false while the scopes that are waited for are far from their ends.
    #[inline]
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.tasks.families.urgent > 0
    }

    /// Returns what workers have claimed or run, as far as is known here.
    #[must_use]
    pub fn in_hand(&self) -> Vec<(WorkerId, TaskId)> {
        let of_worker = |(id, worker): (WorkerId, &crate::workers::Worker)| {
            let tasks: Vec<_> = worker.claims.iter().copied().chain(worker.task).collect();
            tasks.into_iter().map(move |task| (id, task))
        };
        let in_hand = self.workers.iter().flat_map(of_worker);
        in_hand.filter(|(id, task)| self.state(*task).is_some_and(|it| it.is_on(*id))).collect()
    }

    /// Returns the gates that do not pass before this task has ended.
    pub(crate) fn gates_above(&self, task: &Task<P>) -> Vec<TaskId> {
        let mut gates = Vec::new();
        if !self.tasks.families.gates.is_empty() {
            self.add_gates_above(task, &mut gates);
            // Gates wait for gates.
            let mut at = 0;
            while let Some(gate) = gates.get(at).and_then(|gate| self.tasks.get(*gate)) {
                self.add_gates_above(gate, &mut gates);
                at += 1;
            }
        }
        gates
    }

    fn add_gates_above(&self, task: &Task<P>, gates: &mut Vec<TaskId>) {
        let families = &self.tasks.families;
        let mut next = self.tasks.family(task.rare).or_else(|| families.find(task.grown.family()));
        while let Some(at) = next {
            for gate in families.gates.get(&at).into_iter().flatten() {
                if !gates.contains(gate) {
                    gates.push(*gate);
                }
            }
            next = families.find(families.get(at).up);
        }
    }

    /// Puts a live task into the family that it belongs to.
    pub(crate) fn belongs_to(&mut self, id: TaskId, family: FamilyId) {
        self.tasks.families.name(family);
        let at = self.tasks.families.found(Some(family));
        self.is_child_of(id, at);
    }

    fn is_child_of(&mut self, id: TaskId, family: Option<FamilyId>) {
        if let Some(family) = family {
            self.is_listed(id, family);
            self.tasks.families.gains(family);
        }
    }

    fn is_listed(&mut self, id: TaskId, family: FamilyId) {
        if self.tasks.families.is_to_prune(family) {
            let mut children = core::mem::take(&mut self.tasks.families.get_mut(family).children);
            children.retain(|child| self.tasks.is_live(*child));
            self.tasks.families.get_mut(family).children = children;
        }
        self.tasks.families.get_mut(family).children.push(id);
    }

    /// A task is submitted that belongs to a family. Returns whether it is to be cancelled at once.
    #[inline(never)]
    pub(crate) fn grows(&mut self, id: TaskId, family: FamilyId) -> bool {
        if let Some(in_scope) = self.tasks.families.add_simply(family, id) {
            if in_scope {
                self.on_keep(id);
            }
            return false;
        }
        self.belongs_to(id, family);
        let Some(at) = self.tasks.families.found(Some(family)) else { return false };
        if let Some(scope) = self.tasks.families.scope(at) {
            self.tasks.families.count(scope, None, Some(State::Ready));
            self.on_keep(id);
        }
        self.tasks.families.get(at).is_cut
    }

    /// The key of a task was submitted again.
    #[cold]
    pub(crate) fn shares(&mut self, id: TaskId, by: Option<TaskId>) {
        if !self.tasks.is_live(id) {
            return;
        }
        let by = by.and_then(|by| self.family_of(by));
        let families = &mut self.tasks.families;
        let mut sharers = families.sharers.remove(&id).unwrap_or_default();
        if sharers.len() == sharers.capacity() && sharers.len() >= MANY_SHARERS {
            let mut found: Vec<_> = sharers.iter().map(|sharer| families.found(*sharer)).collect();
            found.sort_unstable_by_key(|sharer| FamilyId::to_bits(*sharer));
            found.dedup();
            found.iter().flatten().for_each(|sharer| families.name(*sharer));
            sharers.iter().flatten().for_each(|sharer| families.unname(*sharer));
            sharers = found;
        }
        if !sharers.contains(&by) {
            by.into_iter().for_each(|by| families.name(by));
            sharers.push(by);
        }
        families.sharers.insert(id, sharers);
    }

    /// A task with a family of either kind has ended.
    #[inline(never)]
    pub(crate) fn ends_in_families(
        &mut self,
        id: TaskId,
        state: State,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(task) = self.tasks.get(id) else { return };
        let (grown, rare) = (task.grown, task.rare);
        let own = self.tasks.family(rare);
        if own.is_none()
            && let Some(family) = grown.family()
            && self.tasks.families.end_simply(family, state)
        {
            return;
        }
        let families = &mut self.tasks.families;
        let at = families.found(grown.family());
        if let Some(scope) = at.and_then(|at| families.scope(at)) {
            families.count(scope, Some(State::Ready), Some(state));
            if state == State::Failed && !rare.is_told() && self.is_direct(grown, rare, scope) {
                self.failed_in(id, scope, true, effects);
            }
        }
        let families = &mut self.tasks.families;
        if !families.sharers.is_empty()
            && let Some(sharers) = families.sharers.remove(&id)
        {
            sharers.into_iter().flatten().for_each(|sharer| families.unname(sharer));
        }
        match own {
            Some(own) => {
                self.close_scopes_in(own);
                self.task_of_family_ends(own);
            }
            None => self.loses(at),
        }
    }

    /// A settled task is in another state now, although it has not run: it was cancelled.
    #[cold]
    pub(crate) fn counts_otherwise(&mut self, grown: Grown, from: State, to: State) {
        if let Some(scope) = self.tasks.families.scope_of(grown.family()) {
            self.tasks.families.count(scope, Some(from), Some(to));
        }
    }

    /// A failed task is live again.
    #[cold]
    pub(crate) fn lives_in_families(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(id) else { return };
        let (grown, own) = (task.grown, self.tasks.family(task.rare));
        let at = self.tasks.families.found(grown.family());
        self.counts_otherwise(grown, State::Failed, State::Ready);
        if at.is_some_and(|at| self.tasks.families.scope(at).is_some()) {
            self.on_keep(id);
        }
        match own {
            // Its family counts for the one above while it is live.
            Some(own) => {
                self.tasks.families.get_mut(own).is_task_live = true;
                self.tasks.families.gains(own);
                at.into_iter().for_each(|at| self.is_listed(id, at));
            }
            None => self.is_child_of(id, at),
        }
    }

    pub(crate) fn task_of_family_ends(&mut self, family: FamilyId) {
        if core::mem::take(&mut self.tasks.families.get_mut(family).is_task_live) {
            self.loses(Some(family));
        }
    }

    /// One of those that a family counts has ended.
    pub(crate) fn loses(&mut self, family: Option<FamilyId>) {
        let families = &mut self.tasks.families;
        let Some(id) = families.found(family) else { return };
        let family = families.get_mut(id);
        family.live -= 1;
        if family.live > 0 {
            return;
        }
        let counts = family.counts;
        families.empty(id);
        if counts || families.gates.contains_key(&id) {
            families.name(id);
            self.todo.push_back(Todo::FamilyEnded(id));
        }
    }

    /// Nothing in this family was live. Returns how many gates have passed.
    pub(crate) fn family_ended(&mut self, id: FamilyId, effects: &mut Vec<Effect<P>>) -> usize {
        let mut passed = 0;
        let family = self.tasks.families.get_mut(id);
        // Something may have come since, or its task may have gone.
        if family.live == 0 && !family.has_joined() {
            let up = family.up;
            if core::mem::take(&mut family.counts) {
                self.loses(up);
            }
            for gate in self.tasks.families.gates.remove(&id).into_iter().flatten() {
                passed += 1;
                self.pass(gate, effects);
            }
        }
        self.tasks.families.unname(id);
        passed
    }

    /// A task is about to be forgotten. It is not, if it has failed in a scope that has not been told.
    #[inline(never)]
    pub(crate) fn leaves_families(&mut self, id: TaskId, effects: &mut Vec<Effect<P>>) -> Stays {
        let Some(task) = self.tasks.get(id) else { return Stays::No };
        let (grown, rare, has_failed) = (task.grown, task.rare, task.state == State::Failed);
        if has_failed
            && !rare.is_told()
            && let Some(scope) = self.tasks.families.scope_of(grown.family())
        {
            self.failed_in(id, scope, false, effects);
            return Stays::Wanted;
        }
        if let Some(own) = self.tasks.family(rare) {
            if let Some(scope) = &mut self.tasks.families.get_mut(own).of_scope {
                self.todo.push_back(Todo::Unwant(core::mem::take(&mut scope.failed)));
            }
            let counted = self.tasks.families.join(own);
            self.loses(counted);
        }
        if let Some(family) = grown.family() {
            self.tasks.families.unname(family);
        }
        Stays::No
    }

    /// The driver does not count this failure, of which it was told.
    pub(crate) fn on_disregard(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(id).filter(|task| task.rare.is_told()) else { return };
        let family = task.grown.family();
        if let Some(scope) = self.tasks.families.scope_of(family)
            && let Some(scope) = &mut self.tasks.families.get_mut(scope).of_scope
        {
            let before = scope.failed.len();
            scope.failed.retain(|failed| failed != id);
            if scope.failed.len() < before {
                self.todo.push_back(Todo::Unwant([id].into_iter().collect()));
            }
        }
    }

    /// Returns the tasks that have failed in this scope, in their order.
    #[must_use]
    pub fn failures(&self, scope: TaskId) -> Vec<TaskId> {
        let own = self.own_family(scope).map(|own| self.tasks.families.get(own));
        let scope = own.and_then(|own| own.of_scope.as_ref());
        scope.map_or_else(Vec::new, |scope| scope.failed.iter().collect())
    }

    /// Returns whether a task was submitted in the block of this scope itself. A call is if its signpost leads there.
    fn is_direct(&self, grown: Grown, rare: Rare, scope: FamilyId) -> bool {
        let family = grown.family();
        let by_call = |family| rare.is_call() && self.tasks.families.get(family).up == Some(scope);
        family == Some(scope) || family.is_some_and(by_call)
    }

    /// Tells a scope of a failure, and has it keep the task.
    fn failed_in(
        &mut self,
        id: TaskId,
        scope: FamilyId,
        at_once: bool,
        effects: &mut Vec<Effect<P>>,
    ) {
        let family = self.tasks.families.get_mut(scope);
        if let Some(scope) = &mut family.of_scope {
            scope.failed.push(id);
        }
        let gate = family.task;
        if let Some(task) = self.tasks.get_mut(id) {
            task.rare.set_told();
            task.wants.add(Want::Dependent);
        }
        if let (Some(task), Some(gate)) = (self.tasks.get(id), self.tasks.get(gate)) {
            let (payload, scope) = (task.payload.clone(), gate.payload.clone());
            effects.push(Effect::FailedInScope { payload, scope, at_once });
        }
    }

    /// Returns what is known of a scope; `None` if this is none.
    #[must_use]
    pub fn scope(&self, scope: TaskId) -> Option<ScopeView> {
        let task = self.tasks.get(scope).filter(|task| task.rare.is_gate())?;
        let family = self.own_family(scope).map(|own| self.tasks.families.get(own))?;
        let of_scope = family.of_scope.as_ref()?;
        let around = family.scope_around().map(|around| self.tasks.families.get(around).task);
        let (number, tally, is_closed) = (task.grown.number(), of_scope.tally, of_scope.waits);
        Some(ScopeView { number, tally, around, is_closed })
    }

    /// Returns the counts of a scope and of those within it, if this is a scope.
    #[must_use]
    pub fn tally(&self, scope: TaskId) -> Option<Tally> {
        let own = self.own_family(scope).filter(|_| self.tasks.is_gate(scope))?;
        let mut sum = Tally::default();
        for family in self.tasks.families.all_below(own) {
            if let Some(scope) = &self.tasks.families.get(family).of_scope {
                sum.add(&scope.tally);
            }
        }
        Some(sum)
    }
}
