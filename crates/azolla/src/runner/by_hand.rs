//! Workers without threads. A measuring program runs them on its own thread, so that every run
//! executes the same instructions.

use super::threads::{Threads, enter, leave, work_off};
use crate::primitives::Mutex;

impl Threads {
    /// Starts no threads. Workers are kept for [`run_by_hand`](Self::run_by_hand).
    pub(crate) fn by_hand() -> Self {
        let threads = Self::default();
        let _ = threads.0.by_hand.set(Mutex::new(Vec::new()));
        threads
    }

    /// Has each worker run what is ready, until the worker would sleep.
    pub(crate) fn run_by_hand(&self) {
        let Some(kept) = self.0.by_hand.get() else { return };
        let workers = std::mem::take(&mut *kept.lock());
        for worker in workers {
            enter(worker, &self.0);
            let _ = work_off();
            kept.lock().extend(leave());
        }
    }
}
