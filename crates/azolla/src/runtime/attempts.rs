//! The place for a task's outcome, written once an attempt and read without a lock.

use std::sync::OnceLock;

/// The outcomes of a task's attempts. Only a failed one is followed by another, so whoever has
/// been shown a result keeps it.
#[derive(Debug)]
pub struct Attempts<O> {
    outcome: OnceLock<O>,
    next: OnceLock<Box<Attempts<O>>>,
}

impl<O> Default for Attempts<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O> Attempts<O> {
    /// Room for the outcome of the first attempt.
    #[must_use]
    pub fn new() -> Self {
        Self { outcome: OnceLock::new(), next: OnceLock::new() }
    }

    fn current(&self) -> &Self {
        let mut attempt = self;
        while let Some(next) = attempt.next.get() {
            attempt = next;
        }
        attempt
    }

    /// The outcome of the last attempt, if there is one yet.
    #[must_use]
    pub fn last(&self) -> Option<&O> {
        self.current().outcome.get()
    }

    /// The outcome of the attempt before the last.
    #[must_use]
    pub fn before_last(&self) -> Option<&O> {
        let (mut before, mut attempt) = (None, self);
        while let Some(next) = attempt.next.get() {
            before = attempt.outcome.get();
            attempt = next;
        }
        before
    }

    /// Stores an outcome. If there is one already (the task was cancelled, say, and failed
    /// after all), the new one comes back.
    pub fn store(&self, outcome: O) -> Result<(), O> {
        self.current().outcome.set(outcome)
    }

    /// Makes room for the outcome of another attempt.
    pub fn another(&self) {
        // Two at once cannot be: the engine is locked meanwhile.
        let _ = self.current().next.set(Box::new(Self::new()));
    }
}

impl<O> Drop for Attempts<O> {
    /// One by one: there may be many, and each holds the next.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut attempt) = next {
            next = attempt.next.take();
        }
    }
}
