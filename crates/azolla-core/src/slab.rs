//! A slab: the storage of tasks, in chunks of fixed size. Growing copies nothing, and an empty
//! chunk goes back to the allocator.
//!
//! Each place counts its generations. A chunk that is given back leaves behind the highest
//! generation of its places, so no id is used twice.

use crate::id::TaskId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;

const CHUNK: usize = 256;

/// A value that stores the generation of its place, for which it has four bytes to spare.
pub(crate) trait HasGeneration {
    fn generation(&self) -> NonZeroU32;
    fn set_generation(&mut self, generation: NonZeroU32);
}

pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// The chunks that have a vacant place or are not allocated. The last is used next.
    open: Vec<u32>,
    len: usize,
}

struct Chunk<T> {
    entries: Option<Box<[Entry<T>]>>,
    used: u16,
    vacant: u16,
    /// The generation at which all places begin when this chunk is allocated again.
    first_generation: NonZeroU32,
}

enum Entry<T> {
    Vacant { next: u16, generation: NonZeroU32 },
    Occupied(T),
}

/// The end of a chunk's list of vacant places.
const NONE: u16 = u16::MAX;

impl<T: HasGeneration> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), open: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns one more than the highest index that an id in this slab can have.
    pub(crate) fn places(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, value: T) -> TaskId {
        let at = match self.open.last() {
            Some(&at) => at as usize,
            None => {
                self.chunks.push(Chunk::unallocated());
                self.open.push((self.chunks.len() - 1) as u32);
                self.chunks.len() - 1
            }
        };
        let chunk = &mut self.chunks[at];
        let (place, generation) = chunk.insert(value);
        if chunk.vacant == NONE {
            self.open.pop();
        }
        self.len += 1;
        TaskId::new((at * CHUNK + place) as u32, generation)
    }

    #[inline]
    pub(crate) fn get(&self, id: TaskId) -> Option<&T> {
        let entries = self.chunks.get(id.index() / CHUNK)?.entries.as_ref()?;
        match &entries[id.index() % CHUNK] {
            Entry::Occupied(value) if value.generation() == id.generation() => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut T> {
        let entries = self.chunks.get_mut(id.index() / CHUNK)?.entries.as_mut()?;
        match &mut entries[id.index() % CHUNK] {
            Entry::Occupied(value) if value.generation() == id.generation() => Some(value),
            _ => None,
        }
    }

    /// Returns the value at this place, whatever its generation.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> Option<&T> {
        match &self.chunks.get(place / CHUNK)?.entries.as_ref()?[place % CHUNK] {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant { .. } => None,
        }
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut T> {
        match &mut self.chunks.get_mut(place / CHUNK)?.entries.as_mut()?[place % CHUNK] {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant { .. } => None,
        }
    }

    /// Returns the id of the value at this place.
    pub(crate) fn id_at(&self, place: usize) -> Option<TaskId> {
        match &self.chunks.get(place / CHUNK)?.entries.as_ref()?[place % CHUNK] {
            Entry::Occupied(value) => Some(TaskId::new(place as u32, value.generation())),
            Entry::Vacant { .. } => None,
        }
    }

    // Inlined, so that only the parts of the value that the caller uses are moved.
    #[inline(always)]
    pub(crate) fn remove(&mut self, id: TaskId) -> Option<T> {
        self.get(id)?;
        let at = id.index() / CHUNK;
        let chunk = &mut self.chunks[at];
        let was_full = chunk.vacant == NONE;
        let value = chunk.remove(id.index() % CHUNK)?;
        let used = chunk.used;
        if was_full {
            self.set_open(at as u32);
        }
        // The chunk that is filled next may stay empty, so that a task that comes and goes does not
        // allocate each time. Every other empty chunk is given back.
        if used == 0 && self.open.last() != Some(&(at as u32)) {
            self.chunks[at].give_back();
        }
        self.len -= 1;
        Some(value)
    }

    fn set_open(&mut self, at: u32) {
        if let Some(&before) = self.open.last() {
            self.chunks[before as usize].give_back();
        }
        self.open.push(at);
    }

    /// Returns the first id at or after `place`, and the place to continue from.
    pub(crate) fn next_from(&self, mut place: usize) -> Option<(usize, TaskId)> {
        while place < self.chunks.len() * CHUNK {
            let Some(entries) = &self.chunks[place / CHUNK].entries else {
                place = (place / CHUNK + 1) * CHUNK;
                continue;
            };
            if let Entry::Occupied(value) = &entries[place % CHUNK] {
                return Some((place + 1, TaskId::new(place as u32, value.generation())));
            }
            place += 1;
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskId, &T)> {
        self.chunks.iter().enumerate().flat_map(|(at, chunk)| {
            let entries = chunk.entries.as_deref().unwrap_or(&[]);
            entries.iter().enumerate().filter_map(move |(place, entry)| match entry {
                Entry::Occupied(value) => {
                    Some((TaskId::new((at * CHUNK + place) as u32, value.generation()), value))
                }
                Entry::Vacant { .. } => None,
            })
        })
    }
}

impl<T: HasGeneration> Chunk<T> {
    fn unallocated() -> Self {
        Self { entries: None, used: 0, vacant: 0, first_generation: NonZeroU32::MIN }
    }

    #[inline(always)]
    fn insert(&mut self, mut value: T) -> (usize, NonZeroU32) {
        let first_generation = self.first_generation;
        let entries = self.entries.get_or_insert_with(|| {
            (0..CHUNK as u16)
                .map(|place| Entry::Vacant {
                    next: if place + 1 == CHUNK as u16 { NONE } else { place + 1 },
                    generation: first_generation,
                })
                .collect()
        });
        let place = self.vacant as usize;
        let Entry::Vacant { next, generation } = entries[place] else {
            unreachable!("the list of vacant places named an occupied one");
        };
        value.set_generation(generation);
        entries[place] = Entry::Occupied(value);
        self.vacant = next;
        self.used += 1;
        (place, generation)
    }

    #[inline(always)]
    fn remove(&mut self, place: usize) -> Option<T> {
        let entry = &mut self.entries.as_mut()?[place];
        let Entry::Occupied(value) = entry else { return None };
        let generation = value.generation();
        // After 2³² tasks in one place the generations begin again.
        let next_generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.first_generation = self.first_generation.max(next_generation);
        let vacated = Entry::Vacant { next: self.vacant, generation: next_generation };
        let Entry::Occupied(value) = core::mem::replace(entry, vacated) else {
            return None;
        };
        self.vacant = place as u16;
        self.used -= 1;
        Some(value)
    }

    fn give_back(&mut self) {
        if self.used == 0 && self.entries.take().is_some() {
            self.vacant = 0;
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use alloc::vec::Vec;

    struct Item<T>(T, NonZeroU32);

    fn item<T>(value: T) -> Item<T> {
        Item(value, NonZeroU32::MAX)
    }

    impl<T> HasGeneration for Item<T> {
        fn generation(&self) -> NonZeroU32 {
            self.1
        }

        fn set_generation(&mut self, generation: NonZeroU32) {
            self.1 = generation;
        }
    }

    fn allocated<T>(slab: &Slab<T>) -> usize {
        slab.chunks.iter().filter(|chunk| chunk.entries.is_some()).count()
    }

    #[test]
    fn an_id_never_names_a_later_task() {
        let mut slab = Slab::new();
        let mut seen = Vec::new();
        for round in 0..5 {
            let ids: Vec<_> = (0..1000).map(|n| slab.insert(item((round, n)))).collect();
            assert!(ids.iter().all(|id| !seen.contains(id)));
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(slab.remove(*id).map(|item| item.0), Some((round, n)));
                assert!(slab.remove(*id).is_none());
            }
            seen.extend(ids);
        }
        assert!(seen.iter().all(|id| slab.get(*id).is_none()));
    }

    #[test]
    fn empty_chunks_are_given_back() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..10 * CHUNK).map(|n| slab.insert(item(n))).collect();
        assert_eq!(allocated(&slab), 10);
        for id in &ids[..9 * CHUNK] {
            slab.remove(*id);
        }
        assert!(allocated(&slab) <= 2, "{} chunks for one chunk's worth", allocated(&slab));
        for id in &ids[9 * CHUNK..] {
            slab.remove(*id);
        }
        assert!(allocated(&slab) <= 1);
        assert_eq!(slab.len(), 0);
        assert_eq!(slab.iter().count(), 0);
        let again = slab.insert(item(7));
        assert_eq!(slab.get(again).map(|item| item.0), Some(7));
    }

    #[test]
    fn places_are_walked_in_order() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..3 * CHUNK).map(|n| slab.insert(item(n))).collect();
        for id in &ids[10..2 * CHUNK + 5] {
            slab.remove(*id);
        }
        let mut walked = Vec::new();
        let mut place = 0;
        while let Some((next, id)) = slab.next_from(place) {
            walked.push(id);
            place = next;
        }
        assert_eq!(walked, slab.iter().map(|(id, _)| id).collect::<Vec<_>>());
        assert_eq!(walked.len(), slab.len());
    }
}
