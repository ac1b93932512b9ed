//! How much work there is: for a cluster that asks how many workers it needs.

use super::watch::Overview;

/// The work that could go on at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// How many tasks are ready, or hold a slot. A ready task counts also if no group can run it yet.
    pub tasks: usize,
    /// How many seconds these take, if tasks go on taking as long as those of their functions have.
    pub seconds: f64,
}

impl Overview {
    /// Returns how much work there is. A task of a function of which none has ended takes `unknown` seconds.
    ///
    /// The tasks are counted exactly. How long they take is the mean over all unsettled tasks, by their functions, since those
    /// that are ready are not counted by function.
    #[must_use]
    pub fn demand(&self, unknown: f64) -> Demand {
        let counts = &self.counts;
        let tasks = counts.ready + counts.unrunnable + counts.claimed + counts.busy;
        let (mut unsettled, mut seconds) = (0.0, 0.0);
        for branch in &self.branches {
            let left = branch.submitted().saturating_sub(branch.settled()) as f64;
            let measured: u64 =
                branch.durations.by_power.iter().map(|count| u64::from(*count)).sum();
            let mean = match measured {
                0 => unknown,
                measured => branch.durations.total as f64 / measured as f64 / 1e9,
            };
            unsettled += left;
            seconds += left * mean;
        }
        let mean = if unsettled > 0.0 { seconds / unsettled } else { 0.0 };
        Demand { tasks, seconds: tasks as f64 * mean }
    }
}
