//! The waker of an `async` wait: a listener that wakes the executor that polled last.
//!
//! The wait says how many tasks (or gifts of a [`Monitor`](super::Monitor)) it expects. Each one that
//! comes counts down, and the last one wakes the executor. The count and the waker are under one lock,
//! so a poll that replaces the waker either comes before the wake-up or finds that it has happened.

use super::header::{Header, Status};
use super::listeners::Listen;
use crate::primitives::Mutex;
use std::sync::Arc;
use std::task::Waker;

/// The waker of the executor that polled last.
pub(crate) struct SharedWaker(Mutex<Expected>);

#[derive(Default)]
struct Expected {
    waker: Option<Waker>,
    /// How many are still to come before the waker is called. One that is a failure suffices.
    missing: usize,
}

impl SharedWaker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Expected::default())))
    }

    /// Sets the waker. Returns true if nothing is expected that would call it: then the caller must
    /// listen to something.
    pub(crate) fn set(&self, waker: &Waker) -> bool {
        let mut expected = self.0.lock();
        let known = expected.waker.as_ref().is_some_and(|old| old.will_wake(waker));
        let old = if known { None } else { expected.waker.replace(waker.clone()) };
        let idle = expected.missing == 0;
        drop(expected);
        drop(old);
        idle
    }

    /// Expects one call of the listener. The caller is about to add it somewhere.
    pub(crate) fn expect_one(&self) {
        self.0.lock().missing = 1;
    }

    /// Expects nothing after all.
    pub(crate) fn expect_none(&self) {
        self.0.lock().missing = 0;
    }

    /// Has the waker called once all these tasks have ended, or one has ended without a result.
    pub(crate) fn listen_to(self: &Arc<Self>, headers: &[&Header]) {
        self.0.lock().missing = headers.len();
        let listener: Arc<dyn Listen> = Arc::<Self>::clone(self);
        for header in headers {
            header.listen(&listener, 0);
        }
    }

    pub(crate) fn unlisten(self: &Arc<Self>, header: &Header) {
        let listener: Arc<dyn Listen> = Arc::<Self>::clone(self);
        header.unlisten(&listener);
    }
}

impl Listen for SharedWaker {
    fn settled(&self, _token: usize, status: Status) {
        let waker = {
            let mut expected = self.0.lock();
            let missing = expected.missing.saturating_sub(1);
            expected.missing = if status == Status::Finished { missing } else { 0 };
            if expected.missing == 0 { expected.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
