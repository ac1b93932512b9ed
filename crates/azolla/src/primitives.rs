//! Locks, atomics and threads: the real ones, or those of the model checker.
//!
//! The runtime names them through this module alone, so that `--cfg azolla_shuttle` checks the
//! very code that runs (`tests/model.rs`).

#[cfg(not(azolla_shuttle))]
mod real {
    pub(crate) use std::sync::atomic;
    use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
    use std::sync::{LazyLock, PoisonError, TryLockError};
    use std::time::{Duration, Instant};
    pub(crate) use std::{thread, thread_local as per_thread};

    /// What time it is.
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Whether a thread has come to its end.
    pub(crate) fn is_finished<T>(handle: &thread::JoinHandle<T>) -> bool {
        handle.is_finished()
    }

    /// Whether the deadline has passed.
    pub(crate) fn has_passed(deadline: Instant) -> bool {
        Instant::now() >= deadline
    }

    /// Looks again and again, for some microseconds at the most, whether something has come: less
    /// than it costs to sleep and be woken. One processor is always left to whoever is to bring it.
    pub(crate) fn spin(has_come: impl FnMut() -> bool) {
        spin_while(|| true, has_come);
    }

    /// As [`spin`], for a thread that is no worker's: only while each worker that is awake has a
    /// processor, and this thread too.
    pub(crate) fn spin_beside_workers(has_come: impl FnMut() -> bool) {
        spin_while(|| AWAKE.load(Ordering::Relaxed) < *PROCESSORS as isize, has_come);
    }

    fn spin_while(mut goes_on: impl FnMut() -> bool, mut has_come: impl FnMut() -> bool) {
        static SPINNING: AtomicUsize = AtomicUsize::new(0);
        if SPINNING.fetch_add(1, Ordering::Relaxed) + 1 < *PROCESSORS {
            for _ in 0..SPINS {
                if has_come() || !goes_on() {
                    break;
                }
                std::hint::spin_loop();
            }
        }
        SPINNING.fetch_sub(1, Ordering::Relaxed);
    }

    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, std::num::NonZero::get));

    /// How many workers' threads do not sleep, of all engines of this process.
    static AWAKE: AtomicIsize = AtomicIsize::new(0);

    /// One more worker's thread is awake.
    pub(crate) fn worker_wakes() {
        AWAKE.fetch_add(1, Ordering::Relaxed);
    }

    /// One of those sleeps, or has ended.
    pub(crate) fn worker_sleeps() {
        AWAKE.fetch_sub(1, Ordering::Relaxed);
    }

    const SPINS: u32 = 1_000;

    /// Passes the time until somebody has done the few instructions that one waits for: who has looked
    /// this many times in vain. If he was interrupted in the middle he is let run.
    pub(crate) fn pause(times: u32) {
        match times {
            0..32 => std::hint::spin_loop(),
            32..64 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }

    /// The standard library's mutex without poisoning: the engine has its own way to break down.
    ///
    /// Not `parking_lot`'s, whose one table of sleeping threads is shared by all locks: in the child
    /// of a fork it leads to the stacks of threads that are gone, whatever lock is used there.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

    pub(crate) type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// As [`lock`](Self::lock), for a lock that is often asked for and never held for long:
        /// whoever is to wait looks again for a while before it sleeps.
        pub(crate) fn lock_soon(&self) -> MutexGuard<'_, T> {
            let mut guard = self.try_lock();
            if guard.is_none() {
                spin(|| {
                    guard = self.try_lock();
                    guard.is_some()
                });
            }
            guard.unwrap_or_else(|| self.lock())
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        /// Waits for a notification.
        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        /// Waits for a notification, at most until `deadline`. The guard is one of `mutex`.
        pub(crate) fn wait_until<'a, T>(
            &self,
            _mutex: &'a Mutex<T>,
            guard: MutexGuard<'a, T>,
            deadline: Instant,
        ) -> MutexGuard<'a, T> {
            let left = deadline.saturating_duration_since(Instant::now());
            self.0.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }
}

#[cfg(azolla_shuttle)]
mod model {
    use shuttle::rand::{Rng, thread_rng};
    pub(crate) use shuttle::sync::atomic;
    pub(crate) use shuttle::{thread, thread_local as per_thread};
    use std::sync::OnceLock;
    use std::time::Instant;

    /// In the model it is always the same time, so that a run depends on its schedule alone.
    pub(crate) fn now() -> Instant {
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(Instant::now)
    }

    /// The model's threads do not run at once: nothing comes while one looks.
    pub(crate) fn spin(_has_come: impl FnMut() -> bool) {}

    pub(crate) fn spin_beside_workers(_has_come: impl FnMut() -> bool) {}

    /// Only who spins asks how many are awake.
    pub(crate) fn worker_wakes() {}

    pub(crate) fn worker_sleeps() {}

    /// Somebody else has his turn.
    pub(crate) fn pause(_times: u32) {
        thread::yield_now();
    }

    /// A deadline passes whenever the schedule says so.
    pub(crate) fn has_passed(_deadline: Instant) -> bool {
        thread_rng().gen_bool(0.5)
    }

    /// The model's mutex with the interface of the real one.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

    pub(crate) type MutexGuard<'a, T> = shuttle::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no panic while locked")
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub(crate) fn lock_soon(&self) -> MutexGuard<'_, T> {
            self.lock()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(shuttle::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).expect("no panic while locked")
        }

        /// The wait ends at some time, whether there was a notification or not.
        pub(crate) fn wait_until<'a, T>(
            &self,
            mutex: &'a Mutex<T>,
            guard: MutexGuard<'a, T>,
            _deadline: Instant,
        ) -> MutexGuard<'a, T> {
            drop(guard);
            thread::yield_now();
            mutex.lock()
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }

    /// The model cannot tell: what is not known to have finished is joined.
    pub(crate) fn is_finished<T>(_: &thread::JoinHandle<T>) -> bool {
        false
    }
}

#[cfg(azolla_shuttle)]
pub(crate) use model::*;
#[cfg(not(azolla_shuttle))]
pub(crate) use real::*;
