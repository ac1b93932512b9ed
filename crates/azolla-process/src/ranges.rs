//! Which ranges of an arena are free. The process that owns the arena asks here for each thing that it stores.
//!
//! Ranges begin at a page, since what is large is mapped. The smallest free range that suffices is taken, and of those
//! the first, so that the arena stays short.

use std::collections::{BTreeMap, BTreeSet};

/// What ranges are rounded up to, in bytes. A mapping begins at a page of the system, and none of those is longer.
pub const PAGE: u64 = 64 * 1024;

/// The free ranges of an arena, and where it ends.
#[derive(Debug)]
pub struct Ranges {
    /// The lengths of the free ranges by their starts. No two of them touch each other.
    free: BTreeMap<u64, u64>,
    /// The same ranges: their lengths, then their starts.
    by_length: BTreeSet<(u64, u64)>,
    start: u64,
    end: u64,
    /// How many bytes are free, all together.
    unused: u64,
    most: u64,
}

impl Ranges {
    /// An arena that begins at `start` and never reaches beyond `most`, both in bytes.
    #[must_use]
    pub fn new(start: u64, most: u64) -> Self {
        Self {
            free: BTreeMap::new(),
            by_length: BTreeSet::new(),
            start: start.next_multiple_of(PAGE),
            end: start.next_multiple_of(PAGE),
            unused: 0,
            most,
        }
    }

    /// Where the arena ends: every range that was ever taken lies below.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes are in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.end - self.start - self.unused
    }

    /// Takes a range of at least so many bytes, and returns where it begins. Returns `None` if the arena would grow too
    /// long.
    pub fn take(&mut self, length: u64) -> Option<u64> {
        let length = whole(length)?;
        if let Some(&(found, start)) = self.by_length.range((length, 0)..).next() {
            self.remove(start, found);
            if found > length {
                self.insert(start + length, found - length);
            }
            return Some(start);
        }
        // What is free at the end is made longer.
        let last = self.free.last_key_value().map(|(start, length)| (*start, *length));
        let last = last.filter(|(start, length)| start + length == self.end);
        let start = last.map_or(self.end, |(start, _)| start);
        let end = start.checked_add(length).filter(|end| *end <= self.most)?;
        if let Some((start, length)) = last {
            self.remove(start, length);
        }
        self.end = end;
        Some(start)
    }

    /// Gives back a range that was taken, by its start and the length that was asked for.
    ///
    /// # Panics
    /// If a part of it is free already, or lies beyond the end.
    pub fn give_back(&mut self, start: u64, length: u64) {
        let length = whole(length).expect("it was taken");
        let (mut start, mut end) = (start, start + length);
        assert!(end <= self.end, "the range ends at {end}, beyond the end of the arena");
        let before = self.free.range(..end).next_back().map(|(start, length)| (*start, *length));
        if let Some((first, length)) = before {
            assert!(first + length <= start, "a part of the range at {start} is free already");
            if first + length == start {
                self.remove(first, length);
                start = first;
            }
        }
        if let Some(&length) = self.free.get(&end) {
            self.remove(end, length);
            end += length;
        }
        self.insert(start, end - start);
    }

    fn insert(&mut self, start: u64, length: u64) {
        self.unused += length;
        self.free.insert(start, length);
        self.by_length.insert((length, start));
    }

    fn remove(&mut self, start: u64, length: u64) {
        self.unused -= length;
        self.free.remove(&start);
        self.by_length.remove(&(length, start));
    }
}

/// The length of the pages for so many bytes. Nothing takes a page too.
fn whole(length: u64) -> Option<u64> {
    length.max(1).checked_next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_range_that_suffices_is_taken() {
        let mut ranges = Ranges::new(0, u64::MAX);
        let taken: Vec<_> = [3, 1, 1, 1, 2].map(|pages| ranges.take(pages * PAGE).unwrap()).into();
        ranges.give_back(taken[0], 3 * PAGE);
        ranges.give_back(taken[2], PAGE);
        assert_eq!(ranges.take(1), Some(taken[2]));
        assert_eq!(ranges.take(2 * PAGE), Some(taken[0]));
        assert_eq!((ranges.used(), ranges.end()), (7 * PAGE, 8 * PAGE));
    }

    #[test]
    fn what_is_free_at_the_end_is_made_longer() {
        let mut ranges = Ranges::new(1, 4 * PAGE);
        assert_eq!(ranges.take(PAGE), Some(PAGE), "it begins at a page");
        ranges.give_back(PAGE, PAGE);
        assert_eq!(ranges.take(4 * PAGE), None, "it would be too long");
        assert_eq!(ranges.take(3 * PAGE), Some(PAGE));
        assert_eq!((ranges.take(0), ranges.take(u64::MAX)), (None, None));
        ranges.give_back(PAGE, 3 * PAGE);
        assert_eq!(ranges.take(0), Some(PAGE));
    }

    #[test]
    #[should_panic(expected = "is free already")]
    fn nothing_is_given_back_twice() {
        let mut ranges = Ranges::new(0, u64::MAX);
        let _ = (ranges.take(5 * PAGE), ranges.take(PAGE));
        ranges.give_back(0, 5 * PAGE);
        ranges.give_back(PAGE, PAGE);
    }

    proptest! {
        #[test]
        fn no_two_ranges_overlap_and_all_that_is_given_back_is_one(
            steps in prop::collection::vec((any::<bool>(), 0..9 * PAGE, any::<prop::sample::Index>()), 1..300)
        ) {
            let mut ranges = Ranges::new(PAGE, 64 * PAGE);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (takes, length, which) in steps {
                if takes || taken.is_empty() {
                    if let Some(start) = ranges.take(length) {
                        let end = start + whole(length).unwrap();
                        prop_assert!(start >= PAGE && end <= ranges.end() && ranges.end() <= 64 * PAGE);
                        let apart = |(other, length): &(u64, u64)| {
                            end <= *other || other + whole(*length).unwrap() <= start
                        };
                        prop_assert!(taken.iter().all(apart));
                        taken.push((start, length));
                    }
                } else {
                    let (start, length) = taken.swap_remove(which.index(taken.len()));
                    ranges.give_back(start, length);
                }
                let used: u64 = taken.iter().map(|(_, length)| whole(*length).unwrap()).sum();
                prop_assert_eq!(ranges.used(), used);
                prop_assert_eq!(ranges.by_length.len(), ranges.free.len());
            }
            for (start, length) in taken.drain(..) {
                ranges.give_back(start, length);
            }
            prop_assert!(ranges.free.len() <= 1);
        }
    }
}
