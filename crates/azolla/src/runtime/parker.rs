//! How one thread sleeps until it is told: a token that is left for it, even before it comes.

use crate::primitives::{Condvar, Mutex};
use std::time::Instant;

/// A place for one thread to sleep.
#[derive(Debug)]
pub(crate) struct Parker {
    told: Mutex<bool>,
    condvar: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { told: Mutex::new(false), condvar: Condvar::new() }
    }

    /// Leaves the token. Several make one.
    pub(crate) fn unpark(&self) {
        *self.told.lock() = true;
        self.condvar.notify_one();
    }

    /// Sleeps until there is a token, and takes it.
    pub(crate) fn park(&self) {
        let mut told = self.told.lock();
        while !*told {
            told = self.condvar.wait(told);
        }
        *told = false;
    }

    /// Sleeps until there is a token, or until the deadline. Whether it took a token.
    pub(crate) fn park_until(&self, deadline: Instant) -> bool {
        let mut told = self.told.lock();
        if !*told {
            told = self.condvar.wait_until(&self.told, told, deadline);
        }
        std::mem::take(&mut *told)
    }
}
