//! Values, closures and futures that go: never under a lock, never by recursion.

use crate::{Dropped, Gate, assert_empty, client, own, soon};
use azolla::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const LONG: usize = 100_000;

#[test]
fn a_long_chain_that_never_ran_is_dropped() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let mut last = client.submit(move || pass.pass());
    for _ in 0..LONG {
        last = client.submit_with(&last, |()| ());
    }
    drop(last);
    gate.open();
    assert_empty(&client);
}

#[test]
fn a_long_chain_that_failed_is_dropped() {
    let client = client(1);
    let mut last = client.try_submit(|| Err::<(), _>("first"));
    for _ in 0..LONG {
        last = client.submit_with(&last, |()| ());
    }
    assert!(last.result().is_err());
    drop(last);
    assert_empty(&client);
}

#[test]
fn a_long_chain_of_futures_in_closures_is_dropped() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let mut last = client.submit(|| ());
    for _ in 0..LONG {
        let before = last;
        last = client.submit(move || drop(before));
    }
    drop(last);
    gate.open();
    drop(busy);
    assert_empty(&client);
}

#[test]
fn a_long_chain_is_cancelled_while_all_its_futures_live() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let mut chain = vec![client.submit(move || pass.pass())];
    for n in 0..LONG {
        let next = client.submit_with(&chain[n], |()| ());
        chain.push(next);
    }
    chain[0].cancel();
    gate.open();
    soon("the news arrive", || chain[LONG].is_done());
    // The inputs first, so that every task is held by the next alone.
    drop(chain);
    assert_empty(&client);
}

#[test]
fn values_go_with_their_last_future_and_outside_the_lock() {
    let client = client(2);
    let dropped: Vec<_> = (0..100).map(|_| Arc::new(AtomicBool::new(false))).collect();
    let values = client.map(|flag| Dropped(flag, false), dropped.clone());
    client.gather(&values).unwrap();
    assert!(dropped.iter().all(|flag| !flag.load(Ordering::SeqCst)));
    drop(values);
    soon("all go", || dropped.iter().all(|flag| flag.load(Ordering::SeqCst)));
    assert_empty(&client);
}

/// Submits, waits and drops futures when it is dropped itself.
struct Meddles(azolla::Client, Arc<AtomicU32>);

impl Drop for Meddles {
    fn drop(&mut self) {
        let future = self.0.submit(|| 1);
        self.1.fetch_add(*future.result().unwrap_or(&0) + 1, Ordering::SeqCst);
        drop(self.0.map(|n: u32| n, 0..10));
    }
}

#[test]
fn destructors_may_submit_and_wait() {
    let client = client(2);
    let seen = Arc::new(AtomicU32::new(0));
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    // In a closure that runs, in one that is cancelled, in a value, and in a future in a task.
    let held = Meddles(client.clone(), Arc::clone(&seen));
    let runs = client.submit(move || drop(held));
    let held = Meddles(client.clone(), Arc::clone(&seen));
    let dropped = client.submit_with(&busy, move |()| drop(held));
    let held = Meddles(client.clone(), Arc::clone(&seen));
    let value = client.submit(move || held);
    let in_task = client.submit(|| drop(own().map(|n: u32| n, 0..10)));
    drop(dropped);
    gate.open();
    busy.result().unwrap();
    runs.result().unwrap();
    value.result().unwrap();
    in_task.result().unwrap();
    drop((busy, runs, value, in_task));
    soon("all three have done so", || seen.load(Ordering::SeqCst) >= 5);
    assert_empty(&client);
}

#[test]
fn futures_are_dropped_from_four_threads() {
    let client = client(2);
    let futures: Vec<Future<u32>> = client.map(|n: u32| n, 0..20_000);
    let mut parts: Vec<Vec<_>> = (0..4).map(|_| futures.clone()).collect();
    drop(futures);
    std::thread::scope(|scope| {
        for part in parts.drain(..) {
            scope.spawn(move || drop(part));
        }
    });
    assert_empty(&client);
}
