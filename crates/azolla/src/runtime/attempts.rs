//! The outcomes of the attempts after one that has failed, each written once and read without a lock.

use std::sync::OnceLock;

/// Only a failed one is followed by another, so whoever has been shown a result keeps it.
#[derive(Debug)]
pub(super) struct Attempts<V, E> {
    outcome: OnceLock<Result<V, Box<Failed<V, E>>>>,
}

#[derive(Debug)]
struct Failed<V, E> {
    error: E,
    next: OnceLock<Attempts<V, E>>,
}

impl<V, E> Attempts<V, E> {
    /// Room for the outcome of the first attempt.
    pub(super) fn new() -> Self {
        Self { outcome: OnceLock::new() }
    }

    /// The error that this attempt has ended with.
    fn failed(&self) -> Option<&Failed<V, E>> {
        self.outcome.get()?.as_ref().err().map(|failed| &**failed)
    }

    /// The current attempt, and the one before it.
    fn current(&self) -> (&Self, Option<&Failed<V, E>>) {
        let (mut attempt, mut before) = (self, None);
        while let Some(failed) = attempt.failed()
            && let Some(next) = failed.next.get()
        {
            (attempt, before) = (next, Some(failed));
        }
        (attempt, before)
    }

    /// The outcome of the last attempt, if there is one yet.
    #[inline]
    pub(super) fn last(&self) -> Option<Result<&V, &E>> {
        match self.outcome.get()? {
            Ok(value) => Some(Ok(value)),
            Err(_) => self.last_of_many(),
        }
    }

    fn last_of_many(&self) -> Option<Result<&V, &E>> {
        let outcome = self.current().0.outcome.get()?;
        Some(outcome.as_ref().map_err(|failed| &failed.error))
    }

    /// The error of the attempt before the last.
    pub(super) fn before_last(&self) -> Option<&E> {
        self.current().1.map(|failed| &failed.error)
    }

    /// Stores an outcome. If there is one already (the task was cancelled, say, and failed
    /// after all), the new one is dropped.
    pub(super) fn store(&self, outcome: Result<V, E>) {
        let outcome = outcome.map_err(|error| Box::new(Failed { error, next: OnceLock::new() }));
        drop(self.current().0.outcome.set(outcome));
    }

    /// Makes room for the outcome of another attempt, where the last has failed.
    pub(super) fn another(&self) {
        if let Some(failed) = self.current().0.failed() {
            // Two at once cannot be: the engine is locked meanwhile.
            let _ = failed.next.set(Self::new());
        }
    }
}

impl<V, E> Drop for Attempts<V, E> {
    /// One by one: there may be many, and each holds the next.
    fn drop(&mut self) {
        let mut outcome = self.outcome.take();
        while let Some(Err(mut failed)) = outcome {
            outcome = failed.next.take().and_then(|mut next| next.outcome.take());
        }
    }
}
