//! The outcomes of the attempts that follow a failed one. Each is written once and read without a
//! lock.

use std::sync::OnceLock;

/// A list of attempts. Only a failed attempt is followed by another, so a thread that has read a
/// value may keep the reference.
#[derive(Debug)]
pub(super) struct Attempts<V, E> {
    outcome: OnceLock<Result<V, Box<FailedAttempt<V, E>>>>,
}

#[derive(Debug)]
struct FailedAttempt<V, E> {
    error: E,
    next: OnceLock<Attempts<V, E>>,
}

impl<V, E> Attempts<V, E> {
    /// Room for the outcome of the first attempt.
    pub(super) fn new() -> Self {
        Self { outcome: OnceLock::new() }
    }

    /// The failure of this attempt, if it has failed.
    fn failed(&self) -> Option<&FailedAttempt<V, E>> {
        self.outcome.get()?.as_ref().err().map(|failed| &**failed)
    }

    /// The last attempt, and the failure before it.
    fn current(&self) -> (&Self, Option<&FailedAttempt<V, E>>) {
        let (mut attempt, mut before) = (self, None);
        while let Some(failed) = attempt.failed()
            && let Some(next) = failed.next.get()
        {
            (attempt, before) = (next, Some(failed));
        }
        (attempt, before)
    }

    /// The outcome of the last attempt, if it has ended.
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

    /// Calls `f` with the errors of all attempts, until a call fails.
    pub(super) fn each_error<X>(&self, mut f: impl FnMut(&E) -> Result<(), X>) -> Result<(), X> {
        let mut attempt = Some(self);
        while let Some(failed) = attempt.and_then(Self::failed) {
            f(&failed.error)?;
            attempt = failed.next.get();
        }
        Ok(())
    }

    /// The error of the attempt before the last.
    pub(super) fn before_last(&self) -> Option<&E> {
        self.current().1.map(|failed| &failed.error)
    }

    /// Stores an outcome. If the last attempt has one already (say the task was cancelled and then
    /// failed), the new one is dropped.
    pub(super) fn store(&self, outcome: Result<V, E>) {
        let outcome =
            outcome.map_err(|error| Box::new(FailedAttempt { error, next: OnceLock::new() }));
        drop(self.current().0.outcome.set(outcome));
    }

    /// Makes room for the outcome of another attempt, if the last one has failed.
    pub(super) fn another(&self) {
        if let Some(failed) = self.current().0.failed() {
            // No second thread sets it: the caller holds the engine's lock.
            let _ = failed.next.set(Self::new());
        }
    }
}

impl<V, E> Drop for Attempts<V, E> {
    /// Drops the attempts in a loop: each holds the next, and there may be many.
    fn drop(&mut self) {
        let mut outcome = self.outcome.take();
        while let Some(Err(mut failed)) = outcome {
            outcome = failed.next.take().and_then(|mut next| next.outcome.take());
        }
    }
}
