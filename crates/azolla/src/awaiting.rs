//! Futures that are awaited, on any executor.

use crate::error::Error;
use crate::future::{Future, Value};
use crate::lending::Loan;
use crate::runtime::{SharedWaker, Status};
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

impl<T: Send + Sync + 'static> IntoFuture for Future<T> {
    type Output = Result<Value<T>, Error>;
    type IntoFuture = Awaiting<T>;

    fn into_future(self) -> Awaiting<T> {
        Awaiting { future: Some(self), waker: None, loan: Loan::default() }
    }
}

impl<T: Send + Sync + 'static> IntoFuture for &Future<T> {
    type Output = Result<Value<T>, Error>;
    type IntoFuture = Awaiting<T>;

    fn into_future(self) -> Awaiting<T> {
        self.clone().into_future()
    }
}

/// What `.await` makes of a [`Future`]; runs on any executor.
///
/// Polled on the thread of a task that is no async task, it lends the task's slot while it is pending: so a
/// task may block on it by any executor. The slot is asked for again when the last of those that it has polled has
/// ended or is dropped; until then the task runs without one.
///
/// ```
/// # use std::{future::Future, pin::pin, sync::Arc, task::{Context, Poll, Wake}, thread};
/// # struct Unparks(thread::Thread);
/// # impl Wake for Unparks { fn wake(self: Arc<Self>) { self.0.unpark() } }
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let (mut future, waker) = (pin!(future), Arc::new(Unparks(thread::current())).into());
/// #     loop {
/// #         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
/// #             Poll::Ready(output) => return output,
/// #             Poll::Pending => thread::park(),
/// #         }
/// #     }
/// # }
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let parent = client.submit(|| {
///     let child = azolla::current_client().expect("this is a task").submit(|| 7);
///     block_on(async { child.await.map(|seven| *seven) }) // of futures, tokio, pollster …
/// });
/// assert_eq!(parent.result()?.clone()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Awaiting<T> {
    future: Option<Future<T>>,
    waker: Option<Arc<SharedWaker>>,
    loan: Loan,
}

impl<T: Send + Sync + 'static> std::future::Future for Awaiting<T> {
    type Output = Result<Value<T>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let future = this.future.as_ref().expect("a finished future is not polled again");
        loop {
            if let Some(outcome) = future.now() {
                let outcome = outcome.map(drop);
                let future = this.future.take().expect("it was there");
                if let Some(waker) = this.waker.take() {
                    waker.unlisten(future.cell.header());
                    this.loan.end();
                }
                return Poll::Ready(outcome.map(|()| Value(future)));
            }
            let waker = this.waker.get_or_insert_with(SharedWaker::new);
            if waker.set(context.waker()) {
                waker.listen_to(&[future.cell.header()]);
            } else if !future.is_done() {
                let task = |engine| future.cell.header().id_in(engine).into_iter().collect();
                return match this.loan.begin(task) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                };
            }
        }
    }
}

/// What [`Client::gather_async`](crate::Client::gather_async) awaits.
pub(crate) struct AwaitingAll<'a, T> {
    futures: Vec<&'a Future<T>>,
    waker: Option<Arc<SharedWaker>>,
    loan: Loan,
}

/// The results if all are there, or the first failure in order if there is one.
pub(crate) fn gathered<'a, T: Send + Sync + 'static>(
    futures: &[&'a Future<T>],
) -> Option<Result<Vec<&'a T>, Error>> {
    let failed =
        |future: &&Future<T>| matches!(future.status(), Status::Failed | Status::Cancelled);
    if let Some(failed) = futures.iter().find(|future| failed(future)) {
        // The caller is told of one failure. It has asked for all, and is told of no other.
        for future in futures {
            future.cell.header().see_failure();
        }
        // The task is pending again if it was retried at this moment.
        return failed.now().map(|outcome| outcome.map(|_| Vec::new())).filter(Result::is_err);
    }
    futures.iter().map(|future| future.now()).collect()
}

/// Awaits all of these.
pub(crate) fn all<T: Send + Sync + 'static>(futures: Vec<&Future<T>>) -> AwaitingAll<'_, T> {
    AwaitingAll { futures, waker: None, loan: Loan::default() }
}

impl<'a, T: Send + Sync + 'static> std::future::Future for AwaitingAll<'a, T> {
    type Output = Result<Vec<&'a T>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(outcome) = gathered(&this.futures) {
                this.loan.end();
                return Poll::Ready(outcome);
            }
            let headers = this.futures.iter().map(|future| future.cell.header());
            let pending = headers.filter(|header| header.status() == Status::Pending);
            let waker = this.waker.get_or_insert_with(SharedWaker::new);
            if !waker.set(context.waker()) {
                let tasks = |engine| pending.filter_map(|header| header.id_in(engine)).collect();
                return match this.loan.begin(tasks) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                };
            }
            waker.listen_to(&pending.collect::<Vec<_>>());
        }
    }
}

impl<T> Drop for AwaitingAll<'_, T> {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            for future in &self.futures {
                waker.unlisten(future.cell.header());
            }
        }
    }
}

impl<T> Drop for Awaiting<T> {
    fn drop(&mut self) {
        if let (Some(future), Some(waker)) = (&self.future, &self.waker) {
            waker.unlisten(future.cell.header());
        }
    }
}
