//! How long tasks of one kind have taken: a sum and a histogram, for whoever watches.

/// How long the tasks of one kind have held their slots, or if they ended without a worker, how
/// long all of it took; where that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// All of it, in nanoseconds.
    pub total: u64,
    /// How many tasks took at least 2ⁿ nanoseconds and less than 2ⁿ⁺¹; the last is all beyond.
    pub by_power: [u32; POWERS],
    /// How many of these ended without a worker, as async work does.
    pub detached: u32,
    /// How many turns there were that left a polled task suspended. If any, what is told of such
    /// tasks is how long their last turns took: nobody measures how long they were suspended.
    pub turns: u32,
}

/// What somebody has measured the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// All that a task did with its worker.
    Held,
    /// A task from its beginning with a worker to its end without one.
    Detached,
    /// A turn after which it is not over.
    Turn,
}

/// Up to half an hour.
pub const POWERS: usize = 41;

impl Default for Durations {
    fn default() -> Self {
        Self { total: 0, by_power: [0; POWERS], detached: 0, turns: 0 }
    }
}

impl Durations {
    /// One more of these took so many nanoseconds; 0 if that was not measured.
    pub(crate) fn add(&mut self, nanoseconds: u64, what: Stretch) {
        if what == Stretch::Turn {
            self.turns = self.turns.saturating_add(1);
        } else if let Some(power) = nanoseconds.checked_ilog2() {
            self.total += nanoseconds;
            self.detached += u32::from(what == Stretch::Detached);
            self.by_power[(power as usize).min(POWERS - 1)] += 1;
        }
    }
}
