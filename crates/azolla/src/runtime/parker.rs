//! A parker: the place where one thread sleeps until another thread leaves a token for it. The
//! token may come before the thread does; then the thread does not sleep.
//!
//! What the thread waits for often comes within microseconds, which is less than it costs to wake a
//! thread. So the thread first looks for the token a while, and the other thread makes a system
//! call only if the sleeper is really asleep. A thread that is not a worker's looks only while
//! every worker that is awake has a processor: otherwise it would take the processor from the
//! worker that it waits for. [README.md](README.md) tells the protocol step by step.

use crate::primitives::atomic::{AtomicU8, Ordering};
use crate::primitives::{Condvar, Mutex, spin, spin_beside_workers, worker_sleeps, worker_wakes};
use std::time::Instant;

/// There is no token, and the thread does not sleep.
const EMPTY: u8 = 0;
/// There is a token.
const TOLD: u8 = 1;
/// The thread sleeps, or is about to, or has ended.
const ASLEEP: u8 = 2;

/// A place for one thread to sleep.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU8,
    lock: Mutex<()>,
    condvar: Condvar,
    /// The thread is a worker's, so it counts among the workers that are awake.
    is_worker: bool,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self::of(false)
    }

    /// A parker for a worker's thread, which counts as awake until it sleeps.
    pub(crate) fn of_worker() -> Self {
        worker_wakes();
        Self::of(true)
    }

    fn of(is_worker: bool) -> Self {
        let (lock, condvar) = (Mutex::new(()), Condvar::new());
        Self { state: AtomicU8::new(EMPTY), lock, condvar, is_worker }
    }

    /// Leaves the token. A second token before the thread has taken the first adds nothing.
    pub(crate) fn unpark(&self) {
        if self.state.swap(TOLD, Ordering::AcqRel) == ASLEEP {
            self.wakes();
            // The sleeper holds the lock from before it sets `ASLEEP` until it waits on the
            // condition variable. Taking the lock here makes sure that the notification does not
            // come in between.
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

    /// Sleeps until there is a token, or until the deadline. Returns true if it took a token. It
    /// may also return false early, if the system wakes the thread for no reason.
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

    /// Records that the worker's thread has ended, so that it no longer counts as awake.
    pub(crate) fn end(&self) {
        if self.state.swap(ASLEEP, Ordering::AcqRel) != ASLEEP {
            worker_sleeps();
        }
    }

    /// Takes the token. Returns false if there is none.
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

    /// Sets `ASLEEP`. Returns false if there is a token now, which it takes.
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
