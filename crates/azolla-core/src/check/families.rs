//! The invariants of families, counted from the tasks and from each other.

use crate::ensure::ensure;
use crate::families::{Families, FamilyId, Tally};
use crate::id::TaskId;
use crate::scheduler::Scheduler;
use crate::task::{State, Task, Want};
use crate::todo::Todo;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// What the tasks and the families say of one family.
#[derive(Default)]
struct Said {
    live: u32,
    named: u32,
    below: Vec<FamilyId>,
    tally: Tally,
}

impl<P: Clone> Scheduler<P> {
    pub(super) fn check_families(&self) -> Result<(), String> {
        let families = &self.tasks.families;
        let mut said: BTreeMap<usize, Said> = BTreeMap::new();
        for (id, task) in self.tasks.iter() {
            self.check_in_family(id, task, &mut said)?;
        }
        for (id, family) in families.iter() {
            if let Some(up) = family.up {
                said.entry(up.index()).or_default().named += 1;
            }
            let own = said.entry(id.index()).or_default();
            own.named += u32::from(!family.has_joined());
            own.live += u32::from(family.is_task_live);
            if let Some(up) = families.find(family.up).filter(|_| !family.has_joined()) {
                let above = said.entry(up.index()).or_default();
                above.below.push(id);
                above.live += u32::from(family.counts);
                let under_way = family.live == 0 && self.is_ending(id);
                let fits = family.counts == (family.live > 0) || under_way;
                ensure!(fits, "{id:?} counts: {}, live {}", family.counts, family.live);
            }
        }
        for (id, lingering) in &self.lingering {
            let task = self.tasks.get(*id).map(|task| task.state);
            let fits = task.is_none_or(|state| state == State::Cancelled);
            ensure!(fits, "{id:?} lingers and is {task:?}");
            said.entry(lingering.family.index()).or_default().named += 1;
            if let Some(at) = families.find(Some(lingering.family)) {
                said.entry(at.index()).or_default().live += 1;
            }
        }
        let ending = self.todo.iter().filter_map(|todo| match todo {
            Todo::FamilyEnded(family) => Some(family),
            _ => None,
        });
        for family in ending.chain(families.sharers.values().flatten().flatten()) {
            said.entry(family.index()).or_default().named += 1;
        }
        for (id, _) in families.iter() {
            self.check_family(id, said.remove(&id.index()).unwrap_or_default())?;
        }
        ensure!(said.is_empty(), "families that are gone are named: {:?}", said.keys());
        for task in families.sharers.keys() {
            ensure!(self.tasks.is_live(*task), "{task:?} has ended and is shared");
        }
        self.check_gates()
    }

    fn is_ending(&self, id: FamilyId) -> bool {
        self.todo.iter().any(|todo| matches!(todo, Todo::FamilyEnded(family) if *family == id))
    }

    fn check_in_family(
        &self,
        id: TaskId,
        task: &Task<P>,
        said: &mut BTreeMap<usize, Said>,
    ) -> Result<(), String> {
        let families = &self.tasks.families;
        let own = self.tasks.family(task.rare);
        let is_live = !task.state.is_settled();
        if let Some(own) = own.map(|own| families.get(own)) {
            let agrees = own.is_task_live == is_live || task.rare.is_gate() && is_live;
            ensure!(own.task == id && agrees, "{id:?}, live: {is_live}, has another's family");
        }
        let Some(family) = task.grown.family() else { return Ok(()) };
        said.entry(family.index()).or_default().named += 1;
        let Some(at) = families.find(Some(family)).filter(|_| is_live) else { return Ok(()) };
        said.entry(at.index()).or_default().live += u32::from(own.is_none());
        ensure!(families.get(at).children.contains(&id), "{id:?} is not listed in {at:?}");
        if let Some(scope) = scope_above(families, at).filter(|_| !task.rare.is_gate()) {
            said.entry(scope.index()).or_default().tally.live += 1;
            let kept = task.wants.has(Want::Keep) || task.rare.is_there();
            ensure!(kept, "{id:?} is in a scope and not kept");
        }
        Ok(())
    }

    fn check_family(&self, id: FamilyId, said: Said) -> Result<(), String> {
        let families = &self.tasks.families;
        let family = families.get(id);
        let Said { live, named, below, tally } = said;
        ensure!(family.named() == named, "{id:?} is named {named} times, not {}", family.named());
        if family.has_joined() {
            return Ok(());
        }
        ensure!(family.live == live, "{id:?}: {live} live, it counts {}", family.live);
        let mut ring = families.below(id).collect::<Vec<_>>();
        ring.sort_unstable_by_key(|family| family.index());
        ensure!(ring == below, "below {id:?} are {below:?}, it has {ring:?}");
        ensure!(families.scope(id) == scope_above(families, id), "{id:?} is in another scope");
        if let Some(scope) = &family.of_scope {
            let is_in = |below: &&FamilyId| families.get(**below).scope_around() == Some(id);
            let all = families.all_below(id);
            let busy = all.iter().filter(is_in).filter(|below| families.is_busy(**below)).count();
            ensure!(scope.busy as usize == busy, "{id:?}: {busy} busy, not {}", scope.busy);
            let is_busy = scope.is_busy_by_count();
            ensure!(scope.is_busy == is_busy, "{id:?} is busy: {is_busy}");
            let gate = self.tasks.get(family.task).map(|gate| gate.state.is_settled());
            let waits = gate == Some(false) && !family.is_task_live;
            ensure!(scope.waits == waits, "{id:?} waits: {waits}");
        }
        let counted = family.of_scope.as_ref().map_or(0, |scope| scope.tally.live);
        ensure!(counted == tally.live, "{id:?}: {} live, the scope says {counted}", tally.live);
        Ok(())
    }

    fn check_gates(&self) -> Result<(), String> {
        let families = &self.tasks.families;
        for (family, gates) in &families.gates {
            let live = families.get(*family).live > 0 || self.is_ending(*family);
            ensure!(live, "nothing is live in {family:?}, and {gates:?} have not passed");
            for gate in gates {
                let waits = self.tasks.get(*gate).map(|gate| gate.state);
                let fits = matches!(waits, Some(State::Waiting { .. }));
                ensure!(fits, "{gate:?} waits for {family:?} and is {waits:?}");
            }
        }
        let soon = |(_, family): &(FamilyId, &crate::families::Family)| {
            family.of_scope.as_ref().is_some_and(|scope| scope.waits && !scope.is_busy)
        };
        let is_watch =
            |gate: &&TaskId| self.tasks.get(**gate).is_some_and(|gate| !gate.inputs.is_empty());
        let watches = families.gates.values().flatten().filter(is_watch).count();
        let urgent = families.iter().filter(soon).count() + watches;
        ensure!(urgent == families.urgent, "{urgent} gates may pass soon, not {}", families.urgent);
        for (id, _) in self.tasks.iter().filter(|(_, it)| it.rare.is_gate()) {
            let family = self.family_awaited(id);
            let gates = family.and_then(|family| families.gates.get(&family));
            let listed = gates.is_some_and(|gates| gates.contains(&id));
            ensure!(listed == self.tasks.is_live(id), "the gate {id:?} waits: {listed}");
        }
        Ok(())
    }
}

fn scope_above(families: &Families, from: FamilyId) -> Option<FamilyId> {
    let mut next = Some(from);
    while let Some(at) = next {
        if families.get(at).of_scope.is_some() {
            return Some(at);
        }
        next = families.find(families.get(at).up);
    }
    None
}
