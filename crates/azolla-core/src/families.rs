//! Families: which tasks have grown from which, and whether any of them is live.
//!
//! A *family* is what one task has submitted, its *children*. It is live while its task or a child is, or the family of a
//! child. So the family of a task is live until all that has grown from the task has ended. Only a task that has submitted
//! something has a family.
//!
//! When a task is forgotten, nobody can ask about its family any more. Its children then belong to the family that the task
//! itself belongs to, if it does: the family *joins* that one. So an endless chain, in which each task submits the next and
//! ends, takes constant memory. A family that has joined another is kept as a signpost while anything names it.
//!
//! A *gate* is a task that runs nowhere. It ends when a family does (`on/gate.rs`). The family of a *scope* is one whose task
//! is a gate: what is submitted there belongs to the scope, and has the place in the order that it would have without it.

mod ring;
mod scope;

pub use scope::Tally;

use crate::families::scope::Scope;
use crate::id::TaskId;
use crate::slab::{HasGeneration, Slab};
use crate::task::State;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::num::NonZeroU32;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

/// The place of a family, which is its own while anything names the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FamilyId(NonZeroU32);

impl FamilyId {
    fn at(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self)
    }

    pub(crate) fn to_bits(this: Option<Self>) -> u32 {
        this.map_or(0, |family| family.0.get())
    }

    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

pub(crate) struct Families {
    all: Slab<Family>,
    /// The gates that have not ended, by the family that they wait for.
    pub(crate) gates: HashMap<FamilyId, SmallVec<[TaskId; 1]>, FxBuildHasher>,
    /// Who has submitted the key of a live task again, by the family of who did; `None` is outside of all families. A family
    /// here is named.
    pub(crate) sharers: HashMap<TaskId, Vec<Option<FamilyId>>, FxBuildHasher>,
    /// How many gates may pass soon: closed scopes that are not busy, and watches of growth.
    pub(crate) urgent: usize,
    /// The memory of lists that were emptied, for the next new families.
    spare: Vec<Vec<TaskId>>,
}

pub(crate) struct Family {
    /// The task that has submitted its tasks. Gone if the family has joined another, or was never more than a signpost.
    pub(crate) task: TaskId,
    /// The number of that task, by which its children are ordered. 0 if they are roots.
    pub(crate) number: u64,
    /// The family that its task belongs to. If it has joined: the family that it has joined.
    pub(crate) up: Option<FamilyId>,
    /// The scope that it is in, or which it is.
    scope: Option<FamilyId>,
    /// How many of these are live: its task, its children without families, and the families of its children.
    pub(crate) live: u32,
    /// How many name it: its task, kept children, and families that have it above them.
    named: u32,
    /// It counts for the family above it.
    pub(crate) counts: bool,
    /// Its task is counted in `live`.
    pub(crate) is_task_live: bool,
    /// What is submitted to it is cancelled.
    pub(crate) is_cut: bool,
    /// Its live children. May name some that have ended.
    pub(crate) children: Vec<TaskId>,
    /// One of the families of its children, which are in a ring.
    below: Option<FamilyId>,
    next: Option<FamilyId>,
    before: Option<FamilyId>,
    /// Set if it is a scope.
    pub(crate) of_scope: Option<Box<Scope>>,
    generation: NonZeroU32,
}

impl HasGeneration for Family {
    fn generation(&self) -> NonZeroU32 {
        self.generation
    }

    fn set_generation(&mut self, generation: NonZeroU32) {
        self.generation = generation;
    }
}

/// How many empty lists are kept for later.
const SPARE: usize = 16;

/// A family with fewer children is not worth looking through for those that have ended.
const MANY_CHILDREN: usize = 32;

impl Families {
    pub(crate) fn new() -> Self {
        let (gates, sharers) = (HashMap::default(), HashMap::default());
        Self { all: Slab::new(), gates, sharers, urgent: 0, spare: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (FamilyId, &Family)> {
        self.all.iter().map(|(id, family)| (FamilyId::at(id.index()), family))
    }

    /// Returns a family that something names.
    #[inline]
    pub(crate) fn get(&self, id: FamilyId) -> &Family {
        self.all.at(id.index()).expect("a family that is named is kept")
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: FamilyId) -> &mut Family {
        self.all.at_mut(id.index()).expect("a family that is named is kept")
    }

    /// Returns the number of the task by which the children of this family are ordered.
    #[inline]
    pub(crate) fn number(&self, id: Option<FamilyId>) -> u64 {
        id.map_or(0, |id| self.get(id).number)
    }

    /// Makes the family of this task, which belongs to the family `up`. It is named by its task.
    pub(crate) fn add(
        &mut self,
        task: TaskId,
        number: u64,
        up: Option<FamilyId>,
        is_live: bool,
    ) -> FamilyId {
        let up = self.found(up);
        let scope = up.and_then(|up| self.scope(up));
        let children = self.spare.pop().unwrap_or_default();
        let id = self.insert(Family {
            live: u32::from(is_live),
            counts: is_live && up.is_some(),
            is_task_live: is_live,
            is_cut: up.is_some_and(|up| self.get(up).is_cut),
            children,
            ..Family::signpost(task, number, up, scope)
        });
        if let Some(up) = up {
            self.link(up, id);
        }
        id
    }

    /// Makes a family of which the children are ordered as those of the task with this number, and belong to the family `up`.
    /// Nothing names it yet.
    pub(crate) fn add_signpost(&mut self, number: u64, up: Option<FamilyId>) -> FamilyId {
        let up = self.found(up);
        let id = self.insert(Family::signpost(TaskId::GONE, number, up, None));
        self.get_mut(id).named = 0;
        id
    }

    fn insert(&mut self, family: Family) -> FamilyId {
        if let Some(up) = family.up {
            self.name(up);
        }
        FamilyId::at(self.all.insert(family).index())
    }

    #[inline]
    pub(crate) fn name(&mut self, id: FamilyId) {
        self.get_mut(id).named += 1;
    }

    /// One that has named this family does so no more. What nothing names goes.
    #[inline]
    pub(crate) fn unname(&mut self, id: FamilyId) {
        let family = self.get_mut(id);
        family.named -= 1;
        if family.named == 0 {
            self.remove(id);
        }
    }

    #[inline(never)]
    fn remove(&mut self, mut id: FamilyId) {
        loop {
            let removed = self.all.id_at(id.index()).and_then(|place| self.all.remove(place));
            let Some(up) = removed.and_then(|family| family.up) else { return };
            let family = self.get_mut(up);
            family.named -= 1;
            if family.named > 0 {
                return;
            }
            id = up;
        }
    }

    /// Returns the family that this one has joined, if it still is one, or this one.
    #[inline]
    pub(crate) fn found(&mut self, id: Option<FamilyId>) -> Option<FamilyId> {
        let id = id?;
        if self.get(id).has_joined() { self.follow(id) } else { Some(id) }
    }

    #[inline(never)]
    fn follow(&mut self, from: FamilyId) -> Option<FamilyId> {
        let end = self.find(Some(from));
        // The next search from here is short.
        let family = self.get_mut(from);
        let before = mem::replace(&mut family.up, end);
        if before != end {
            if let Some(end) = end {
                self.name(end);
            }
            if let Some(before) = before {
                self.unname(before);
            }
        }
        end
    }

    /// As [`found`](Self::found), without making the next search shorter.
    pub(crate) fn find(&self, mut id: Option<FamilyId>) -> Option<FamilyId> {
        while let Some(at) = id
            && self.get(at).has_joined()
        {
            id = self.get(at).up;
        }
        id
    }

    /// Returns the scope that this family, which has joined no other, is in or is.
    #[inline]
    pub(crate) fn scope(&self, id: FamilyId) -> Option<FamilyId> {
        self.get(id).scope_at(id)
    }

    /// Returns the scope that a task of this family is in.
    #[inline]
    pub(crate) fn scope_of(&mut self, family: Option<FamilyId>) -> Option<FamilyId> {
        let at = self.found(family)?;
        self.scope(at)
    }

    /// One more of those that this family counts is live.
    #[inline]
    pub(crate) fn gains(&mut self, family: FamilyId) {
        let mut next = Some(family);
        while let Some(id) = self.found(next) {
            let family = self.get_mut(id);
            family.live += 1;
            if family.counts || family.up.is_none() {
                return;
            }
            family.counts = true;
            next = family.up;
        }
    }

    /// Returns whether the list of children is full, and so long that those that have ended are to leave it first.
    pub(crate) fn is_to_prune(&self, id: FamilyId) -> bool {
        self.get(id).is_to_prune()
    }

    /// Puts a live child into this family, which it names. Returns whether that is in a scope, or `None`, and does nothing, where it
    /// is not as simple as it mostly is.
    #[inline]
    pub(crate) fn add_simply(&mut self, id: FamilyId, child: TaskId) -> Option<bool> {
        let family = self.get_mut(id);
        let is_simple = !family.has_joined()
            && !family.is_to_prune()
            && (family.counts || family.up.is_none())
            && !family.is_cut;
        if !is_simple {
            return None;
        }
        family.named += 1;
        family.live += 1;
        family.children.push(child);
        let scope = family.scope_at(id);
        if let Some(scope) = scope {
            self.count(scope, None, Some(State::Ready));
        }
        Some(scope.is_some())
    }

    /// A child of this family, which has none of its own, has ended. Returns false, and does nothing, where that is not as
    /// simple as it mostly is.
    #[inline]
    pub(crate) fn end_simply(&mut self, id: FamilyId, state: State) -> bool {
        let is_shared = !self.sharers.is_empty();
        let family = self.get_mut(id);
        if family.has_joined() || family.live == 1 || is_shared || state == State::Failed {
            return false;
        }
        family.live -= 1;
        let scope = family.scope_at(id);
        if let Some(scope) = scope {
            self.count(scope, Some(State::Ready), Some(state));
        }
        true
    }

    /// The task of this family is forgotten. Returns the family that it joins, if that counts one fewer now.
    #[inline(never)]
    pub(crate) fn join(&mut self, id: FamilyId) -> Option<FamilyId> {
        let up = self.get(id).up;
        let up = self.found(up);
        if let Some(up) = up {
            self.unlink(up, id);
        }
        self.leaves_scope(id);
        let family = self.get_mut(id);
        family.task = TaskId::GONE;
        let (live, counted) = (mem::take(&mut family.live), mem::take(&mut family.counts));
        let (children, below) = (mem::take(&mut family.children), family.below.take());
        if let Some(up) = up {
            let into = self.get_mut(up);
            into.live += live;
            // The shorter list moves, so that no child moves often.
            let (mut more, mut fewer) = (mem::take(&mut into.children), children);
            if more.len() < fewer.len() {
                mem::swap(&mut more, &mut fewer);
            }
            more.append(&mut fewer);
            into.children = more;
            self.save(fewer);
            if let Some(below) = below {
                self.splice(up, below);
            }
        }
        self.follow(id);
        self.unname(id);
        up.filter(|_| counted)
    }

    /// No child of this family is live.
    pub(crate) fn empty(&mut self, id: FamilyId) {
        let mut children = mem::take(&mut self.get_mut(id).children);
        children.clear();
        self.save(children);
    }

    /// Keeps the memory of an empty list, unless there is enough.
    fn save(&mut self, list: Vec<TaskId>) {
        if self.spare.len() < SPARE && (1..=MANY_CHILDREN).contains(&list.capacity()) {
            self.spare.push(list);
        }
    }
}

impl Family {
    fn signpost(task: TaskId, number: u64, up: Option<FamilyId>, scope: Option<FamilyId>) -> Self {
        Self {
            task,
            number,
            up,
            scope,
            live: 0,
            named: 1,
            counts: false,
            is_task_live: false,
            is_cut: false,
            children: Vec::new(),
            below: None,
            next: None,
            before: None,
            of_scope: None,
            generation: NonZeroU32::MIN,
        }
    }

    /// Returns the scope that this family, of this place, is in or is.
    #[inline]
    fn scope_at(&self, id: FamilyId) -> Option<FamilyId> {
        if self.of_scope.is_some() { Some(id) } else { self.scope }
    }

    #[inline]
    fn is_to_prune(&self) -> bool {
        self.children.len() == self.children.capacity() && self.children.len() >= MANY_CHILDREN
    }

    #[inline]
    pub(crate) fn has_joined(&self) -> bool {
        self.task == TaskId::GONE
    }

    pub(crate) fn named(&self) -> u32 {
        self.named
    }

    /// Returns the scope that it is in, if it is a scope.
    pub(crate) fn scope_around(&self) -> Option<FamilyId> {
        self.of_scope.as_ref().and(self.scope)
    }
}
