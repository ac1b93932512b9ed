//! Locks, atomics and threads: the real ones, or those of the model checker shuttle.
//!
//! The runtime names them through this module alone. So `--cfg azolla_shuttle` checks the same code
//! that runs in production (`tests/model.rs`).

#[cfg(not(azolla_shuttle))]
mod real {
    pub(crate) use std::sync::atomic;
    use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
    use std::sync::{LazyLock, PoisonError, TryLockError};
    use std::time::{Duration, Instant};
    pub(crate) use std::{thread, thread_local as per_thread};

    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Returns true if the thread has ended.
    pub(crate) fn is_finished<T>(handle: &thread::JoinHandle<T>) -> bool {
        handle.is_finished()
    }

    /// Returns true if the deadline has passed.
    pub(crate) fn has_passed(deadline: Instant) -> bool {
        Instant::now() >= deadline
    }

    /// Calls `has_come` again and again for some microseconds, until it returns true. That takes
    /// less time than to sleep and be woken. At least one processor is left to other threads, one
    /// of which has to bring what this thread waits for.
    pub(crate) fn spin(has_come: impl FnMut() -> bool) {
        spin_while(|| true, has_come);
    }

    /// Spins as [`spin`] does, for a thread that is not a worker's: only while there is a processor
    /// for each worker that is awake and for this thread too.
    pub(crate) fn spin_beside_workers(has_come: impl FnMut() -> bool) {
        spin_while(|| AWAKE.load(Ordering::Relaxed) < *PROCESSORS as isize, has_come);
    }

    fn spin_while(mut goes_on: impl FnMut() -> bool, mut has_come: impl FnMut() -> bool) {
        static SPINNING: AtomicUsize = AtomicUsize::new(0);
        let others = *PROCESSORS - 1;
        let mut counted = false;
        for round in 0..SPINS {
            if has_come() || !goes_on() {
                break;
            }
            if !counted {
                let one_more = |spinning| (spinning < others).then_some(spinning + 1);
                counted =
                    SPINNING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
                // A thread that was told just now may be about to stop. Two threads that tell each other in
                // turn would else go to sleep whenever one comes before the other has left.
                if !counted && (others == 0 || round >= LEAVES) {
                    break;
                }
            }
            std::hint::spin_loop();
        }
        if counted {
            SPINNING.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// For how many rounds a thread waits for another one to stop spinning.
    const LEAVES: u32 = 50;

    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, std::num::NonZero::get));

    /// The number of workers' threads that are awake, over all engines of this process.
    static AWAKE: AtomicIsize = AtomicIsize::new(0);

    /// Counts one more worker's thread as awake.
    pub(crate) fn worker_wakes() {
        AWAKE.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one worker's thread less: it sleeps or has ended.
    pub(crate) fn worker_sleeps() {
        AWAKE.fetch_sub(1, Ordering::Relaxed);
    }

    const SPINS: u32 = 1_000;

    /// Waits a moment for another thread that needs only a few more instructions. `times` says how
    /// often the caller has waited already. It spins first, then yields, then sleeps, so that the
    /// other thread runs if the system has interrupted it.
    pub(crate) fn pause(times: u32) {
        match times {
            0..32 => std::hint::spin_loop(),
            32..64 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }

    /// The standard library's mutex without poisoning: the engine handles panics in its own way
    /// (`Locked::break_down`).
    ///
    /// It is not `parking_lot`'s, whose locks all share one table of sleeping threads. In the child
    /// of a fork that table points to the stacks of threads that no longer exist, whatever lock the
    /// child uses.
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

        /// Locks, for a lock that is taken often and held briefly: the thread spins a while before
        /// it sleeps.
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

        /// Waits for a notification, at most until `deadline`. `guard` belongs to `mutex`.
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

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
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

    /// In the model the time stands still, so that a run depends on its schedule alone.
    pub(crate) fn now() -> Instant {
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(Instant::now)
    }

    /// The model runs one thread at a time, so nothing can come while this one looks.
    pub(crate) fn spin(_has_come: impl FnMut() -> bool) {}

    pub(crate) fn spin_beside_workers(_has_come: impl FnMut() -> bool) {}

    /// The model never spins, so it does not count the workers that are awake.
    pub(crate) fn worker_wakes() {}

    pub(crate) fn worker_sleeps() {}

    /// Lets another thread run.
    pub(crate) fn pause(_times: u32) {
        thread::yield_now();
    }

    /// A deadline passes at random, as the schedule chooses.
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

        /// The wait ends at some time, with or without a notification.
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

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// The model cannot tell, so it says no: the caller then joins the thread.
    pub(crate) fn is_finished<T>(_: &thread::JoinHandle<T>) -> bool {
        false
    }
}

#[cfg(azolla_shuttle)]
pub(crate) use model::*;
#[cfg(not(azolla_shuttle))]
pub(crate) use real::*;
