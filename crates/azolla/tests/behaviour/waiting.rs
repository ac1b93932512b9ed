//! Tasks that wait: no slot is taken, threads are bounded, cycles are errors.

use crate::{Gate, client, own};
use azolla::{Error, as_completed, current_client};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let client = current_client().expect("a task");
    let (a, b) = (client.submit(move || fib(n - 1)), client.submit(move || fib(n - 2)));
    client.gather([&a, &b]).expect("no failure").into_iter().sum()
}

#[test]
fn fib_18_with_every_call_two_tasks() {
    let client = client(2);
    let future = client.submit(|| fib(18));
    assert_eq!(*future.result().unwrap(), 2584);
    assert_eq!(client.counters().submitted, 8361);
}

/// Each with ten children of a millisecond, on two slots. `AZOLLA_PARENTS=10000` takes a minute.
fn how_many_parents() -> u64 {
    std::env::var("AZOLLA_PARENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

fn parents_and_children(wait: fn(Vec<azolla::Future<u64>>) -> u64) {
    let client = client(2);
    let threads = Arc::new(AtomicU64::new(0));
    let most = Arc::clone(&threads);
    let parents = client.map(
        move |n: u64| {
            most.fetch_max(own().counters().threads, Ordering::Relaxed);
            wait(own().map(
                move |i: u64| {
                    std::thread::sleep(Duration::from_millis(1));
                    n + i
                },
                0..10,
            ))
        },
        0..how_many_parents(),
    );
    let sum: u64 = client.gather(&parents).unwrap().into_iter().sum();
    assert_eq!(sum, (0..how_many_parents()).map(|n| 10 * n + 45).sum());
    let threads = threads.load(Ordering::Relaxed);
    assert!((3..=300).contains(&threads), "{threads} threads");
}

#[test]
fn parents_gather_their_children_without_secede() {
    parents_and_children(|children| {
        current_client().expect("a task").gather(&children).unwrap().into_iter().sum()
    });
}

#[test]
fn parents_take_their_children_as_they_complete() {
    parents_and_children(|children| {
        as_completed(children).map(|child| *child.result().unwrap()).sum()
    });
}

#[test]
fn two_tasks_that_wait_for_each_other_are_told() {
    let client = client(2);
    let first = Arc::new((Mutex::new(None::<azolla::Future<String>>), Condvar::new()));
    let other = Arc::clone(&first);
    let wait_for_b = move || {
        let (slot, filled) = &*other;
        let mut slot = slot.lock().unwrap();
        while slot.is_none() {
            slot = filled.wait(slot).unwrap();
        }
        let b = slot.take().unwrap();
        drop(slot);
        match b.result() {
            Err(Error::WaitCycle { keys }) => keys.join(" "),
            other => format!("{other:?}"),
        }
    };
    let a = client.task().key("a").submit(wait_for_b);
    let a_again = a.clone();
    let b = client.task().key("b").submit(move || match a_again.result() {
        Err(Error::WaitCycle { keys }) => keys.join(" "),
        other => format!("{other:?}"),
    });
    *first.0.lock().unwrap() = Some(b.clone());
    first.1.notify_all();
    let (a, b) = (a.result().unwrap().clone(), b.result().unwrap().clone());
    assert!(a == "a b" && b.contains("a b") || b == "b a" && a.contains("b a"), "{a} / {b}");
}

#[test]
fn a_wait_in_a_task_can_time_out() {
    // Whoever gives up goes on with a slot: the other one, for what it waited for keeps the first.
    let client = client(2);
    let future = client.submit(|| {
        let gate = Gate::default();
        let pass = gate.clone();
        let slow = own().submit(move || pass.pass());
        let late = slow.result_timeout(Duration::from_millis(1)).map(|_| ());
        gate.open();
        (matches!(late, Err(Error::TimedOut)), slow.result().is_ok())
    });
    assert_eq!(*future.result().unwrap(), (true, true));
}

/// Two clients deal out the same ids: a task of one that waits for a task of the other does not
/// wait for itself.
#[test]
fn a_task_waits_for_a_task_of_another_client() {
    let (one, other) = (client(1), client(1));
    let slow = other.submit(|| {
        std::thread::sleep(Duration::from_millis(20));
        7
    });
    let waits = one.submit(move || slow.result().copied());
    assert_eq!(waits.result().unwrap().as_ref().ok(), Some(&7));
}

#[test]
fn a_wait_may_be_as_long_as_it_likes() {
    let client = client(1);
    let future = client.submit(|| 1);
    assert_eq!(*future.result_timeout(Duration::MAX).unwrap(), 1);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    assert!(matches!(slow.result_timeout(Duration::from_millis(1)), Err(Error::TimedOut)));
    assert!(matches!(slow.result_timeout(Duration::ZERO), Err(Error::TimedOut)));
    gate.open();
    slow.result_timeout(Duration::MAX).unwrap();
}

#[test]
fn ten_thousand_parents_wait_for_what_the_last_one_sets_off() {
    const PARENTS: u64 = 10_000;
    let client = client(2);
    let begun = Arc::new(AtomicU64::new(0));
    let pass = Gate::default();
    let gate = pass.clone();
    let keeper = azolla::Client::builder().threads_per_worker(1).build().unwrap();
    // Outside: an event of another client, of which this one knows nothing.
    let event = keeper.submit(move || pass.pass());
    let parents = client.map(
        move |n| {
            if begun.fetch_add(1, Ordering::SeqCst) + 1 == PARENTS {
                gate.open();
            }
            event.result().map(|()| n).unwrap_or(0)
        },
        0..PARENTS,
    );
    let sum: u64 = client.gather(&parents).unwrap().into_iter().sum();
    assert_eq!(sum, PARENTS * (PARENTS - 1) / 2);
}
