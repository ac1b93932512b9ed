//! Futures as they end.

use crate::{Gate, client, own};
use azolla::{Error, as_completed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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
fn in_a_task_that_would_wait_for_itself_none_is_left_out() {
    let client = client(1);
    let keyed = client.task().key("self").submit(|| {
        let me = own().task().key("self").submit(|| 0_usize);
        let other = own().submit(|| 7_usize);
        let (mut ended, mut cycles) = (0, 0);
        let mut endings = as_completed([me.clone(), other, me]);
        for future in endings.by_ref() {
            match future.result() {
                Ok(7) => ended += 1,
                Err(Error::WaitCycle { .. }) => cycles += 1,
                result => panic!("{result:?}"),
            }
        }
        assert_eq!((ended, cycles, endings.remaining()), (1, 2, 0));
        // It goes on as ever, and one that was given does not come again.
        endings.add(own().submit(|| 8));
        endings.map(|future| *future.result().unwrap()).sum::<usize>()
    });
    assert_eq!(*keyed.result().unwrap(), 8);
}

#[test]
fn in_a_task_of_a_client_that_is_closed_none_is_left_out() {
    let client = client(2);
    let (begun, gate, counted) = (Gate::default(), Gate::default(), Gate::default());
    let (begin, pass, tell) = (begun.clone(), gate.clone(), counted.clone());
    let seen = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&seen);
    client
        .submit(move || {
            let runs = own().submit(move || {
                begin.open();
                pass.pass();
            });
            let rest = own().map(|_: u32| (), 0..3);
            for future in as_completed(rest.into_iter().chain([runs])) {
                drop(future.result());
                count.fetch_add(1, Ordering::SeqCst);
            }
            tell.open();
        })
        .forget();
    begun.pass();
    let closes = {
        let client = client.clone();
        std::thread::spawn(move || client.close())
    };
    counted.pass();
    gate.open();
    closes.join().unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}
