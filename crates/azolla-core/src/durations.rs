//! How long the tasks of one kind have taken: a sum and a histogram, for the dashboard.

/// How long the tasks of one kind have held their slots, or, if they ended without a worker, how
/// long all of it took. Tasks that were not measured are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// The sum, in nanoseconds.
    pub total: u64,
    /// By n: how many tasks took at least 2ⁿ nanoseconds and less than 2ⁿ⁺¹. The last has no upper
    /// bound.
    pub by_power: [u32; POWERS],
    /// How many of these ended without a worker, as async work does.
    pub detached: u32,
    /// How many turns left a polled task suspended. Of such a task only the last turn is measured,
    /// not how long it was suspended.
    pub turns: u32,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// A run of a task, from its beginning to its end on one worker.
    Held,
    /// A task from its beginning on a worker to its end without one.
    Detached,
    /// A turn after which the task is suspended.
    Turn,
}

/// The number of powers of two: up to half an hour.
pub const POWERS: usize = 41;

impl Default for Durations {
    fn default() -> Self {
        Self { total: 0, by_power: [0; POWERS], detached: 0, turns: 0 }
    }
}

impl Durations {
    /// Records how long one of these took, in nanoseconds; 0 if that was not measured.
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
