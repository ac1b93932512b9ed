//! Futures as they end, for `async` code.

use crate::as_completed::AsCompleted;
use crate::future::Future;
use crate::lending::Loan;
use crate::runtime::{Listen, SharedWaker};
use futures_core::{FusedStream, Stream};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The stream that [`AsCompleted::stream`] makes, on any executor. It keeps no thread waiting.
///
/// As with the iterator, more can be added at any time, and what has come to its end goes on when
/// something is.
///
/// ```
/// use futures_util::StreamExt;
///
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let first = client.map(|n: u64| n, [8, 5]);
/// let sum = client.try_submit_async(async move {
///     let (mut endings, mut sum) = (azolla::as_completed(first).stream(), 0);
///     while let Some(future) = endings.next().await {
///         let n = *future.await?;
///         sum += n;
///         if n > 1 {
///             let client = azolla::current_client().expect("this is a task");
///             endings.add(client.submit(move || n / 2)); // found more to do
///         }
///     }
///     Ok::<_, azolla::Error>(sum)
/// });
/// assert_eq!(*sum.result()?, 23);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CompletedStream<T> {
    endings: AsCompleted<T>,
    waker: Arc<SharedWaker>,
    loan: Loan,
}

impl<T: Send + Sync + 'static> CompletedStream<T> {
    pub(crate) fn new(endings: AsCompleted<T>) -> Self {
        Self { endings, waker: SharedWaker::new(), loan: Loan::default() }
    }

    /// Adds a future. One that is added several times comes as often.
    pub fn add(&mut self, future: Future<T>) {
        self.endings.add(future);
    }

    /// How many are to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.endings.remaining()
    }

    /// Returns true if the next one is there already.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.endings.has_ready()
    }

    /// Those that have ended and have not been given, without waiting.
    pub fn take_ready(&mut self) -> Vec<Future<T>> {
        self.endings.take_ready()
    }

    /// Lets go of all that are to come.
    pub fn clear(&mut self) {
        self.endings.clear();
    }

    /// The same as an iterator, which goes on where this stands.
    #[must_use]
    pub fn into_inner(self) -> AsCompleted<T> {
        self.endings
    }
}

// Nothing in it is ever pinned.
impl<T> Unpin for CompletedStream<T> {}

impl<T: Send + Sync + 'static> Stream for CompletedStream<T> {
    type Item = Future<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Future<T>>> {
        let this = &mut *self;
        if this.endings.is_empty() {
            return Poll::Ready(None);
        }
        // The waker is set before the look: a task that ends after the look wakes it.
        let is_idle = this.waker.set(context.waker());
        let next = if is_idle {
            this.waker.expect_one();
            let listener: Arc<dyn Listen> = Arc::<SharedWaker>::clone(&this.waker);
            let next = this.endings.completions.next_or_listen(&listener);
            if next.is_some() {
                this.waker.expect_none();
            }
            next
        } else {
            this.endings.completions.try_next()
        };
        match next.map(|token| this.endings.give(token)) {
            Some(Some(future)) => {
                this.loan.end();
                Poll::Ready(Some(future))
            }
            // The iterator that this was has given it already.
            Some(None) => self.poll_next(context),
            None => {
                // It waits for the first of several, so no cycle is found.
                drop(this.loan.begin(|_| Vec::new()));
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining(), None)
    }
}

impl<T: Send + Sync + 'static> FusedStream for CompletedStream<T> {
    /// Returns true if the stream ends unless a future is added.
    fn is_terminated(&self) -> bool {
        self.endings.is_empty()
    }
}

impl<T: Send + Sync + 'static> Extend<Future<T>> for CompletedStream<T> {
    fn extend<I: IntoIterator<Item = Future<T>>>(&mut self, futures: I) {
        self.endings.extend(futures);
    }
}

impl<T> fmt::Debug for CompletedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CompletedStream").field(&self.endings).finish()
    }
}
