//! Locks and atomics: the real ones, or those of the model checker shuttle (`--cfg azolla_shuttle`). A lock whose holder
//! has panicked is as any other.

#[cfg(azolla_shuttle)]
pub(crate) use model::*;
#[cfg(not(azolla_shuttle))]
pub(crate) use real::*;

#[cfg(not(azolla_shuttle))]
mod real {
    use std::sync::PoisonError;
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    use std::time::Duration;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
        mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while this is so, for so long at most.
    pub(crate) fn wait_while<'a, T>(
        changed: &Condvar,
        (_mutex, guard): (&'a Mutex<T>, MutexGuard<'a, T>),
        limit: Duration,
        is_so: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        let waited = changed.wait_timeout_while(guard, limit, is_so);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(azolla_shuttle)]
mod model {
    use shuttle::rand::{Rng, thread_rng};
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    use std::time::Duration;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().expect("no panic while locked")
    }

    pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
        mutex.into_inner().expect("no panic while locked")
    }

    pub(crate) fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        changed.wait(guard).expect("no panic while locked")
    }

    /// The time is over when the schedule says so.
    pub(crate) fn wait_while<'a, T>(
        _: &Condvar,
        (mutex, mut guard): (&'a Mutex<T>, MutexGuard<'a, T>),
        _: Duration,
        mut is_so: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while is_so(&mut guard) && thread_rng().gen_bool(0.5) {
            drop(guard);
            shuttle::thread::yield_now();
            guard = lock(mutex);
        }
        guard
    }
}
