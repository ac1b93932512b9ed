//! The constraint sets. Each distinct constraint is stored once, together with a queue of the ready
//! tasks that have it. A set is kept as long as a task has it, or something that it takes is held.

use crate::constraint::{Amount, Constraint, GroupId, ResourceId};
use crate::id::{Priority, TaskId};
use crate::ready::ReadyQueue;
use crate::task::{Lineage, Order};
use crate::workers::Slots;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::num::NonZeroU32;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// A constraint set: its place in [`Sets`], counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SetId(NonZeroU32);

pub(crate) struct Sets {
    all: Vec<Option<Set>>,
    vacant: Vec<SetId>,
    by_constraint: HashMap<Arc<Constraint>, SetId, FxBuildHasher>,
    /// The sets that have ready tasks and that some group can run.
    ready: Vec<SetId>,
    ready_tasks: usize,
    /// Ready tasks that no group can ever run.
    unrunnable: usize,
}

pub(crate) struct Set {
    constraint: Arc<Constraint>,
    /// How many tasks have it, plus how many workers and workerless tasks hold what it takes.
    uses: usize,
    /// By the number of the group.
    fits: Box<[Fit]>,
    /// True if some group fits.
    is_runnable: bool,
    pub(crate) queue: ReadyQueue,
    /// The position of its first ready task in the order.
    pub(crate) head: Option<Order>,
    /// Its index in `Sets::ready`, if it is there.
    place: usize,
}

/// Says if a group may run the tasks of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// It may not, or its total of some resource is too small.
    Never,
    /// It may.
    Chosen,
    /// It may as long as no preferred group can.
    Other,
}

impl Sets {
    pub(crate) fn new() -> Self {
        Self {
            all: Vec::new(),
            vacant: Vec::new(),
            by_constraint: HashMap::default(),
            ready: Vec::new(),
            ready_tasks: 0,
            unrunnable: 0,
        }
    }

    /// Returns how many ready tasks have a constraint that some group can meet.
    pub(crate) fn ready_tasks(&self) -> usize {
        self.ready_tasks
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_constraint.is_empty()
    }

    pub(crate) fn unrunnable(&self) -> usize {
        self.unrunnable
    }

    /// Returns the sets that have ready tasks and that some group can run.
    pub(crate) fn ready(&self) -> impl Iterator<Item = (SetId, &Set)> {
        self.ready.iter().map(|id| (*id, self.get(*id)))
    }

    pub(crate) fn get(&self, id: SetId) -> &Set {
        self.all[id.index()].as_ref().expect("a set is kept while it is used")
    }

    fn get_mut(&mut self, id: SetId) -> &mut Set {
        self.all[id.index()].as_mut().expect("a set is kept while it is used")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SetId, &Set)> {
        let numbered = self.all.iter().enumerate();
        numbered.filter_map(|(at, set)| Some((SetId::at(at), set.as_ref()?)))
    }

    /// Returns the set of this constraint, and counts one more use of it.
    #[inline(never)]
    pub(crate) fn of(&mut self, constraint: Arc<Constraint>, groups: &[Slots]) -> SetId {
        if let Some(id) = self.by_constraint.get(&constraint).copied() {
            self.use_again(id);
            return id;
        }
        let set = Set::new(Arc::clone(&constraint), groups);
        let id = match self.vacant.pop() {
            Some(id) => {
                self.all[id.index()] = Some(set);
                id
            }
            None => {
                self.all.push(Some(set));
                SetId::at(self.all.len() - 1)
            }
        };
        self.by_constraint.insert(constraint, id);
        id
    }

    pub(crate) fn use_again(&mut self, id: SetId) {
        self.get_mut(id).uses += 1;
    }

    /// Counts one use fewer, and removes a set that is no longer used.
    pub(crate) fn let_go(&mut self, id: SetId) {
        let set = self.get_mut(id);
        set.uses -= 1;
        if set.uses == 0
            && let Some(set) = self.all[id.index()].take()
        {
            self.by_constraint.remove(&set.constraint);
            self.vacant.push(id);
        }
    }

    /// A task of this set has become ready.
    #[inline(never)]
    pub(crate) fn push(&mut self, id: SetId, task: TaskId, priority: Priority, lineage: Lineage) {
        let place = self.ready.len();
        let set = self.get_mut(id);
        let was_empty = set.queue.len() == 0;
        set.queue.push(task, priority, lineage.number, lineage.line());
        let order = lineage.order(priority);
        set.head = Some(set.head.map_or(order, |head| head.min(order)));
        if !set.is_runnable {
            self.unrunnable += 1;
            return;
        }
        if was_empty {
            set.place = place;
            self.ready.push(id);
        }
        self.ready_tasks += 1;
    }

    /// A task of this set is no longer ready. `order` returns the position of an entry that still
    /// counts.
    #[inline(never)]
    pub(crate) fn removed(
        &mut self,
        id: SetId,
        gone: Order,
        order: impl Fn(u64, TaskId) -> Option<Order>,
    ) {
        let set = self.get_mut(id);
        set.queue.removed(gone.priority(), |number, task| order(number, task).is_some());
        if set.head == Some(gone) {
            set.find_head(order);
        }
        self.one_fewer(id);
    }

    /// Takes the task of this set that goes first. The queue no longer counts it, so the caller
    /// must set its state.
    pub(crate) fn pop(
        &mut self,
        id: SetId,
        order: impl Fn(u64, TaskId) -> Option<Order>,
    ) -> Option<TaskId> {
        let set = self.get_mut(id);
        let task = set.queue.pop(|number, task| order(number, task).is_some())?;
        set.find_head(|number, other| order(number, other).filter(|_| other != task));
        self.one_fewer(id);
        Some(task)
    }

    /// Returns the task of this set that goes first, and leaves it in the queue.
    pub(crate) fn peek(
        &mut self,
        id: SetId,
        is_ready: impl Fn(u64, TaskId) -> bool,
    ) -> Option<TaskId> {
        self.get_mut(id).queue.peek(is_ready)
    }

    /// Groups have come or were retired: finds out anew where each set may run.
    pub(crate) fn refit(&mut self, groups: &[Slots]) {
        for at in 0..self.all.len() {
            let place = self.ready.len();
            let Some(set) = &mut self.all[at] else { continue };
            let was_runnable = set.is_runnable;
            set.find_fits(groups);
            let (is_runnable, tasks, from) = (set.is_runnable, set.queue.len(), set.place);
            if was_runnable == is_runnable || tasks == 0 {
                continue;
            }
            if is_runnable {
                set.place = place;
                self.ready.push(SetId::at(at));
                self.ready_tasks += tasks;
                self.unrunnable -= tasks;
            } else {
                self.ready_tasks -= tasks;
                self.unrunnable += tasks;
                self.no_longer_ready(from);
            }
        }
    }

    fn no_longer_ready(&mut self, place: usize) {
        self.ready.swap_remove(place);
        if let Some(moved) = self.ready.get(place).copied() {
            self.get_mut(moved).place = place;
        }
    }

    fn one_fewer(&mut self, id: SetId) {
        let Set { is_runnable, ref queue, place, .. } = *self.get(id);
        let is_empty = queue.len() == 0;
        if !is_runnable {
            self.unrunnable -= 1;
            return;
        }
        self.ready_tasks -= 1;
        if is_empty {
            self.no_longer_ready(place);
        }
    }
}

impl Set {
    fn new(constraint: Arc<Constraint>, groups: &[Slots]) -> Self {
        let (fits, queue) = (Box::default(), ReadyQueue::new());
        let mut set =
            Self { constraint, uses: 1, fits, is_runnable: false, queue, head: None, place: 0 };
        set.find_fits(groups);
        set
    }

    fn find_fits(&mut self, groups: &[Slots]) {
        let constraint = &self.constraint;
        let is_gone = |group: &GroupId| groups.get(group.index()).is_some_and(|it| it.is_retired);
        let anywhere = constraint.is_orphaned(is_gone);
        let each = groups.iter().enumerate();
        self.fits = each.map(|(at, group)| fit(constraint, at, group, anywhere)).collect();
        self.is_runnable = self.fits.iter().any(|fit| *fit != Fit::Never);
    }

    pub(crate) fn takes(&self) -> &[(ResourceId, Amount)] {
        self.constraint.takes()
    }

    pub(crate) fn fit(&self, group: GroupId) -> Fit {
        self.fits[group.index()]
    }

    /// Returns whether the constraint names this group, or names none.
    #[cfg(test)]
    pub(crate) fn names(&self, group: GroupId) -> bool {
        self.constraint.names(group)
    }

    pub(crate) fn is_runnable(&self) -> bool {
        self.is_runnable
    }

    pub(crate) fn uses(&self) -> usize {
        self.uses
    }

    fn find_head(&mut self, order: impl Fn(u64, TaskId) -> Option<Order>) {
        // The queue looks at a few entries. The first in the order among those that count is its
        // first.
        let head: Cell<Option<Order>> = Cell::new(None);
        self.queue.peek(|number, task| {
            let order = order(number, task);
            head.set(head.get().into_iter().chain(order).min());
            order.is_some()
        });
        self.head = head.get();
    }
}

fn fit(constraint: &Constraint, at: usize, group: &Slots, anywhere: bool) -> Fit {
    let enough =
        |(resource, amount): &(ResourceId, Amount)| group.stock(*resource).total >= *amount;
    if group.slots == 0 || group.is_retired || !constraint.takes().iter().all(enough) {
        Fit::Never
    } else if anywhere || constraint.names(GroupId(at as u16)) {
        Fit::Chosen
    } else if constraint.lets_others() {
        Fit::Other
    } else {
        Fit::Never
    }
}

impl SetId {
    fn at(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}
