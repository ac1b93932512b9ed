//! Futures as they end.

use crate::{Gate, client, own};
use azolla::{Error, as_completed, current_client};
use std::time::Duration;

#[test]
fn one_that_is_added_several_times_comes_as_often() {
    let client = client(1);
    let future = client.submit(|| 1);
    let endings = as_completed((0..5).map(|_| future.clone()));
    assert_eq!(endings.remaining(), 5);
    assert_eq!(endings.map(|ended| *ended.result().unwrap()).sum::<i32>(), 5);
}

#[test]
fn the_failed_and_the_cancelled_come_too() {
    let client = client(1);
    let futures = client.try_map(|n: i32| if n == 1 { Err("one") } else { Ok(n) }, 0..4);
    futures[3].cancel();
    let endings: Vec<_> = as_completed(futures).collect();
    assert_eq!(endings.len(), 4);
    assert!(endings.iter().filter(|ended| ended.result().is_err()).count() >= 1);
}

#[test]
fn the_first_to_end_comes_first() {
    let client = client(2);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || {
        pass.pass();
        "slow"
    });
    let fast = client.submit(|| "fast");
    let mut endings = as_completed([slow, fast]);
    assert_eq!(*endings.next().unwrap().result().unwrap(), "fast");
    assert!(!endings.has_ready());
    assert!(matches!(endings.next_timeout(Duration::from_millis(5)), Err(Error::TimedOut)));
    assert_eq!(endings.remaining(), 1, "nothing is lost by it");
    gate.open();
    assert_eq!(*endings.next().unwrap().result().unwrap(), "slow");
    assert!(endings.next().is_none());
    assert!(endings.next_timeout(Duration::MAX).unwrap().is_none());
}

#[test]
fn of_several_clients_outside_and_inside_a_task() {
    let (one, other) = (client(1), client(1));
    let take_all = |futures: Vec<azolla::Future<u32>>| {
        as_completed(futures).map(|ended| *ended.result().unwrap()).sum::<u32>()
    };
    let mixed = || {
        let mut futures = one.map(|n: u32| n, 0..3);
        futures.extend(other.map(|n: u32| n, 0..3));
        futures
    };
    assert_eq!(take_all(mixed()), 6);
    let futures = mixed();
    assert_eq!(*one.submit(move || take_all(futures)).result().unwrap(), 6);
}

#[test]
fn a_growing_crawl() {
    let client = client(2);
    let mut endings = as_completed([client.submit(|| 12_u32)]);
    let mut seen = 0;
    while let Some(ended) = endings.next() {
        seen += 1;
        let n = *ended.result().unwrap();
        if n > 0 {
            endings.add(client.submit(move || n - 1));
            endings.add(client.submit(move || n - 1));
        }
    }
    assert_eq!(seen, 2_u32.pow(13) - 1);
}

#[test]
fn in_a_task_that_would_wait_for_itself_it_comes_to_an_end() {
    let client = client(1);
    let keyed = client.task().key("self").submit(|| {
        let own = own().task().key("self").submit(|| 0_usize);
        let other = current_client().unwrap().submit(|| 0_usize);
        let mut endings = as_completed([own, other]);
        let first = endings.next().is_some();
        usize::from(first) + endings.remaining() + 10 * endings.by_ref().count()
    });
    assert_eq!(*keyed.result().unwrap(), 2);
}
