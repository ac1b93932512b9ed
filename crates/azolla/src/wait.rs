//! Waiting for several futures, whatever becomes of them.

use crate::as_completed::as_completed;
use crate::cell::Task;
use crate::client::Client;
use crate::error::Error;
use crate::future::{Future, wait_for};
use crate::primitives::now;
use crate::runtime::{Status, Until};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which of the futures that were waited for have ended. Those that have failed or were cancelled are
/// among them.
#[derive(Debug)]
pub struct Waited<'a, T> {
    /// Those that have ended.
    pub done: Vec<&'a Future<T>>,
    /// Those that have not.
    pub not_done: Vec<&'a Future<T>>,
}

/// Waits until all these tasks have ended, the first of them has, or the first without a result.
/// Inside a task this lends the task's slot meanwhile.
///
/// # Errors
/// Inside a task: that the client is closed, or that the wait would never end. What becomes of the
/// tasks is no error here.
///
/// ```
/// use azolla::Until;
///
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let futures = client.map(|n: u32| n, 0..10);
/// let first = azolla::wait(&futures, Until::First)?;
/// assert!(!first.done.is_empty());
/// let all = azolla::wait(&futures, Until::All)?;
/// assert_eq!((all.done.len(), all.not_done.len()), (10, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait<'a, T: Send + Sync + 'static>(
    futures: impl IntoIterator<Item = &'a Future<T>>,
    until: Until,
) -> Result<Waited<'a, T>, Error> {
    wait_before(futures.into_iter().collect(), until, None)
}

/// As [`wait`], for at most as long as this.
///
/// # Errors
/// [`Error::TimedOut`] too.
pub fn wait_timeout<'a, T: Send + Sync + 'static>(
    futures: impl IntoIterator<Item = &'a Future<T>>,
    until: Until,
    timeout: Duration,
) -> Result<Waited<'a, T>, Error> {
    wait_before(futures.into_iter().collect(), until, now().checked_add(timeout))
}

/// As [`wait`], to be awaited on any executor.
pub async fn wait_async<'a, T: Send + Sync + 'static>(
    futures: impl IntoIterator<Item = &'a Future<T>>,
    until: Until,
) -> Waited<'a, T> {
    let futures: Vec<&Future<T>> = futures.into_iter().collect();
    let mut endings = as_completed(futures.iter().copied().cloned()).stream();
    while let Some(ended) = poll_fn(|context| Pin::new(&mut endings).poll_next(context)).await {
        match until {
            Until::First => break,
            Until::AllOrFailure if ended.status() != Status::Finished => break,
            _ => {}
        }
    }
    sorted(futures)
}

impl Client {
    /// The results of those of these futures that have one, in their order, once all have ended.
    ///
    /// # Errors
    /// As for [`wait`]. That a task has failed or was cancelled is none.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let numbers = client.try_map(|text: &str| text.parse::<i32>(), ["1", "two", "3"]);
    /// assert_eq!(client.gather_ok(&numbers)?, [&1, &3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gather_ok<'a, T: Send + Sync + 'static>(
        &self,
        futures: impl IntoIterator<Item = &'a Future<T>>,
    ) -> Result<Vec<&'a T>, Error> {
        let futures: Vec<&Future<T>> = futures.into_iter().collect();
        wait(futures.iter().copied(), Until::All)?;
        Ok(those_with_results(futures))
    }

    /// As [`gather_ok`](Self::gather_ok), to be awaited on any executor.
    pub async fn gather_ok_async<'a, T: Send + Sync + 'static>(
        &self,
        futures: impl IntoIterator<Item = &'a Future<T>>,
    ) -> Vec<&'a T> {
        let futures: Vec<&Future<T>> = futures.into_iter().collect();
        wait_async(futures.iter().copied(), Until::All).await;
        those_with_results(futures)
    }
}

fn wait_before<T: Send + Sync + 'static>(
    futures: Vec<&Future<T>>,
    until: Until,
    deadline: Option<Instant>,
) -> Result<Waited<'_, T>, Error> {
    let tasks: Vec<Arc<dyn Task>> =
        futures.iter().map(|future| -> Arc<dyn Task> { future.cell() }).collect();
    wait_for(&tasks, until, deadline)?;
    Ok(sorted(futures))
}

fn sorted<T: Send + Sync + 'static>(futures: Vec<&Future<T>>) -> Waited<'_, T> {
    let (done, not_done) = futures.into_iter().partition(|future| future.is_done());
    Waited { done, not_done }
}

fn those_with_results<T: Send + Sync + 'static>(futures: Vec<&Future<T>>) -> Vec<&T> {
    futures.into_iter().filter_map(|future| future.try_result()?.ok()).collect()
}
