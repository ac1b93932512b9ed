//! The promises of the scheduler that it cannot check itself. The world checks them, because it
//! knows which tasks the workers have in hand and what the futures show.

use super::world::{Cell, Gate, Shows, Thread, ThreadState, World};
use crate::sets::{Fit, Set};
use crate::workers::{Hold, Slots, Tally};
use crate::{Amount, GroupId, ResourceId, State, TaskId, WorkerId};
use std::collections::BTreeSet;
use std::iter::successors;
use std::vec::Vec;

impl World {
    /// A task runs only when all its inputs are there, and not before tasks that want their slot
    /// back. At the cap no task is claimed. A task that is handed over is not outranked by a claim
    /// of its worker.
    pub(super) fn check_may_run(&self, id: TaskId, worker: WorkerId, begun: bool) {
        let task = self.scheduler.tasks.get(id).expect("it is to run");
        for input in &self.cells[task.payload].inputs {
            assert!(self.cells[*input].was_done, "{id:?} runs without its input {input}");
        }
        let confined = self.cells[task.payload].confined;
        // Once that group is retired, any other says that what the task needs is gone.
        let groups = &self.scheduler.workers.groups;
        if let Some(confined) = confined.filter(|id| !groups[usize::from(id.0)].is_retired) {
            assert_eq!(
                self.scheduler.group_of(worker),
                Some(confined),
                "{id:?} was sent elsewhere"
            );
        }
        if !begun {
            assert!(!self.scheduler.at_cap(), "{id:?} is claimed at the cap");
            return;
        }
        let group = self.scheduler.group_of(worker).expect("it joined");
        let resuming = self.scheduler.workers.group(group).tally.resuming;
        assert_eq!(resuming, 0, "new work comes before old");
        for (claim, _) in &self.workers[&worker].batch {
            let claim = self.scheduler.tasks.get(*claim);
            let outranks = claim.is_some_and(|claim| {
                claim.state == State::Claimed { worker } && claim.priority > task.priority
            });
            assert!(!outranks, "{id:?} is handed over before what {worker:?} has claimed");
        }
    }

    /// The calls of an actor begin in their order, and none begins while another runs.
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

    /// A worker that lends a slot leaves enough others to use all slots.
    pub(super) fn check_somebody_is_left(&self, before: Tally) {
        let without_slot = |tally: Tally| tally.lent() + tally.seceded;
        let workers = &self.scheduler.workers;
        if without_slot(workers.tally()) > without_slot(before) {
            // A retired group begins nothing.
            for group in workers.groups.iter().filter(|group| !group.is_retired) {
                let Slots { tally, slots, .. } = group;
                let left = tally.asleep + tally.waking + tally.active;
                assert!(left >= *slots, "too few are left: {tally:?}");
            }
        }
    }

    /// The counts of how tasks ended agree with what their futures show.
    pub(super) fn check_endings(&self) {
        let shown = |shows| {
            let cells = self.cells.iter().filter(|cell| cell.id.is_some() && cell.gate.is_none());
            cells.filter(|cell| cell.shows == shows).count() as u64
        };
        let branches = self.scheduler.branches();
        let counted = branches.iter().fold([0; 3], |[done, failed, cancelled], branch| {
            [done + branch.finished, failed + branch.failed, cancelled + branch.cancelled]
        });
        assert_eq!(counted, [Shows::Done, Shows::Failed, Shows::Cancelled].map(shown));
    }

    /// No claim begins while a more urgent task is ready that could begin in its place.
    pub(super) fn check_outranks(&self, begun: TaskId, group: GroupId) {
        let priority = self.scheduler.tasks.get(begun).expect("a claim is kept").priority;
        if let Some(id) = self.first_of(self.ready_in_order(), group).0 {
            let ready = self.scheduler.tasks.get(id).expect("it is ready").priority;
            assert!(ready <= priority, "{id:?} outranks {begun:?}, which begins");
        }
    }

    /// No slot stays idle while a claim that has not begun could run there, unless a worker is on its way, which asks for
    /// claims when it pulls.
    pub(super) fn check_idle(&self) {
        let idle = self.scheduler.workers.any_idle().is_some();
        let comes = self.scheduler.workers.waking() > 0;
        if !idle || comes || self.closed || self.scheduler.at_cap() {
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

    /// At the cap, no slot stays free while a task is ready that a parked task needs.
    pub(super) fn check_nothing_needed_is_held_back(&mut self) {
        let waking = self.scheduler.workers.waking();
        let workers = &self.scheduler.workers;
        let idle: Vec<GroupId> =
            workers.group_ids().filter(|group| workers.group(*group).is_idle()).collect();
        if idle.is_empty() || self.closed || !self.scheduler.at_cap() {
            return;
        }
        let mut needed = self.ready_in_order();
        let all = self.needed();
        needed.retain(|id| all.contains(id));
        let (count, plain) = (needed.len(), |id: &TaskId| self.set_of(*id).is_none());
        if needed.iter().all(plain) {
            assert!(count <= waking, "{count} tasks are needed and ready, {waking} come for them");
        } else if waking == 0 {
            for group in idle {
                let first = self.first_of(needed.clone(), group).0;
                assert_eq!(first, None, "{group:?} could begin what is needed");
            }
        }
        self.note("a slot was free at the cap");
    }

    /// A gate passes when all that it waits for has ended.
    pub(super) fn check_growth_ended(&self, gate: Cell) {
        let top = match self.cells[gate].gate.expect("it is a gate") {
            Gate::Scope { .. } => {
                assert!(self.is_over(gate), "a scope ended that is open");
                gate
            }
            Gate::Watch { of } => of,
        };
        for cell in (0..self.cells.len()).filter(|cell| *cell != gate && self.grew(*cell, top)) {
            // One without an id is a key that was found again.
            let is_live = self.cells[cell].id.is_some() && self.cells[cell].shows == Shows::Pending;
            assert!(!is_live, "{cell} grew from {top}");
        }
        for thread in self.workers.values() {
            let below = thread.below.iter().map(|(task, _)| task);
            for (_, cell) in thread.running.iter().chain(below) {
                // One that was cancelled before it had submitted anything has no family of its own.
                let still_runs = *cell != top && self.grew(*cell, top);
                assert!(!still_runs, "{cell} grew from {top} and still runs");
            }
        }
    }

    /// Returns whether the block of this scope is over: it is closed, or what it was opened in is over.
    fn is_over(&self, scope: Cell) -> bool {
        let is_closed = self.cells[scope].gate == Some(Gate::Scope { open: false });
        let ended = |around: Cell| {
            let is_scope = self.cells[around].gate.is_some();
            let has_ended = self.cells[around].shows != Shows::Pending;
            has_ended || self.cells[around].was_retried || is_scope && self.is_over(around)
        };
        is_closed || self.cells[scope].parent.is_some_and(ended)
    }

    /// Returns whether a task is this one, or has grown from it.
    fn grew(&self, cell: Cell, from: Cell) -> bool {
        let mut parents = successors(Some(cell), |cell| self.cells[*cell].parent);
        parents.any(|cell| cell == from)
    }

    /// Returns what has grown where this gate waits, if it is one.
    fn grown_below(&self, gate: Cell) -> Vec<TaskId> {
        let top = match self.cells[gate].gate {
            None => return Vec::new(),
            Some(Gate::Scope { .. }) => gate,
            Some(Gate::Watch { of }) => of,
        };
        let grown = (0..self.cells.len()).filter(|cell| *cell != gate && self.grew(*cell, top));
        grown.filter_map(|cell| self.cells[cell].id).collect()
    }

    /// A gate for which nothing is left to wait has passed.
    pub(super) fn check_gates(&self) {
        if self.scheduler.has_more() {
            return;
        }
        for id in self.scheduler.lingering.keys() {
            let runs = |thread: &Thread| {
                let below = thread.below.iter().map(|(task, _)| task);
                thread.running.iter().chain(below).any(|(task, _)| task == id)
                    || thread.untold.contains(id)
            };
            let lingers = self.detached.contains(id) || self.workers.values().any(runs);
            assert!(lingers, "{id:?} has ended, and lingers");
        }
        for (gate, cell) in self.cells.iter().enumerate() {
            let (Some(kind), Shows::Pending, Some(id)) = (cell.gate, cell.shows, cell.id) else {
                continue;
            };
            let top = match kind {
                Gate::Scope { open: true } => continue,
                Gate::Scope { open: false } => gate,
                Gate::Watch { of } => of,
            };
            let mut grown = (0..self.cells.len()).filter(|it| *it != gate && self.grew(*it, top));
            let live = |cell: Cell| {
                self.cells[cell].id.is_some_and(|id| {
                    let state = self.scheduler.state(id);
                    state.is_some_and(|state| !state.is_settled())
                        || self.scheduler.lingering.contains_key(&id)
                })
            };
            assert!(grown.any(live), "{id:?} waits for nothing");
        }
    }

    /// A task begins only in a group that may run it.
    pub(super) fn check_fits(&mut self, begun: TaskId, group: GroupId) {
        let Some(set) = self.set_of(begun) else { return };
        self.note(match set.fit(group) {
            Fit::Never => panic!("{begun:?} begins in {group:?}, where it may not"),
            Fit::Chosen if !set.names(group) => "a task began since its groups were gone",
            Fit::Chosen => "a task with a constraint began",
            Fit::Other => "a task began where it was not wished for",
        });
    }

    /// No ready task comes before a task that begins: not in the order if it was pulled, not by
    /// priority if it was handed over. It takes no resource that a task before it waits for. At the
    /// cap only needed tasks count.
    pub(super) fn check_goes_first(&mut self, begun: TaskId, group: GroupId, pulled: bool) {
        let task = self.scheduler.tasks.get(begun).expect("it has just begun");
        let (order, priority) = (self.order(begun), task.priority);
        let mut ready = self.ready_in_order();
        if self.scheduler.at_cap() {
            let needed = self.needed();
            assert!(needed.contains(&begun), "{begun:?} begins at the cap, and nobody needs it");
            ready.retain(|id| needed.contains(id));
        }
        let at = ready.partition_point(|id| self.order(*id) < order);
        ready.insert(at, begun);
        let (first, held_back) = self.first_of(ready[..=at].to_vec(), group);
        if held_back {
            self.note("a task was held back for one that lacks resources");
        }
        if pulled {
            assert_eq!(first, Some(begun), "another was to go before {begun:?}");
        } else {
            let first = first.expect("at least the task itself can begin");
            let more_urgent =
                self.scheduler.tasks.get(first).expect("it is ready").priority > priority;
            assert!(!more_urgent, "{first:?} was to go before {begun:?}, which was handed over");
            let mut alone = ready[..at].to_vec();
            alone.retain(|id| self.lacks_something(*id, group));
            alone.push(begun);
            assert_eq!(self.first_of(alone, group).0, Some(begun), "{begun:?} overtakes");
        }
    }

    fn order(&self, id: TaskId) -> crate::task::Order {
        self.scheduler.tasks.order(self.scheduler.tasks.get(id).expect("it is kept"))
    }

    fn set_of(&self, id: TaskId) -> Option<&Set> {
        let task = self.scheduler.tasks.get(id).expect("it is kept");
        self.scheduler.tasks.set(task.rare).map(|set| self.scheduler.sets.get(set))
    }

    pub(super) fn ready_in_order(&self) -> Vec<TaskId> {
        let ready = self.scheduler.tasks.iter().filter(|(_, task)| task.state == State::Ready);
        let mut ready: Vec<TaskId> = ready.map(|(id, _)| id).collect();
        ready.sort_by_key(|id| self.order(*id));
        ready
    }

    /// Returns the first of these tasks, in their order, that the group could begin, and whether a
    /// task before it was held back so that another gets its resources.
    fn first_of(&self, tasks: Vec<TaskId>, group: GroupId) -> (Option<TaskId>, bool) {
        let mut awaited: Vec<ResourceId> = self.awaited_by_rejoining(group);
        let mut held_back = false;
        for id in tasks {
            let task = self.scheduler.tasks.get(id).expect("it is kept");
            let Some(set) = self.set_of(id) else { return (Some(id), held_back) };
            let may = match set.fit(group) {
                // A task that has begun goes on where it has its resources.
                _ if task.state != State::Ready && self.held_before.contains(&id) => true,
                Fit::Never => false,
                Fit::Chosen => true,
                Fit::Other => !self.is_wish_possible(id),
            };
            if !may {
                continue;
            }
            let lacking = self.lacking(id, group);
            if !lacking.is_empty() {
                if set.fit(group) == Fit::Chosen && self.scheduler.will_come(group, set.takes()) {
                    awaited.extend(lacking);
                }
            } else if self.takes(id).iter().any(|(resource, _)| awaited.contains(resource)) {
                held_back = true;
            } else {
                return (Some(id), held_back);
            }
        }
        (None, held_back)
    }

    /// Returns the resources of which the group has not enough for this task.
    fn lacking(&self, id: TaskId, group: GroupId) -> Vec<ResourceId> {
        let takes = self.takes(id).iter();
        let lacks = takes.filter(|(resource, amount)| self.available(group, *resource) < *amount);
        lacks.map(|(resource, _)| *resource).collect()
    }

    fn takes(&self, id: TaskId) -> &[(ResourceId, Amount)] {
        if self.held_before.contains(&id) {
            return &[];
        }
        self.set_of(id).map_or(&[], Set::takes)
    }

    fn available(&self, group: GroupId, resource: ResourceId) -> Amount {
        let now = self.scheduler.available(group, resource);
        let Some((task, _)) = self.just_begun.filter(|(_, at)| *at == group) else { return now };
        let taken = self.takes(task).iter().find(|(other, _)| *other == resource);
        now.plus(taken.map_or(Amount::default(), |(_, amount)| *amount))
    }

    fn lacks_something(&self, id: TaskId, group: GroupId) -> bool {
        !self.lacking(id, group).is_empty()
    }

    fn awaited_by_rejoining(&self, group: GroupId) -> Vec<ResourceId> {
        let rejoining = self.scheduler.workers.group(group).rejoining.iter();
        let wanted = rejoining.filter_map(|id| match self.scheduler.workers.get(*id)?.hold {
            Hold::GivenUp(set) => Some(self.scheduler.sets.get(set).takes()),
            _ => None,
        });
        wanted
            .filter(|takes| self.scheduler.will_come(group, takes))
            .flatten()
            .filter(|(resource, amount)| self.available(group, *resource) < *amount)
            .map(|(resource, _)| *resource)
            .collect()
    }

    /// Returns whether a group that this task prefers has a slot and the resources to spare.
    fn is_wish_possible(&self, id: TaskId) -> bool {
        let set = self.set_of(id).expect("it has a constraint");
        self.scheduler.workers.group_ids().any(|group| {
            let slots = self.scheduler.workers.group(group);
            let enough = |(resource, amount): &(ResourceId, Amount)| {
                self.available(group, *resource) >= *amount
            };
            set.fit(group) == Fit::Chosen
                && (slots.is_idle() || slots.tally.waking > 0)
                && set.takes().iter().all(enough)
        })
    }

    /// Returns the tasks that parked tasks wait for, directly or through dependencies, except those
    /// that are gone.
    fn needed(&self) -> BTreeSet<TaskId> {
        let parked = |thread: &&Thread| matches!(thread.state, ThreadState::Parked { .. });
        let waits = self.workers.values().filter(parked).filter_map(|it| it.waits_for.as_ref());
        let below = self.workers.values().flat_map(|it| it.below.iter().map(|(_, wait)| wait));
        let waits = waits.chain(below);
        let mut reached: Vec<TaskId> = waits.flat_map(|wait| wait.tasks.iter().copied()).collect();
        let mut needed = BTreeSet::new();
        while let Some(next) = reached.pop() {
            if let Some(task) = self.scheduler.tasks.get(next)
                && needed.insert(next)
                && matches!(task.state, State::Waiting { .. })
            {
                reached.extend(task.inputs.iter());
                reached.extend(self.scheduler.call_before(next));
                reached.extend(self.grown_below(task.payload));
            }
        }
        needed
    }
}
