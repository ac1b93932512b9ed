//! How long tasks of each kind take, and so how many a worker may pull at once.

use crate::id::Kind;
use alloc::vec::Vec;

/// Tasks that average below this are short: pulling several at once pays (nanoseconds).
const SHORT: u64 = 20_000;
/// No kind is called short before this many of it have ended.
const SEEN: u32 = 3;
/// The most tasks in one pull.
const MOST: usize = 32;

pub(crate) struct Kinds {
    all: Vec<Measured>,
}

#[derive(Clone, Copy, Default)]
struct Measured {
    mean: u64,
    seen: u32,
    durations: Durations,
}

/// How long the tasks of one kind have held their slots, where that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// All of it, in nanoseconds.
    pub total: u64,
    /// How many tasks took at least 2ⁿ nanoseconds and less than 2ⁿ⁺¹; the last is all beyond.
    pub by_power: [u32; POWERS],
}

/// Up to half an hour.
pub const POWERS: usize = 41;

impl Default for Durations {
    fn default() -> Self {
        Self { total: 0, by_power: [0; POWERS] }
    }
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// One more task of this kind took so many nanoseconds; 0 if that was not measured.
    pub(crate) fn took(&mut self, kind: Kind, nanoseconds: u64) {
        let at = kind.0 as usize;
        if at >= self.all.len() {
            self.all.resize(at + 1, Measured::default());
        }
        let measured = &mut self.all[at];
        // A moving average that forgets: the last eight count about as much as all before.
        measured.mean = match measured.seen {
            0 => nanoseconds,
            _ => measured.mean - measured.mean / 8 + nanoseconds / 8,
        };
        measured.seen = measured.seen.saturating_add(1);
        if let Some(power) = nanoseconds.checked_ilog2() {
            measured.durations.total += nanoseconds;
            measured.durations.by_power[(power as usize).min(POWERS - 1)] += 1;
        }
    }

    pub(crate) fn durations(&self, kind: Kind) -> Durations {
        self.all.get(kind.0 as usize).map(|measured| measured.durations).unwrap_or_default()
    }

    pub(crate) fn is_short(&self, kind: Kind) -> bool {
        self.all
            .get(kind.0 as usize)
            .is_some_and(|measured| measured.seen >= SEEN && measured.mean < SHORT)
    }

    /// How many short tasks one worker may pull when `ready` are ready: half of its share, so
    /// that the others find something when they come.
    pub(crate) fn batch(ready: usize, slots: usize) -> usize {
        ready.div_ceil(2 * slots.max(1)).clamp(1, MOST)
    }
}
