//! The client and its runtime, on one thread: submitting, then a turn of the worker, then what comes of it.

use crate::{MOST, Work};
use azolla::{Client, Future, TaskBuilder, as_completed, current_client};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub(crate) const WORKS: &[Work] = &[
    ("runtime: map", map),
    ("runtime: map, run and gather", map_gather),
    ("runtime: map, run and gather, in a group", grouped),
    ("runtime: submit", submit),
    ("runtime: submit, one input", |times| submit_with_inputs::<1>(times)),
    ("runtime: submit, three inputs", |times| submit_with_inputs::<3>(times)),
    ("runtime: submit and run, with a key", submit_keyed),
    ("runtime: submit and run, a chain", chain),
    ("runtime: submit, run, result, drop, one at a time", one_at_a_time),
    ("runtime: drop a finished future", drop_finished),
    ("runtime: drop a pending future", drop_pending),
    ("runtime: as_completed, added and taken", completed),
    ("runtime: awaited", awaited),
    ("runtime: evolving", evolving),
    ("runtime: call an actor, in a row", calls),
    ("runtime: tasks from tasks, each of 10 children", tasks_from_tasks),
    ("runtime: tasks from tasks, gathered inside, each of 10 children", gathered_inside),
    ("runtime: tasks from tasks, in a group, each of 10 children", tasks_from_tasks_in_a_group),
];

fn client() -> Client {
    Client::builder().by_hand().expect("it takes no thread")
}

fn map(times: u64) {
    let client = client();
    std::mem::forget(client.map(|n: u64| n, 0..times));
    std::mem::forget(client);
}

fn map_gather(times: u64) {
    let client = client();
    let futures = client.map(|n: u64| n, 0..times);
    client.turn();
    let values = client.gather(&futures).expect("no failure");
    assert_eq!(values.into_iter().sum::<u64>(), times * times.saturating_sub(1) / 2);
    std::mem::forget((futures, client));
}

fn grouped(times: u64) {
    let client = client();
    let group = client.group_guard();
    let futures = group.map(|n: u64| n, 0..times);
    client.turn();
    group.join().expect("no failure");
    let values = client.gather(&futures).expect("no failure");
    assert_eq!(values.into_iter().sum::<u64>(), times * times.saturating_sub(1) / 2);
    std::mem::forget((futures, client));
}

fn submit(times: u64) {
    let client = client();
    for n in 0..times {
        std::mem::forget(client.submit(move || n));
    }
    std::mem::forget(client);
}

/// The inputs have not ended, and have no other dependents.
fn submit_with_inputs<const INPUTS: usize>(times: u64) {
    let client = client();
    let inputs: Vec<_> = client.map(|n: u64| n, 0..MOST * INPUTS as u64);
    for inputs in inputs.chunks(INPUTS).take(times as usize) {
        std::mem::forget(match inputs {
            [one] => client.submit_with(one, |n| *n),
            several => client.submit_with(several, |n| n.into_iter().sum()),
        });
    }
    std::mem::forget((inputs, client));
}

fn submit_keyed(times: u64) {
    let client = client();
    for n in 0..times {
        std::mem::forget(client.task().key(format!("number-{n}")).submit(move || n));
    }
    client.turn();
    std::mem::forget(client);
}

fn chain(times: u64) {
    let client = client();
    let mut last = client.submit(|| 0_u64);
    for _ in 0..times {
        last = client.submit_with(&last, |n| n + 1);
    }
    client.turn();
    assert_eq!(*last.result().expect("no failure"), times);
    std::mem::forget((last, client));
}

fn calls(times: u64) {
    let client = client();
    let actor = client.actor(|| 0_u64);
    for _ in 0..times {
        std::mem::forget(actor.call(|n| *n += 1));
    }
    let last = actor.call(|n| *n);
    client.turn();
    assert_eq!(*last.result().expect("no failure"), times);
    std::mem::forget((last, actor, client));
}

fn one_at_a_time(times: u64) {
    let client = client();
    for n in 0..times {
        let future = client.submit(move || n + 1);
        client.turn();
        assert_eq!(*future.result().expect("no failure"), n + 1);
    }
    std::mem::forget(client);
}

fn drop_finished(times: u64) {
    let client = client();
    let mut futures = client.map(|n: u64| n, 0..MOST);
    client.turn();
    futures.truncate((MOST - times) as usize);
    std::mem::forget((futures, client));
}

fn drop_pending(times: u64) {
    let client = client();
    let mut futures = client.map(|n: u64| n, 0..MOST);
    futures.truncate((MOST - times) as usize);
    std::mem::forget((futures, client));
}

fn completed(times: u64) {
    let client = client();
    let futures = client.map(|n: u64| n, 0..MOST);
    let mut completed = as_completed(futures.iter().take(times as usize).cloned());
    client.turn();
    for future in &mut completed {
        std::mem::forget(future);
    }
    std::mem::forget((futures, completed, client));
}

/// Polled before it runs and after.
fn awaited(times: u64) {
    let client = client();
    let futures = client.map(|n: u64| n, 0..MOST);
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> =
        futures.iter().take(times as usize).map(|future| future.clone().into_future()).collect();
    for waiting in &mut waiting {
        assert!(Pin::new(waiting).poll(&mut context).is_pending());
    }
    client.turn();
    for waiting in &mut waiting {
        assert!(matches!(Pin::new(waiting).poll(&mut context), Poll::Ready(Ok(_))));
    }
    std::mem::forget((futures, waiting, client));
}

/// Lists of ten items; as they come, two tasks an item: 21 tasks a list.
fn evolving(times: u64) {
    let client = client();
    let lists = client.map(|n: u64| (0..n).collect::<Vec<u64>>(), (0..times / 21).map(|_| 10));
    let mut results = Vec::new();
    let mut completed = as_completed(lists);
    client.turn();
    for list in &mut completed {
        for i in 0..list.result().expect("no failure").len() {
            let item = client.task().priority(1).submit_with(&list, move |l| l[i]);
            results.push(client.task().priority(1).submit_with(&item, |n| n + 1));
        }
        client.turn();
    }
    assert_eq!(client.gather(&results).expect("no failure").len() as u64, times / 21 * 10);
    std::mem::forget((results, completed, client));
}

/// Parents that each submit ten children, which are gathered outside.
fn tasks_from_tasks(times: u64) {
    let client = client();
    grow_and_gather(&client, client.task(), times);
    std::mem::forget(client);
}

fn tasks_from_tasks_in_a_group(times: u64) {
    let client = client();
    let group = client.group_guard();
    grow_and_gather(&client, group.task(), times);
    group.join().expect("no failure");
    std::mem::forget(client);
}

fn grow_and_gather(client: &Client, tasks: TaskBuilder<'_>, times: u64) {
    let parents = tasks.map(
        |children: u64| {
            let client = current_client().expect("in a task");
            client.map(|n: u64| n + 1, 0..children)
        },
        (0..times / 10).map(|_| 10),
    );
    client.turn();
    for parent in &parents {
        let children: &Vec<Future<u64>> = parent.result().expect("no failure");
        assert_eq!(client.gather(children).expect("no failure").into_iter().sum::<u64>(), 55);
    }
    std::mem::forget(parents);
}

/// Parents that wait for their ten children, which run on the parent's own stack.
fn gathered_inside(times: u64) {
    let client = client();
    let child = |n: u64| n + 1;
    // So that they are known to be short: others do not run on top.
    std::mem::forget(client.map(child, 0..10));
    client.turn();
    let parents = client.map(
        move |children: u64| {
            let client = current_client().expect("in a task");
            let children = client.map(child, 0..children);
            client.gather(&children).expect("no failure").into_iter().sum::<u64>()
        },
        (0..times / 10).map(|_| 10),
    );
    client.turn();
    let sums = client.gather(&parents).expect("no failure");
    assert_eq!(sums.into_iter().sum::<u64>(), times / 10 * 55);
    std::mem::forget((parents, client));
}
