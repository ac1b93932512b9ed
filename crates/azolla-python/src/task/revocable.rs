//! An outcome that is let go of when its task is cancelled, though futures keep the task. Threads read it without a lock, and
//! some hold no GIL. So a thread that reads it when it is revoked drops it when it has read.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

/// A value that can be read until it is revoked.
pub(crate) struct Revocable<T> {
    /// The number of threads that read the value, and `REVOKED`.
    readers: AtomicU32,
    value: UnsafeCell<ManuallyDrop<T>>,
}

const REVOKED: u32 = 1 << 31;

/// The value as one thread reads it. It stays as long as this does.
pub(crate) struct Reading<'a, T>(&'a Revocable<T>);

// SAFETY: the value is only lent until it is revoked. Then the thread that leaves no reader behind takes it, once.
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

impl<T> Revocable<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { readers: AtomicU32::new(0), value: UnsafeCell::new(ManuallyDrop::new(value)) }
    }

    /// Returns the value, unless it is revoked.
    pub(crate) fn read(&self) -> Option<Reading<'_, T>> {
        let one_more = |readers: u32| (readers & REVOKED == 0).then_some(readers + 1);
        let readers = &self.readers;
        readers.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        Some(Reading(self))
    }

    /// Has no thread read the value any more. Returns it, if none reads it now. Otherwise the last one that does drops it.
    #[must_use]
    pub(crate) fn revoke(&self) -> Option<T> {
        let before = self.readers.fetch_or(REVOKED, Ordering::AcqRel);
        // SAFETY: no thread reads it, and none begins to. No other call of `revoke` sees 0.
        (before == 0).then(|| unsafe { self.take() })
    }

    /// # Safety
    /// Called once at most, by the thread that has left the value revoked and without a reader.
    unsafe fn take(&self) -> T {
        // SAFETY: as above.
        unsafe { ManuallyDrop::take(&mut *self.value.get()) }
    }
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread is counted as a reader, so the value stays.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        if self.0.readers.fetch_sub(1, Ordering::AcqRel) == REVOKED + 1 {
            // SAFETY: it was revoked while this thread read it, and this was the last reader.
            drop(unsafe { self.0.take() });
        }
    }
}

impl<T> Drop for Revocable<T> {
    fn drop(&mut self) {
        if *self.readers.get_mut() & REVOKED == 0 {
            // SAFETY: it is there, and no other thread has it any more.
            drop(unsafe { self.take() });
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn it_goes_once_when_it_is_revoked_and_not_read() {
        let value = Arc::new(());
        let count = || Arc::strong_count(&value) - 1;
        let unread = Revocable::new(Arc::clone(&value));
        assert!(unread.revoke().is_some());
        assert_eq!((unread.revoke(), unread.read().is_none(), count()), (None, true, 0));
        let read = Revocable::new(Arc::clone(&value));
        let (first, second) = (read.read(), read.read());
        assert_eq!((read.revoke(), read.read().is_none(), count()), (None, true, 1));
        drop(first);
        assert_eq!(count(), 1);
        drop(second);
        assert_eq!(count(), 0);
        drop((unread, read, Revocable::new(Arc::clone(&value))));
        assert_eq!(count(), 0);
    }
}
