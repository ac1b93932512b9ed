//! Futures in the order in which they end.

use crate::cell::Task;
use crate::error::Error;
use crate::future::{Future, told};
use crate::primitives::now;
use crate::runner::threads::with_worker;
use crate::runtime::Completions;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Iterates over futures as they end, those that fail or are cancelled included. More can be added
/// meanwhile, which is what evolving workflows do.
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
    let mut endings = AsCompleted { completions, pending: HashMap::new(), added: 0 };
    for future in futures {
        endings.add(future);
    }
    endings
}

/// See [`as_completed`].
pub struct AsCompleted<T> {
    completions: Arc<Completions<dyn Task>>,
    pending: HashMap<usize, Future<T>>,
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

    /// Whether the next one is there already.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.completions.ready() > 0
    }

    /// The next one, waiting for at most as long as this; `None` when none is left.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or what else can end a wait in a task. Nothing is lost by it.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Future<T>>, Error> {
        self.next_by(now().checked_add(timeout))
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Option<Future<T>>, Error> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let token = with_worker(|mut worker| {
            let next = self.completions.next::<Infallible>(worker.as_deref_mut(), deadline, None);
            next.map_err(|error| told(worker, error))
        })?;
        Ok(self.pending.remove(&token))
    }
}

impl<T: Send + Sync + 'static> Iterator for AsCompleted<T> {
    type Item = Future<T>;

    /// The next one that has ended; `None` when none is left, or, inside a task, when the client is
    /// closed or the wait would never end.
    fn next(&mut self) -> Option<Future<T>> {
        self.next_by(None).ok().flatten()
    }
}

impl<T> Drop for AsCompleted<T> {
    fn drop(&mut self) {
        for future in self.pending.values() {
            future.unlisten(&self.completions);
        }
    }
}
