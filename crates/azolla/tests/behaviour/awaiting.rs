//! Awaiting, on an executor made by hand.

use crate::{Gate, client, soon};
use azolla::Error;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        azolla::runtime::assert_unlocked();
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Counts how often it is woken, and panics then if it is to.
struct Counts(AtomicU32, bool);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert!(!self.1, "a waker that panics");
    }
}

fn counting(panics: bool) -> (Arc<Counts>, Waker) {
    let counts = Arc::new(Counts(AtomicU32::new(0), panics));
    (Arc::clone(&counts), Waker::from(counts))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_result_is_awaited_and_outlives_the_future() {
    let client = client(1);
    let future = client.submit(|| String::from("there"));
    let value = block_on(future.into_future()).unwrap();
    assert_eq!(&**value, "there");
    let future = client.submit(|| 1);
    let value = block_on(async { (&future).await }).unwrap();
    future.cancel();
    assert_eq!(*value, 1, "a cancel that comes later takes nothing away");
}

#[test]
fn failures_and_cancels_wake_too() {
    let client = client(1);
    let bad = client.try_submit(|| Err::<i32, _>("bad"));
    assert!(matches!(block_on(bad.into_future()), Err(Error::Failed { .. })));
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let queued = client.submit(|| 1);
    let (counts, waker) = counting(false);
    let mut awaiting = queued.clone().into_future();
    assert!(poll(&mut awaiting, &waker).is_pending());
    assert!(poll(&mut awaiting, &waker).is_pending());
    queued.cancel();
    assert_eq!(counts.0.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(&mut awaiting, &waker), Poll::Ready(Err(Error::Cancelled { .. }))));
    gate.open();
    block_on(busy.into_future()).unwrap();
}

#[test]
fn the_last_waker_counts_and_one_dropped_half_way_is_not_called() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    let ((old, old_waker), (new, new_waker)) = (counting(false), counting(false));
    let mut awaiting = slow.clone().into_future();
    assert!(poll(&mut awaiting, &old_waker).is_pending());
    assert!(poll(&mut awaiting, &new_waker).is_pending());
    let (gone, gone_waker) = counting(false);
    let mut dropped = slow.clone().into_future();
    assert!(poll(&mut dropped, &gone_waker).is_pending());
    drop(dropped);
    drop(gone_waker);
    assert_eq!(Arc::strong_count(&gone), 1, "nothing of it is kept");
    gate.open();
    soon("it is woken", || new.0.load(Ordering::SeqCst) == 1);
    assert_eq!(old.0.load(Ordering::SeqCst) + gone.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    let (counts, waker) = counting(true);
    let mut awaiting = slow.clone().into_future();
    assert!(poll(&mut awaiting, &waker).is_pending());
    let other = slow.clone();
    let waits = thread::spawn(move || other.result().is_ok());
    thread::sleep(std::time::Duration::from_millis(20));
    gate.open();
    assert!(waits.join().unwrap(), "those after it are told");
    soon("it was called", || counts.0.load(Ordering::SeqCst) == 1);
    assert_eq!(*client.submit(|| 1).result().unwrap(), 1);
    assert_eq!(client.counters().threads, 1);
}

#[test]
fn a_failure_that_is_retried_before_the_executor_looks_is_awaited_on() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let calls = AtomicU32::new(0);
    let flaky = client.task().retries(0).try_submit(move || {
        pass.pass();
        if calls.fetch_add(1, Ordering::SeqCst) == 0 { Err("once") } else { Ok(2) }
    });
    let (counts, waker) = counting(false);
    let mut awaiting = flaky.clone().into_future();
    assert!(poll(&mut awaiting, &waker).is_pending());
    gate.open();
    soon("it is woken", || counts.0.load(Ordering::SeqCst) == 1);
    let hold = Gate::default();
    let pass = hold.clone();
    let busy = client.submit(move || pass.pass());
    flaky.retry();
    assert!(poll(&mut awaiting, &waker).is_pending());
    hold.open();
    busy.result().unwrap();
    soon("it is woken again", || counts.0.load(Ordering::SeqCst) == 2);
    assert!(matches!(poll(&mut awaiting, &waker), Poll::Ready(Ok(two)) if *two == 2));
}

#[test]
fn gather_async_gives_all_or_the_failure_as_soon_as_it_comes() {
    let client = client(2);
    let futures = client.map(|n: u32| n, 0..100);
    let all = block_on(client.gather_async(&futures)).unwrap();
    assert_eq!(all.into_iter().sum::<u32>(), 4950);
    let none: [azolla::Future<u32>; 0] = [];
    assert!(block_on(client.gather_async(&none)).unwrap().is_empty());
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    let bad = client.try_submit(|| Err::<(), _>("early"));
    let error = block_on(client.gather_async([&slow, &bad])).unwrap_err();
    assert!(error.to_string().ends_with("failed: early"), "{error}");
    gate.open();
}
