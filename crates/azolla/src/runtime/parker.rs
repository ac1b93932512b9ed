//! How one thread sleeps until it is told: a token that is left for it, even before it comes.
//!
//! What it sleeps for often comes within microseconds, and to wake a thread costs more than that: it
//! looks for the token a while before it sleeps, and whoever leaves the token only calls the
//! system where the thread does sleep. A thread that is no worker's looks only while that takes no
//! processor from a worker: it would keep back what it waits for.

use crate::primitives::atomic::{AtomicU8, Ordering};
use crate::primitives::{Condvar, Mutex, spin, spin_beside_workers, worker_sleeps, worker_wakes};
use std::time::Instant;

/// There is no token, and nobody sleeps.
const EMPTY: u8 = 0;
/// There is a token.
const TOLD: u8 = 1;
/// The thread sleeps, or is about to.
const ASLEEP: u8 = 2;

/// A place for one thread to sleep.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU8,
    lock: Mutex<()>,
    condvar: Condvar,
    /// The thread is a worker's.
    is_worker: bool,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self::of(false)
    }

    /// Of a worker's thread, which is awake until it is seen to sleep.
    pub(crate) fn of_worker() -> Self {
        worker_wakes();
        Self::of(true)
    }

    fn of(is_worker: bool) -> Self {
        let (lock, condvar) = (Mutex::new(()), Condvar::new());
        Self { state: AtomicU8::new(EMPTY), lock, condvar, is_worker }
    }

    /// Leaves the token. Several make one.
    pub(crate) fn unpark(&self) {
        if self.state.swap(TOLD, Ordering::AcqRel) == ASLEEP {
            self.wakes();
            // The thread has the lock from when it says that it sleeps until it does.
            drop(self.lock.lock());
            self.condvar.notify_one();
        }
    }

    /// Sleeps until there is a token, and takes it.
    pub(crate) fn park(&self) {
        if self.is_told_soon() {
            return;
        }
        let mut lock = self.lock.lock();
        if !self.fall_asleep() {
            return;
        }
        while !self.take() {
            lock = self.condvar.wait(lock);
        }
    }

    /// Sleeps until there is a token, or until the deadline. Whether it took a token.
    pub(crate) fn park_until(&self, deadline: Instant) -> bool {
        if self.is_told_soon() {
            return true;
        }
        let lock = self.lock.lock();
        if !self.fall_asleep() {
            return true;
        }
        let lock = self.condvar.wait_until(&self.lock, lock, deadline);
        let told = self.state.swap(EMPTY, Ordering::AcqRel) == TOLD;
        if !told {
            self.wakes();
        }
        drop(lock);
        told
    }

    /// The worker's thread will not come again.
    pub(crate) fn end(&self) {
        if self.state.swap(ASLEEP, Ordering::AcqRel) != ASLEEP {
            worker_sleeps();
        }
    }

    /// Takes the token, if there is one.
    fn take(&self) -> bool {
        self.state.compare_exchange(TOLD, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn is_told_soon(&self) -> bool {
        let is_told = || self.state.load(Ordering::Relaxed) == TOLD;
        if self.is_worker {
            spin(is_told)
        } else {
            spin_beside_workers(is_told)
        }
        self.take()
    }

    /// False if there is a token now, which is taken.
    fn fall_asleep(&self) -> bool {
        let asleep =
            self.state.compare_exchange(EMPTY, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        if asleep.is_ok() && self.is_worker {
            worker_sleeps();
        }
        asleep.is_ok() || !self.take()
    }

    fn wakes(&self) {
        if self.is_worker {
            worker_wakes();
        }
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        if self.is_worker && self.state.load(Ordering::Relaxed) != ASLEEP {
            worker_sleeps();
        }
    }
}
