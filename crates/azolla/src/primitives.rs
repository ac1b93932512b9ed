//! Locks, atomics and threads: the real ones, or those of the model checker.
//!
//! The runtime names them through this module alone, so that `--cfg azolla_shuttle` checks the
//! very code that runs (`tests/model.rs`).

#[cfg(not(azolla_shuttle))]
mod real {
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::atomic;
    use std::time::Instant;
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

    /// Waits for a notification, at most until `deadline`.
    pub(crate) fn wait_until<T>(
        condvar: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) {
        condvar.wait_until(guard, deadline);
    }
}

#[cfg(azolla_shuttle)]
mod model {
    use shuttle::rand::{Rng, thread_rng};
    pub(crate) use shuttle::sync::atomic;
    pub(crate) use shuttle::{thread, thread_local as per_thread};
    use std::ops::{Deref, DerefMut};
    use std::sync::OnceLock;
    use std::time::Instant;

    /// In the model it is always the same time, so that a run depends on its schedule alone.
    pub(crate) fn now() -> Instant {
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(Instant::now)
    }

    /// A deadline passes whenever the schedule says so.
    pub(crate) fn has_passed(_deadline: Instant) -> bool {
        thread_rng().gen_bool(0.5)
    }

    /// The model's mutex with the interface of the real one.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

    pub(crate) struct MutexGuard<'a, T> {
        mutex: &'a shuttle::sync::Mutex<T>,
        held: Option<shuttle::sync::MutexGuard<'a, T>>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let held = self.0.lock().expect("no panic while locked");
            MutexGuard { mutex: &self.0, held: Some(held) }
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            let held = self.0.try_lock().ok()?;
            Some(MutexGuard { mutex: &self.0, held: Some(held) })
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.held.as_ref().expect("held but within wait")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.held.as_mut().expect("held but within wait")
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(shuttle::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.held.take().expect("held but within wait");
            guard.held = Some(self.0.wait(held).expect("no panic while locked"));
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }

    /// The wait ends at some time, whether there was a notification or not.
    pub(crate) fn wait_until<T>(_: &Condvar, guard: &mut MutexGuard<'_, T>, _: Instant) {
        drop(guard.held.take());
        thread::yield_now();
        guard.held = Some(guard.mutex.lock().expect("no panic while locked"));
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
