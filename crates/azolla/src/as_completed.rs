//! Futures in the order in which they end.

use crate::cell::Task;
use crate::completed_stream::CompletedStream;
use crate::error::Error;
use crate::future::{Future, told};
use crate::primitives::now;
use crate::runner::threads::with_waiting_worker;
use crate::runtime::Completions;
use rustc_hash::FxHashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Iterates over futures as they end, those that fail or are cancelled included. More can be added
/// meanwhile, which is what evolving workflows do. [`stream`](AsCompleted::stream) makes it a stream
/// for `async` code.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let mut seen = Vec::new();
/// let mut endings = azolla::as_completed(client.map(|n: u64| n, [8, 5]));
/// while let Some(future) = endings.next() {
///     let n = *future.result()?;
///     seen.push(n);
///     if n > 1 {
///         endings.add(client.submit(move || n / 2)); // found more to do
///     }
/// }
/// seen.sort_unstable();
/// assert_eq!(seen, [1, 1, 2, 2, 4, 5, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_completed<T: Send + Sync + 'static>(
    futures: impl IntoIterator<Item = Future<T>>,
) -> AsCompleted<T> {
    let completions = Completions::new();
    let mut endings = AsCompleted { completions, pending: FxHashMap::default(), added: 0 };
    endings.extend(futures);
    endings
}

/// See [`as_completed`]. When it has come to its end it goes on as soon as something is added.
pub struct AsCompleted<T> {
    pub(crate) completions: Arc<Completions<dyn Task>>,
    pending: FxHashMap<usize, Future<T>>,
    added: usize,
}

impl<T: Send + Sync + 'static> AsCompleted<T> {
    /// Adds a future. One that is added several times comes as often.
    pub fn add(&mut self, future: Future<T>) {
        let task: Arc<dyn Task> = future.cell();
        self.added += 1;
        self.pending.insert(self.added, future);
        self.completions.add(&task, self.added);
    }

    /// How many are to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.pending.len()
    }

    /// Returns true if none is to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns true if the next one is there already.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.completions.ready() > 0
    }

    /// Lets go of all that are to come.
    pub fn clear(&mut self) {
        for future in self.pending.values() {
            future.unlisten(&self.completions);
        }
        self.completions.clear(self.added + 1);
        self.pending.clear();
    }

    /// The next one, as [`next`](Iterator::next) gives it, or why it cannot be waited for.
    ///
    /// # Errors
    /// Inside a task: that the client is closed, or that the wait would never end. Nothing is lost by
    /// it.
    pub fn try_next(&mut self) -> Result<Option<Future<T>>, Error> {
        self.next_before(None)
    }

    /// The next one, waiting for at most as long as this; `None` when none is left.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or what else can end a wait in a task. Nothing is lost by it.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Future<T>>, Error> {
        self.next_before(now().checked_add(timeout))
    }

    /// The next one, waiting until then at the latest; `None` when none is left. With the same
    /// deadline each time, all of them are given that long.
    ///
    /// # Errors
    /// As for [`next_timeout`](Self::next_timeout).
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Future<T>>, Error> {
        self.next_before(Some(deadline))
    }

    /// Those that have ended and have not been given, without waiting.
    pub fn take_ready(&mut self) -> Vec<Future<T>> {
        std::iter::from_fn(|| self.completions.try_next())
            .filter_map(|token| self.pending.remove(&token))
            .collect()
    }

    /// Waits for the next one, and gives it with all others that have ended; `None` when none is
    /// left.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let mut endings = azolla::as_completed(client.map(|n: u64| n, 0..100));
    /// let mut sum = 0;
    /// while let Some(batch) = endings.next_batch() {
    ///     for future in &batch {
    ///         sum += future.result()?;
    ///     }
    /// }
    /// assert_eq!(sum, 4950);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_batch(&mut self) -> Option<Vec<Future<T>>> {
        let mut batch = vec![self.next()?];
        batch.extend(self.take_ready());
        Some(batch)
    }

    /// The same as a stream, which goes on where this stands.
    #[must_use]
    pub fn stream(self) -> CompletedStream<T> {
        CompletedStream::new(self)
    }

    /// The one that is known by this.
    pub(crate) fn give(&mut self, token: usize) -> Option<Future<T>> {
        self.pending.remove(&token)
    }

    fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Future<T>>, Error> {
        while !self.pending.is_empty() {
            let token = with_waiting_worker(|mut worker| {
                let next =
                    self.completions.next::<Infallible>(worker.as_deref_mut(), deadline, None);
                next.map_err(|error| told(worker, error))
            })?;
            // One that was given before it had ended has ended now.
            let next = self.give(token);
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// One that has not ended, for a task that cannot wait for it: its `result` says why.
    fn give_pending(&mut self) -> Option<Future<T>> {
        let token = *self.pending.keys().next()?;
        self.completions.forget(token);
        self.give(token)
    }
}

impl<T: Send + Sync + 'static> Iterator for AsCompleted<T> {
    type Item = Future<T>;

    /// The next one that has ended; `None` when none is left. None is left out: inside a task whose client is
    /// closed, or whose wait would never end, those come that have not ended, and their
    /// [`result`](Future::result) is the error.
    fn next(&mut self) -> Option<Future<T>> {
        self.next_before(None).unwrap_or_else(|_| self.give_pending())
    }
}

impl<T: Send + Sync + 'static> Extend<Future<T>> for AsCompleted<T> {
    fn extend<I: IntoIterator<Item = Future<T>>>(&mut self, futures: I) {
        for future in futures {
            self.add(future);
        }
    }
}

impl<T> Drop for AsCompleted<T> {
    fn drop(&mut self) {
        for future in self.pending.values() {
            future.unlisten(&self.completions);
        }
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("remaining", &self.pending.len())
            .finish_non_exhaustive()
    }
}
