//! Whether runs in worker processes are recorded.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the recording. It is odd while one goes on.
#[derive(Default)]
pub(crate) struct Records(AtomicU64);

impl Records {
    /// Begins a recording, or ends it. Does nothing if that is done already.
    pub(crate) fn set(&self, on: bool) {
        let next = |number| (is_on(number) != on).then_some(number + 1);
        // It fails if there is nothing to do.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The number of the recording that goes on.
    pub(crate) fn current(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|number| is_on(*number))
    }
}

fn is_on(number: u64) -> bool {
    number % 2 == 1
}
