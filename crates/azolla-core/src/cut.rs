//! What has grown from a task is cancelled, as far as nobody outside wants it.
//!
//! Somebody outside wants a task if its key was submitted from outside again, or if a task outside depends on it. What such a
//! task needs goes on too, and what it has grown.

use crate::effect::Effect;
use crate::families::FamilyId;
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::todo::Todo;
use alloc::vec::Vec;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

type Marked = HashSet<FamilyId, FxBuildHasher>;

impl<P: Clone> Scheduler<P> {
    #[cold]
    pub(crate) fn on_cancel_grown(
        &mut self,
        id: TaskId,
        interrupt: bool,
        effects: &mut Vec<Effect<P>>,
    ) {
        // A task that runs may submit its first child later.
        let is_live = self.tasks.is_live(id);
        let own = if is_live { self.family_of(id) } else { self.own_family(id) };
        let Some(own) = own else { return };
        let below = self.tasks.families.all_below(own);
        let mut cut: Marked = below.iter().copied().collect();
        let children = below.iter().flat_map(|it| &self.tasks.families.get(*it).children);
        // A scope ends by itself when what is in it has.
        let is_doomed = |it: &TaskId| self.tasks.is_live(*it) && !self.tasks.is_gate(*it);
        let grown: Vec<_> = children.copied().filter(is_doomed).collect();
        let inside = cut.clone();
        let mut spared: Vec<_> =
            grown.iter().copied().filter(|it| self.is_wanted_outside(*it, &inside)).collect();
        let mut doomed: HashSet<TaskId, FxBuildHasher> = grown.iter().copied().collect();
        let mut gates: HashSet<TaskId, FxBuildHasher> = HashSet::default();
        while let Some(task) = spared.pop() {
            if doomed.remove(&task) || self.tasks.is_gate(task) && gates.insert(task) {
                self.spare(task, &mut cut, &mut spared);
            }
        }
        for family in &cut {
            self.tasks.families.get_mut(*family).is_cut = true;
        }
        let doomed = grown.into_iter().filter(|task| doomed.contains(task));
        let with_payload = |task| Some((task, self.tasks.get(task)?.payload.clone()));
        effects
            .push(Effect::Doomed { tasks: doomed.filter_map(with_payload).collect(), interrupt });
    }

    pub(crate) fn on_cancel_each(&mut self, tasks: Vec<(TaskId, bool)>, interrupt: bool) {
        self.todo.push_back(Todo::CancelEach { tasks: tasks.into(), interrupt });
    }

    pub(crate) fn cancel_each(
        &mut self,
        id: TaskId,
        has_ended: bool,
        interrupt: bool,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(state) = self.tasks.get(id).map(|task| task.state) else { return };
        // Its worker reports the end later, and need not.
        if has_ended && matches!(state, State::Claimed { .. } | State::Running { .. }) {
            return self.settle(id, State::Done, effects);
        }
        if interrupt {
            self.interrupt(id, effects);
        }
        self.cancel_unless_settled(id, effects);
    }

    /// Says that a task is to stop soon, if it runs.
    pub(crate) fn interrupt(&self, id: TaskId, effects: &mut Vec<Effect<P>>) {
        let running = self.tasks.get(id).filter(|task| {
            matches!(
                task.state,
                State::Claimed { .. }
                    | State::Running { .. }
                    | State::Parked { .. }
                    | State::Seceded { .. }
            )
        });
        effects.extend(running.map(|task| Effect::Interrupted(task.payload.clone())));
    }

    fn is_wanted_outside(&self, id: TaskId, inside: &Marked) -> bool {
        let families = &self.tasks.families;
        let is_outside =
            |family| families.find(family).is_none_or(|family| !inside.contains(&family));
        let shared = families.sharers.get(&id);
        shared.is_some_and(|sharers| sharers.iter().any(|sharer| is_outside(*sharer)))
            || self.tasks.get(id).is_some_and(|task| {
                task.dependents.iter().any(|dependent| {
                    self.tasks.get(dependent).is_some_and(|dependent| {
                        !dependent.state.is_settled() && is_outside(dependent.grown.family())
                    })
                })
            })
    }

    /// A task goes on. So does what it needs, and what it has grown. A gate needs the growth that it waits for.
    fn spare(&self, id: TaskId, cut: &mut Marked, spared: &mut Vec<TaskId>) {
        let Some(task) = self.tasks.get(id) else { return };
        spared.extend(task.inputs.iter());
        let waits = match task.state {
            State::Parked { worker } => self.workers.get(worker).and_then(|it| it.wait_of(id)),
            _ => self.awaits.get(&id),
        };
        spared.extend(waits.iter().flat_map(|wait| wait.tasks.iter().copied()));
        let grown = self.family_awaited(id).or_else(|| self.tasks.family(task.rare));
        for family in grown.map(|own| self.tasks.families.all_below(own)).into_iter().flatten() {
            cut.remove(&family);
            spared.extend(&self.tasks.families.get(family).children);
        }
    }
}
