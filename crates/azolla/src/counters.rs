//! How many tasks there are and were, as users are told.

use azolla_core::Counts;

/// How many tasks there are and were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Tasks ever submitted.
    pub submitted: u64,
    /// Tasks that have ended, however.
    pub settled: u64,
    /// Of these, tasks that ended with an error, their own or that of an input.
    pub failed: u64,
    /// Of these, tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks submitted and not ended.
    pub live: u64,
    /// The most that were live at once.
    pub peak_live: u64,
    /// Tasks that are kept, including ended ones that are still wanted.
    pub kept: u64,
    /// The client's threads.
    pub threads: u64,
}

impl From<Counts> for Counters {
    fn from(counts: Counts) -> Self {
        Self {
            submitted: counts.submitted,
            settled: counts.settled,
            failed: counts.failed,
            cancelled: counts.cancelled,
            live: counts.live,
            peak_live: counts.peak_live,
            kept: counts.kept as u64,
            threads: counts.workers as u64,
        }
    }
}
