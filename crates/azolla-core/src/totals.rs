//! Counts that are kept up to date rather than computed on demand.

#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) submitted: u64,
    pub(crate) settled: u64,
    pub(crate) claimed: usize,
    pub(crate) detached: usize,
    /// How often a task was woken.
    pub(crate) wakes: u64,
    /// Tasks that are not settled.
    pub(crate) live: u64,
    pub(crate) peak_live: u64,
}
