//! How long the tasks of each kind take, and so how many tasks a worker may pull at once.

use crate::durations::{Durations, Stretch};
use crate::id::Kind;
use alloc::vec::Vec;

/// A kind is short if its tasks take less than this on average, in nanoseconds, unless the driver says
/// otherwise. Pulling several short tasks at once pays.
const SHORT: u64 = 20_000;
/// A kind is not called short before this many of its tasks or turns have ended.
const SEEN: u32 = 3;
/// The most tasks in one pull.
const MOST: usize = 32;

pub(crate) struct Kinds {
    all: Vec<Measured>,
    /// Kinds whose mean is less than this are short.
    pub(crate) short: u64,
}

#[derive(Clone, Copy, Default)]
struct Measured {
    mean: u64,
    seen: u32,
    durations: Durations,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), short: SHORT }
    }

    /// Records how long a task of this kind, or a turn of one, took. 0 if that was not measured.
    pub(crate) fn took(&mut self, kind: Kind, nanoseconds: u64, what: Stretch) {
        let at = kind.0 as usize;
        if at >= self.all.len() {
            self.all.resize(at + 1, Measured::default());
        }
        let measured = &mut self.all[at];
        if nanoseconds > 0 {
            // A moving average that forgets: the last five count about as much as all before them.
            measured.mean = match measured.seen {
                0 => nanoseconds,
                _ => measured.mean - measured.mean / 8 + nanoseconds / 8,
            };
            measured.seen = measured.seen.saturating_add(1);
        }
        measured.durations.add(nanoseconds, what);
    }

    pub(crate) fn durations(&self, kind: Kind) -> Durations {
        self.all.get(kind.0 as usize).map(|measured| measured.durations).unwrap_or_default()
    }

    pub(crate) fn is_short(&self, kind: Kind) -> bool {
        self.all
            .get(kind.0 as usize)
            .is_some_and(|measured| measured.seen >= SEEN && measured.mean < self.short)
    }

    /// Returns how many short tasks one worker may pull when `ready` are ready. It is half of the
    /// worker's share, so that the others find something when they come.
    pub(crate) fn batch(ready: usize, slots: usize) -> usize {
        ready.div_ceil(2 * slots.max(1)).clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_makes_no_kind_short() {
        let (mut kinds, kind) = (Kinds::new(), Kind(0));
        for _ in 0..2 * SEEN {
            kinds.took(kind, 0, Stretch::Held);
        }
        assert!(!kinds.is_short(kind), "nothing was measured");
        for _ in 0..SEEN {
            kinds.took(kind, SHORT + 8, Stretch::Held);
        }
        for _ in 0..100 {
            kinds.took(kind, 0, Stretch::Held);
        }
        assert!(!kinds.is_short(kind), "long, as far as it was measured");
        assert_eq!(kinds.durations(kind).total, u64::from(SEEN) * (SHORT + 8));
    }
    #[test]
    fn the_driver_says_what_is_short() {
        let (mut kinds, kind) = (Kinds::new(), Kind(0));
        for _ in 0..SEEN {
            kinds.took(kind, SHORT + 8, Stretch::Held);
        }
        assert!(!kinds.is_short(kind));
        kinds.short = 2 * SHORT;
        assert!(kinds.is_short(kind));
    }
}
