//! One place that holds a task's work until the work is done, and then its result. Both take the
//! same bytes, since the work is gone when the result comes. If the task fails, the place holds the
//! error and, beside it, the work, so that the task can run again.
//!
//! Three bits of the header say what the place holds. A thread that takes something out or puts
//! something in first sets them to `BUSY`, moves the value, and then sets them to what the place
//! holds now. A value stays for as long as the slot lives, and so does the first error. Both are
//! read without a lock.

use super::attempts::Attempts;
use super::header::Header;
use crate::primitives::{Mutex, pause};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;

/// A task's header, and the place for its work `W`, then for the value `T` or the error `E`.
pub struct Slot<T, W, E> {
    header: Header,
    place: UnsafeCell<Place<T, W, E>>,
}

union Place<T, W, E> {
    empty: (),
    work: ManuallyDrop<W>,
    value: ManuallyDrop<T>,
    failed: ManuallyDrop<Box<FirstFailure<T, W, E>>>,
}

const EMPTY: u32 = 0;
const BUSY: u32 = 1;
const WORK: u32 = 2;
const VALUE: u32 = 3;
const FAILED: u32 = 4;

/// The outcome of a task whose first attempt failed. It is boxed, since few tasks fail.
struct FirstFailure<T, W, E> {
    error: E,
    /// `None` while the task runs again.
    work: Mutex<Option<W>>,
    /// The attempts after the first.
    later: OnceLock<Attempts<T, E>>,
}

// SAFETY: only one thread at a time moves the work in or out, or looks at it. A value or an error
// is shared once it is there.
unsafe impl<T: Send + Sync, W: Send, E: Send + Sync> Sync for Slot<T, W, E> {}

impl<T, W, E> std::fmt::Debug for Slot<T, W, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<T, W, E> Slot<T, W, E> {
    /// A slot that holds work, for a task that runs again up to `retries` times if it fails.
    pub fn with_work(work: W, retries: u32) -> Self {
        let place = Place { work: ManuallyDrop::new(work) };
        Self { header: Header::with_slot(retries, WORK), place: UnsafeCell::new(place) }
    }

    /// A slot that holds nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        let place = Place { empty: () };
        Self { header: Header::with_slot(0, EMPTY), place: UnsafeCell::new(place) }
    }

    /// The task's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Takes the work out, if it is there.
    pub fn take_work(&self) -> Option<W> {
        match self.begin(|is| is == WORK) {
            Ok(_) => {
                // SAFETY: there was work, and `BUSY` makes it this thread's.
                let work = unsafe { ManuallyDrop::take(&mut (*self.place.get()).work) };
                self.header.set_slot(BUSY, EMPTY);
                Some(work)
            }
            Err(FAILED) => self.failed()?.work.lock().take(),
            Err(_) => None,
        }
    }

    /// Calls `f` with the work, if it is there. `f` must be short and must not run user code: a
    /// thread that wants the work meanwhile spins.
    pub fn with_the_work<R>(&self, f: impl FnOnce(&W) -> R) -> Option<R> {
        /// Marks the work as there again, even if `f` panics.
        struct Back<'a>(&'a Header);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.set_slot(BUSY, WORK);
            }
        }
        match self.begin(|is| is == WORK) {
            Ok(_) => {
                let _back = Back(&self.header);
                // SAFETY: there was work, and `BUSY` makes it this thread's.
                Some(f(unsafe { &(*self.place.get()).work }))
            }
            Err(FAILED) => self.failed()?.work.lock().as_ref().map(f),
            Err(_) => None,
        }
    }

    /// Calls `f` with the work of a failed task. Never waits: if another thread has the work,
    /// returns `None`.
    pub fn with_failed_work<R>(&self, f: impl FnOnce(&W) -> R) -> Option<R> {
        self.failed()?.work.try_lock()?.as_ref().map(f)
    }

    /// Puts back work that is not done yet.
    pub fn put_back(&self, work: W) {
        match self.begin(|is| is == EMPTY) {
            Ok(_) => {
                // SAFETY: the place was empty, and `BUSY` makes it this thread's.
                unsafe { (*self.place.get()).work = ManuallyDrop::new(work) };
                self.header.set_slot(BUSY, WORK);
            }
            Err(_) => self.keep_for_retry(work),
        }
    }

    /// Stores an outcome, and with an error the work that led to it. If the slot has an outcome
    /// already (say the task was cancelled and then failed), the new one is dropped.
    pub fn store(&self, outcome: Result<T, E>, work: Option<W>) {
        let Ok(was) = self.begin(|is| matches!(is, EMPTY | WORK)) else {
            work.into_iter().for_each(|work| self.keep_for_retry(work));
            if let Some(later) = self.failed().and_then(|failed| failed.later.get()) {
                later.store(outcome);
            }
            return;
        };
        let place = self.place.get();
        // SAFETY: if there was work, `BUSY` makes it this thread's.
        let here = (was == WORK).then(|| unsafe { ManuallyDrop::take(&mut (*place).work) });
        match outcome {
            Ok(value) => {
                // SAFETY: the place is empty now, and `BUSY` makes it this thread's.
                unsafe { (*place).value = ManuallyDrop::new(value) };
                self.header.set_slot(BUSY, VALUE);
                drop(here);
            }
            Err(error) => {
                let work = Mutex::new(work.or(here));
                let failed = Box::new(FirstFailure { error, work, later: OnceLock::new() });
                // SAFETY: the place is empty now, and `BUSY` makes it this thread's.
                unsafe { (*place).failed = ManuallyDrop::new(failed) };
                self.header.set_slot(BUSY, FAILED);
            }
        }
    }

    /// The outcome of the last attempt, if it has ended.
    #[must_use]
    pub fn last(&self) -> Option<Result<&T, &E>> {
        match self.header.slot() {
            // SAFETY: the place holds a value, and a value stays.
            VALUE => Some(Ok(unsafe { &(*self.place.get()).value })),
            FAILED => {
                let failed = self.failed()?;
                failed.later.get().map_or(Some(Err(&failed.error)), Attempts::last)
            }
            _ => None,
        }
    }

    /// Calls `f` with the errors of all attempts, until a call fails.
    ///
    /// # Errors
    /// That of the call.
    pub fn each_error<X>(&self, mut f: impl FnMut(&E) -> Result<(), X>) -> Result<(), X> {
        let Some(failed) = self.failed() else { return Ok(()) };
        f(&failed.error)?;
        failed.later.get().map_or(Ok(()), |later| later.each_error(f))
    }

    /// The error of the attempt before the last.
    #[must_use]
    pub fn before_last(&self) -> Option<&E> {
        let failed = self.failed()?;
        Some(failed.later.get()?.before_last().unwrap_or(&failed.error))
    }

    /// Makes room for the outcome of another attempt, if the last one has failed.
    pub fn another(&self) {
        let Some(failed) = self.failed() else { return };
        match failed.later.get() {
            Some(later) => later.another(),
            // No second thread sets it: the caller holds the engine's lock.
            None => drop(failed.later.set(Attempts::new())),
        }
    }

    fn failed(&self) -> Option<&FirstFailure<T, W, E>> {
        // SAFETY: the place holds a failure, and a failure stays.
        (self.header.slot() == FAILED).then(|| unsafe { &**(*self.place.get()).failed })
    }

    fn keep_for_retry(&self, work: W) {
        if let Some(failed) = self.failed() {
            let before = failed.work.lock().replace(work);
            drop(before);
        }
    }

    /// Makes the place this thread's if `suits` accepts its state. Returns that state either way.
    fn begin(&self, suits: impl Fn(u32) -> bool) -> Result<u32, u32> {
        let mut times = 0;
        loop {
            match self.header.slot() {
                BUSY => {
                    pause(times);
                    times += 1;
                }
                is if !suits(is) => return Err(is),
                is => {
                    if self.header.change_slot(is, BUSY) {
                        return Ok(is);
                    }
                }
            }
        }
    }
}

impl<T, W, E> Drop for Slot<T, W, E> {
    fn drop(&mut self) {
        let place = self.place.get_mut();
        // SAFETY: the header says what the place holds, and no other thread has the slot any more.
        unsafe {
            match self.header.slot() {
                WORK => ManuallyDrop::drop(&mut place.work),
                VALUE => ManuallyDrop::drop(&mut place.value),
                FAILED => ManuallyDrop::drop(&mut place.failed),
                _ => {}
            }
        }
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
mod test {
    use super::*;
    use std::sync::Arc;

    type Counted = Arc<&'static str>;

    fn error(text: &str) -> String {
        text.into()
    }

    fn text(outcome: Option<Result<&Counted, &String>>) -> Option<String> {
        outcome.map(|outcome| outcome.map_or_else(String::clone, |value| value.to_string()))
    }

    #[test]
    fn what_is_in_it_goes_with_it() {
        let (work, value) = (Arc::new("work"), Arc::new("value"));
        let taken = |slot: &Slot<Counted, Counted, String>| slot.take_work().map(|work| *work);
        let make = || Slot::<Counted, Counted, String>::with_work(Arc::clone(&work), 0);
        for how in 0..5 {
            let slot = make();
            match how {
                0 => {}
                1 => assert_eq!(taken(&slot), Some("work")),
                2 => {
                    slot.take_work();
                    slot.store(Ok(Arc::clone(&value)), None);
                    slot.store(Err(error("too late")), None);
                    assert_eq!(text(slot.last()), Some("value".into()));
                    assert_eq!(taken(&slot), None);
                }
                3 => slot.store(Err(error("never begun")), None),
                _ => {
                    let work = slot.take_work();
                    slot.store(Err(error("bad")), work);
                    slot.another();
                    slot.store(Ok(Arc::clone(&value)), None);
                    assert_eq!(text(slot.last()), Some("value".into()));
                }
            }
            drop(slot);
            assert_eq!((Arc::strong_count(&work), Arc::strong_count(&value)), (1, 1), "{how}");
        }
    }

    #[test]
    fn work_comes_back_for_each_attempt_until_one_succeeds() {
        let slot = Slot::<Counted, u32, String>::with_work(7, 0);
        let mut attempts = Vec::new();
        for attempt in ["first", "second", "third"] {
            assert_eq!(slot.with_the_work(|work| *work), Some(7));
            let work = slot.take_work();
            assert_eq!((work, slot.take_work()), (Some(7), None));
            assert_eq!(slot.with_the_work(|work| *work), None);
            slot.put_back(7);
            let work = slot.take_work();
            slot.store(Err(error(attempt)), work);
            assert!(text(slot.last()).is_some_and(|text| text.contains(attempt)));
            assert_eq!(
                (slot.with_failed_work(|work| *work), slot.with_the_work(|work| *work)),
                (Some(7), Some(7))
            );
            slot.another();
            assert!(slot.last().is_none());
            attempts.push(attempt);
            let mut errors = Vec::new();
            let each = slot.each_error(|error| {
                errors.push(error.clone());
                Ok::<_, ()>(())
            });
            assert_eq!(
                (each, errors),
                (Ok(()), attempts.iter().map(ToString::to_string).collect())
            );
            assert!(slot.before_last().is_some_and(|error| error.contains(attempt)));
        }
        assert_eq!(slot.take_work(), Some(7));
        slot.store(Ok(Arc::new("value")), None);
        assert_eq!(text(slot.last()), Some("value".into()));
    }
}
