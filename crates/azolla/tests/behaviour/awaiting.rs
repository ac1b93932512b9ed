//! Awaiting, on an executor made by hand.

use crate::{Gate, assert_empty, client, own, soon};
use azolla::Error;
use futures_util::StreamExt;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        azolla::runtime::assert_unlocked();
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
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
    thread::sleep(Duration::from_millis(20));
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

/// Holds no more than one at once.
#[derive(Clone, Default)]
struct Alone(Arc<AtomicU32>);

impl Alone {
    fn pass(&self) {
        assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "two hold the one slot");
        thread::yield_now();
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_that_blocks_on_a_future_lends_its_slot_and_gets_it_back() {
    let (client, alone) = (client(1), Alone::default());
    let parents: Vec<_> = (0..20)
        .map(|n| {
            let alone = alone.clone();
            client.submit(move || {
                alone.pass();
                let inside = alone.clone();
                let children = own().map(
                    move |m: u32| {
                        inside.pass();
                        n + m
                    },
                    0..3,
                );
                let sum = match n % 4 {
                    0 => children.into_iter().map(|child| *block_on(child).unwrap()).sum(),
                    1 => block_on(own().gather_async(&children)).unwrap().into_iter().sum(),
                    2 => block_on(async {
                        let mut sum = 0;
                        let mut endings = azolla::as_completed(children).stream();
                        while let Some(child) = endings.next().await {
                            sum += *child.await.unwrap();
                        }
                        sum
                    }),
                    _ => {
                        let [a, b, c] = <[_; 3]>::try_from(children).unwrap();
                        let all = async { joined(a, b, c).await };
                        block_on(all).iter().sum()
                    }
                };
                alone.pass();
                (sum, 3 * n + 3)
            })
        })
        .collect();
    for parent in &parents {
        let (sum, expected) = parent.result().unwrap();
        assert_eq!(sum, expected);
    }
    drop(parents);
    assert_empty(&client);
}

/// Polls three at once, as a `join!` does.
async fn joined(
    a: azolla::Future<u32>,
    b: azolla::Future<u32>,
    c: azolla::Future<u32>,
) -> Vec<u32> {
    let mut waiting: Vec<_> = [a, b, c].map(|it| Some(it.into_future())).into();
    let mut there = Vec::new();
    std::future::poll_fn(move |context| {
        for place in &mut waiting {
            let Some(one) = place else { continue };
            if let Poll::Ready(value) = Pin::new(one).poll(context) {
                there.push(*value.unwrap());
                *place = None;
            }
        }
        let all = there.len() == 3;
        if all { Poll::Ready(std::mem::take(&mut there)) } else { Poll::Pending }
    })
    .await
}

#[test]
fn a_task_that_blocks_on_what_is_shared_lends_its_slot() {
    let client = client(1);
    let queue = azolla::sync::Queue::new(&client);
    let (gets, event) = (queue.clone(), azolla::sync::Event::new(&client));
    let waits = event.clone();
    let parent = client.submit(move || {
        let got: u32 = block_on(gets.get_async()).unwrap();
        block_on(waits.wait_async()).unwrap();
        got
    });
    client.submit(move || queue.put(7).unwrap()).result().unwrap();
    client.submit(move || event.set()).result().unwrap();
    assert_eq!(*parent.result().unwrap(), 7);
}

#[test]
fn a_slot_that_is_lent_is_lent_again_after_a_wait_that_blocks() {
    let client = client(1);
    let event = azolla::sync::Event::new(&client);
    let waits = event.clone();
    let parent = client.submit(move || {
        let mut late = own().submit(move || waits.wait().unwrap()).into_future();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut late).poll(&mut context).is_pending());
        own().submit(|| ()).result().unwrap();
        // This thread sleeps without azolla, as one does that polls nothing for a while.
        let (send, receive) = std::sync::mpsc::channel();
        own().submit(move || send.send(7).unwrap()).forget();
        let got = receive.recv_timeout(Duration::from_secs(60)).unwrap();
        event.set().unwrap();
        block_on(late).unwrap();
        got
    });
    assert_eq!(*parent.result().unwrap(), 7);
}

#[test]
fn a_task_that_blocks_on_itself_is_told() {
    let client = client(1);
    let keyed = client.task().key("self").submit(|| {
        let me = own().task().key("self").submit(|| true);
        let cycle = matches!(block_on(me), Err(Error::WaitCycle { .. }));
        cycle && *block_on(own().submit(|| true)).unwrap()
    });
    assert!(*keyed.result().unwrap());
}

#[test]
fn a_future_that_is_dropped_pending_lends_no_slot_any_more() {
    let (client, alone) = (client(1), Alone::default());
    let gate = Gate::default();
    for way in 0..3 {
        let (inside, alone, open) = (alone.clone(), alone.clone(), gate.clone());
        let parent = client.submit(move || {
            let child = own().submit(move || inside.pass());
            let mut waiting = child.clone().into_future();
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut waiting).poll(&mut context);
            match way {
                0 => drop(waiting),
                // It goes to a thread that is no task's.
                1 => drop(thread::spawn(move || drop(waiting)).join()),
                _ => std::mem::forget(waiting),
            }
            // An ordinary wait asks for the slot first.
            child.result().unwrap();
            alone.pass();
            open.open();
        });
        parent.result().unwrap();
        gate.pass();
    }
}
