//! Tasks that run what they wait for on their own stack.

use crate::client;
use azolla::{Error, Future, current_client, rejoin, secede};
use std::sync::{Arc, Mutex, mpsc};

fn here() -> azolla::Client {
    current_client().expect("a task")
}

#[test]
fn more_urgent_work_goes_before_what_a_task_waits_for() {
    let client = client(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&order);
    let parent = client.submit(move || {
        let say = |what: &'static str| {
            let log = Arc::clone(&log);
            move || log.lock().unwrap().push(what)
        };
        let child = here().submit(say("child"));
        let urgent = here().task().priority(1).submit(say("urgent"));
        child.result().unwrap();
        say("parent")();
        urgent.result().unwrap();
    });
    parent.result().unwrap();
    assert_eq!(*order.lock().unwrap(), ["urgent", "child", "parent"]);
}

#[test]
fn one_that_has_seceded_leaves_the_slot_to_the_task_below_it() {
    let client = client(1);
    let parent = client.submit(|| {
        let child = here().submit(|| {
            secede().unwrap();
            // Another task has the slot meanwhile.
            *here().submit(|| 1).result().unwrap()
        });
        let seceded = *child.result().unwrap();
        let rejoined = here().submit(|| {
            secede().unwrap();
            rejoin().unwrap();
            2
        });
        seceded + rejoined.result().unwrap()
    });
    assert_eq!(*parent.result().unwrap(), 3);
    client.check_invariants().unwrap();
}

#[test]
fn one_that_waits_for_the_task_below_it_is_told_of_the_cycle() {
    let client = client(1);
    let (send, receive) = mpsc::channel::<Future<String>>();
    let parent: Future<String> = client.submit(move || {
        let own = receive.recv().expect("its own future");
        let child = here().submit(move || match own.result() {
            Err(Error::WaitCycle { keys }) => keys.len().to_string(),
            other => panic!("{other:?}"),
        });
        child.result().unwrap().clone()
    });
    send.send(parent.clone()).unwrap();
    assert_eq!(parent.result().unwrap(), "2");
}

#[test]
fn a_gather_in_a_task_ends_when_all_have_ended_and_tells_of_a_failure() {
    let client = client(1);
    let ran = Arc::new(Mutex::new(0));
    let count = Arc::clone(&ran);
    let parent = client.submit(move || {
        let children = here().try_map(
            move |n: u32| {
                *count.lock().unwrap() += 1;
                if n == 3 { Err("the third") } else { Ok(n) }
            },
            0..100,
        );
        let failed = here().gather(&children).map(drop).unwrap_err().to_string();
        let ran = *ran.lock().unwrap();
        (failed.contains("the third"), ran)
    });
    assert_eq!(*parent.result().unwrap(), (true, 100));
}

#[test]
fn waits_within_waits_are_as_deep_as_they_come() {
    fn down(n: u32) -> u32 {
        if n == 0 { 0 } else { 1 + here().submit(move || down(n - 1)).result().unwrap() }
    }
    let client = client(2);
    assert_eq!(*client.submit(|| down(200)).result().unwrap(), 200);
    client.check_invariants().unwrap();
}
