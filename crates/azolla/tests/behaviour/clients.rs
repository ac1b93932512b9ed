//! Several clients of the same threads: keys are shared, and each is closed for itself.

use crate::{Gate, client, own, soon};
use azolla::sync::Queue;
use azolla::{Error, Status, current_client};
use std::sync::mpsc;
use std::thread;

/// Holds up the only slot until it opens.
fn held_up(client: &azolla::Client) -> (azolla::Future<()>, Gate) {
    let (begun, gate) = (Gate::default(), Gate::default());
    let (begin, pass) = (begun.clone(), gate.clone());
    let busy = client.submit(move || {
        begin.open();
        pass.pass();
    });
    begun.pass();
    (busy, gate)
}

#[test]
fn keys_names_and_threads_are_shared() {
    let one = client(2);
    let other = one.another();
    let fern = one.task().key("fern").submit(|| 1);
    let same = other.task().key("fern").submit(|| 2);
    assert_eq!((fern.key(), *same.result().unwrap()), (same.key(), 1));
    let sum = other.submit_with((&fern, &same), |(a, b)| a + b);
    assert_eq!(*sum.result().unwrap(), 2);
    Queue::<u32>::named(&one, "found", 0).unwrap().put(7).unwrap();
    assert_eq!(Queue::<u32>::named(&other, "found", 0).unwrap().get().unwrap(), 7);
    assert_eq!((other.slots(), other.counters().threads), (2, 2));
}

#[test]
fn one_that_leaves_takes_with_it_what_was_only_its_own() {
    let stays = client(1);
    let leaves = stays.another();
    let (_busy, gate) = held_up(&stays);
    let own = leaves.map(|n: u32| n, 0..1_000);
    let dependent = leaves.submit_with(&own, |all| all.len());
    let waits = leaves.submit_async(std::future::pending::<()>());
    let shared = leaves.task().key("fern").submit(|| 1);
    let again = stays.task().key("fern").submit(|| 2);
    let below = leaves.submit(|| 3);
    let needed = leaves.submit_with(&below, |n| n + 1);
    let needs = stays.submit_with(&needed, |n| n + 1);
    let (tell, told) = mpsc::channel();
    leaves.submit(move || tell.send(9).unwrap()).forget();
    leaves.close();
    leaves.close();
    assert!(own.iter().all(|future| future.status() == Status::Cancelled));
    let gone = (dependent.status(), waits.status());
    assert_eq!(gone, (Status::Cancelled, Status::Cancelled));
    gate.open();
    assert_eq!((*shared.result().unwrap(), *again.result().unwrap()), (1, 1));
    assert_eq!(*needs.result().unwrap(), 5);
    assert_eq!(told.recv().unwrap(), 9);
    stays.check_invariants().unwrap();
}

#[test]
fn what_is_submitted_through_one_that_has_left_is_cancelled() {
    let stays = client(1);
    let leaves = stays.another();
    let done = leaves.submit(|| 1);
    done.result().unwrap();
    leaves.close();
    assert_eq!(*done.result().unwrap(), 1, "a result that was there stays");
    assert!(matches!(leaves.submit(|| 1).result(), Err(Error::Cancelled { .. })));
    assert!(matches!(leaves.submit_with(&done, |n| n + 1).result(), Err(Error::Cancelled { .. })));
    assert!(matches!(leaves.submit_async(async { 1 }).result(), Err(Error::Cancelled { .. })));
    assert!(leaves.map(|n: u32| n, 0..300).iter().all(|late| late.status() == Status::Cancelled));
    assert_eq!(leaves.put(1).status(), Status::Cancelled);
    let joins = leaves.another();
    assert_eq!(*joins.submit_with(&done, |n| n + 1).result().unwrap(), 2);
    for client in [stays, joins] {
        client.close();
    }
    assert_eq!(leaves.another().submit(|| 1).status(), Status::Cancelled, "the last has left");
}

#[test]
fn a_waiting_task_of_one_that_leaves_is_told_and_the_other_goes_on() {
    let stays = client(1);
    let leaves = stays.another();
    let (tell, told) = mpsc::channel();
    let parent = leaves.submit(move || {
        let child = own().submit_async(std::future::pending::<()>());
        tell.send("waits").unwrap();
        tell.send(if child.result().is_err() { "told" } else { "not told" }).unwrap();
    });
    assert_eq!(told.recv().unwrap(), "waits");
    leaves.close();
    assert_eq!(told.recv().unwrap(), "told");
    assert_eq!(parent.status(), Status::Cancelled);
    assert_eq!(*stays.submit(|| 1).result().unwrap(), 1);
}

#[test]
fn a_task_finds_its_own_client_and_another_once_that_has_left() {
    let first = client(1);
    let second = first.another();
    let (begun, gate) = (Gate::default(), Gate::default());
    let (begin, pass) = (begun.clone(), gate.clone());
    let (tell, told) = mpsc::channel();
    second
        .submit(move || {
            let mine = own().task().key("mine").submit(|| 1);
            begin.open();
            pass.pass();
            tell.send((mine.status(), current_client().map(|other| other.submit(|| 2).status())))
        })
        .forget();
    begun.pass();
    second.close();
    gate.open();
    assert_eq!(told.recv().unwrap(), (Status::Cancelled, Some(Status::Pending)));
    let third = first.another();
    first.close();
    assert_eq!(*third.submit(|| *own().submit(|| 3).result().unwrap()).result().unwrap(), 3);
}

#[test]
fn a_task_that_closes_its_own_and_only_client_has_it_still() {
    let client = client(1);
    let (tell, told) = mpsc::channel();
    let closes = client.submit(move || {
        own().close();
        tell.send(current_client().map(|own| own.submit(|| 1).status())).unwrap();
    });
    assert_eq!(told.recv().unwrap(), Some(Status::Cancelled));
    assert_eq!(closes.status(), Status::Cancelled);
}

#[test]
fn clients_come_and_go_while_others_work() {
    let stays = client(2);
    thread::scope(|scope| {
        for number in 0..4 {
            let stays = &stays;
            scope.spawn(move || {
                for round in 0..50 {
                    let guest = stays.another();
                    let futures = guest.map(|n: u64| n, 0..20);
                    let grown = guest.submit(|| own().submit(|| 1).result().copied());
                    if (round + number) % 3 == 0 {
                        assert_eq!(guest.gather(&futures).unwrap().len(), 20);
                        assert!(matches!(grown.result(), Ok(Ok(1))));
                    }
                    let guest = guest.clone();
                    assert_eq!(*stays.submit(|| 1).result().unwrap(), 1);
                    drop(guest);
                }
            });
        }
    });
    soon("nothing is left", || stays.counters().kept == 0);
    stays.check_invariants().unwrap();
}
