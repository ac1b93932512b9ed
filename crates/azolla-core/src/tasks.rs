//! The table of tasks, and beside it a table of what only some tasks have, above all a key.

use crate::ensure::ensure;
use crate::families::{Families, FamilyId};
use crate::id::{Key, TaskId};
use crate::sets::SetId;
use crate::slab::{HasGeneration, Slab};
use crate::task::{Grown, Lineage, Order, Precedence, Rare, Siblings, Task};
use alloc::string::String;
use core::hash::BuildHasher;
use core::num::NonZeroU32;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

pub(crate) struct Tasks<P> {
    all: Slab<Task<P>>,
    extras: Slab<Extra>,
    keys: HashTable<Keyed>,
    pub(crate) families: Families,
}

/// The place of a key's [`Extra`], and half of the key's hash, so that a growing table reads no
/// keys.
#[derive(Clone, Copy)]
struct Keyed {
    hash: u32,
    place: u32,
}

/// What only some tasks have.
struct Extra {
    /// The place of the task.
    task: u32,
    /// The family of what it has submitted.
    family: Option<FamilyId>,
    key: Option<Key>,
    set: Option<SetId>,
    precedence: Precedence,
    generation: NonZeroU32,
}

const _: () = assert!(size_of::<Extra>() == 40);

impl Extra {
    fn of(task: TaskId) -> Self {
        Self {
            task: task.index() as u32,
            family: None,
            key: None,
            set: None,
            precedence: Precedence::BY_LINEAGE,
            generation: NonZeroU32::MIN,
        }
    }
}

impl HasGeneration for Extra {
    fn generation(&self) -> NonZeroU32 {
        self.generation
    }

    fn set_generation(&mut self, generation: NonZeroU32) {
        self.generation = generation;
    }
}

/// A table with room for fewer keys is not worth shrinking.
const MANY_KEYS: usize = 1024;

impl<P> Tasks<P> {
    pub(crate) fn new() -> Self {
        let (all, extras, keys) = (Slab::new(), Slab::new(), HashTable::new());
        Self { all, extras, keys, families: Families::new() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn places(&self) -> usize {
        self.all.places()
    }

    #[inline]
    pub(crate) fn get(&self, id: TaskId) -> Option<&Task<P>> {
        self.all.get(id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task<P>> {
        self.all.get_mut(id)
    }

    /// Returns whether this task has not ended.
    #[inline]
    pub(crate) fn is_live(&self, id: TaskId) -> bool {
        self.get(id).is_some_and(|task| !task.state.is_settled())
    }

    pub(crate) fn is_gate(&self, id: TaskId) -> bool {
        self.get(id).is_some_and(|task| task.rare.is_gate())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskId, &Task<P>)> {
        self.all.iter()
    }

    pub(crate) fn next_from(&self, place: usize) -> Option<(usize, TaskId)> {
        self.all.next_from(place)
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, task: Task<P>, key: Option<Key>, set: Option<SetId>) -> TaskId {
        let id = self.all.insert(task);
        if key.is_some() || set.is_some() {
            self.add_extra(id, Extra { key, set, ..Extra::of(id) });
        }
        id
    }

    /// Removes a task and its key. The caller must let go of the constraint set that it had, and of its families before.
    #[inline(always)]
    pub(crate) fn remove(&mut self, id: TaskId) -> Option<(Task<P>, Option<SetId>)> {
        let task = self.all.remove(id)?;
        let set = task.rare.place().and_then(|place| self.remove_extra(place));
        Some((task, set))
    }

    /// Returns the task that has this key.
    #[inline]
    pub(crate) fn find(&self, key: Key) -> Option<TaskId> {
        let wanted = Keyed::new(key, 0);
        let has =
            |it: &Keyed| it.hash == wanted.hash && self.key_at(it.place as usize) == Some(key);
        let keyed = self.keys.find(wanted.spread(), has)?;
        self.all.id_at(self.extras.at(keyed.place as usize)?.task as usize)
    }

    /// Returns the family of what this task has submitted.
    #[inline]
    pub(crate) fn family(&self, rare: Rare) -> Option<FamilyId> {
        if rare.is_related() { self.extra(rare)?.family } else { None }
    }

    pub(crate) fn set_family(&mut self, id: TaskId, family: FamilyId) {
        let Some(task) = self.all.get_mut(id) else { return };
        task.rare.set_related();
        match task.rare.place().and_then(|place| self.extras.at_mut(place)) {
            Some(extra) => extra.family = Some(family),
            None => self.add_extra(id, Extra { family: Some(family), ..Extra::of(id) }),
        }
    }

    pub(crate) fn key(&self, rare: Rare) -> Option<Key> {
        self.extra(rare)?.key
    }

    /// Returns how many keys there are.
    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Returns the constraint set, if the task has one.
    #[inline]
    pub(crate) fn set(&self, rare: Rare) -> Option<SetId> {
        self.extra(rare)?.set
    }

    /// Returns whether the task is queued under its own lineage.
    #[inline]
    pub(crate) fn is_queued_by_lineage(&self, rare: Rare) -> bool {
        self.extra(rare).is_none_or(|extra| extra.precedence == Precedence::BY_LINEAGE)
    }

    #[inline]
    pub(crate) fn lineage(&self, grown: Grown) -> Lineage {
        grown.lineage(self.families.number(grown.family()))
    }

    /// Returns the line that a task of this lineage stands in; `None` for a root.
    #[inline]
    pub(crate) fn line(&self, grown: Grown) -> Option<Siblings> {
        // Most tasks are roots, and need no unpacking.
        if grown.has_family() { self.line_in_family(grown) } else { None }
    }

    #[inline(never)]
    fn line_in_family(&self, grown: Grown) -> Option<Siblings> {
        self.lineage(grown).line()
    }

    /// Returns the lineage under which to queue a task.
    #[inline]
    pub(crate) fn queued_as(&self, grown: Grown, rare: Rare) -> Lineage {
        let lineage = self.lineage(grown);
        match self.extra(rare) {
            Some(extra) => extra.precedence.queued_as(lineage),
            None => lineage,
        }
    }

    /// Returns the number of the lineage under which to queue a task.
    #[inline]
    pub(crate) fn queued_number(&self, task: &Task<P>) -> u64 {
        match self.extra(task.rare) {
            Some(extra) => extra.precedence.queued_number(task.grown.number()),
            None => task.grown.number(),
        }
    }

    pub(crate) fn order(&self, task: &Task<P>) -> Order {
        self.queued_as(task.grown, task.rare).order(task.priority)
    }

    pub(crate) fn set_precedence(&mut self, id: TaskId, precedence: Precedence) {
        let Some(task) = self.get(id) else { return };
        match task.rare.place().and_then(|place| self.extras.at_mut(place)) {
            Some(extra) => extra.precedence = precedence,
            None if precedence == Precedence::BY_LINEAGE => {}
            None => self.add_extra(id, Extra { precedence, ..Extra::of(id) }),
        }
    }

    /// Gives a task a constraint set. Returns the one that it had, which the caller must let go of.
    pub(crate) fn replace_set(&mut self, id: TaskId, set: SetId) -> Option<SetId> {
        let task = self.get(id)?;
        match task.rare.place().and_then(|place| self.extras.at_mut(place)) {
            Some(extra) => extra.set.replace(set),
            None => {
                self.add_extra(id, Extra { set: Some(set), ..Extra::of(id) });
                None
            }
        }
    }

    /// Takes a task's key away, so that the task is no longer found.
    pub(crate) fn forget_key(&mut self, id: TaskId) {
        let place = self.get(id).and_then(|task| task.rare.place());
        if let Some(place) = place
            && let Some(extra) = self.extras.at_mut(place)
            && let Some(key) = extra.key.take()
        {
            self.free_key(key, place);
        }
    }

    /// Checks that every extra belongs to the task that refers to it, and that keys are found.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut extras = 0;
        for (id, task) in self.iter() {
            let Some(place) = task.rare.place() else { continue };
            extras += 1;
            let extra = self.extras.at(place);
            let its = extra.is_some_and(|extra| extra.task as usize == id.index());
            ensure!(its, "{id:?} has what is another's");
            let key = self.key(task.rare);
            let found = key.and_then(|key| self.find(key));
            ensure!(key.is_none() || found == Some(id), "{id:?} has a key, by which is {found:?}");
        }
        ensure!(extras == self.extras.len(), "{extras} tasks have what {} do", self.extras.len());
        Ok(())
    }

    fn key_at(&self, place: usize) -> Option<Key> {
        self.extras.at(place)?.key
    }

    #[inline]
    fn extra(&self, rare: Rare) -> Option<&Extra> {
        self.extras.at(rare.place()?)
    }

    #[inline(never)]
    fn add_extra(&mut self, task: TaskId, extra: Extra) {
        let key = extra.key;
        let place = self.extras.insert(extra).index();
        if let Some(task) = self.get_mut(task) {
            task.rare.set_place(place);
        }
        if let Some(key) = key {
            let keyed = Keyed::new(key, place);
            self.keys.insert_unique(keyed.spread(), keyed, Keyed::spread);
        }
    }

    #[inline(never)]
    fn remove_extra(&mut self, place: usize) -> Option<SetId> {
        let extra = self.extras.remove(self.extras.id_at(place)?)?;
        if let Some(key) = extra.key {
            self.free_key(key, place);
        }
        extra.set
    }

    /// Removes a key, and shrinks a large table once most of its keys are gone.
    fn free_key(&mut self, key: Key, place: usize) {
        let keyed = Keyed::new(key, place);
        let is_it = |other: &Keyed| other.place == keyed.place;
        if let Ok(entry) = self.keys.find_entry(keyed.spread(), is_it) {
            entry.remove();
        }
        let (room, left) = (self.keys.capacity(), self.keys.len());
        if room > MANY_KEYS && left < room / 8 {
            self.keys.shrink_to(2 * left, Keyed::spread);
        }
    }
}

impl Keyed {
    fn new(key: Key, place: usize) -> Self {
        Self { hash: (FxBuildHasher.hash_one(key) >> 32) as u32, place: place as u32 }
    }

    /// Returns the hash that the table uses. The table looks at both ends of it.
    fn spread(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}
