//! azolla's part of the Rust table of `make bench`.
//!
//! `cargo run --release -p azolla --example bench -- WORK=TASKS ...`: each work is warmed up, timed, checks its result,
//! and prints a line of JSON. `bench/peers` does the same works on rayon and tokio. `threads=1` before a work has it
//! done on one thread instead of two.

#![allow(clippy::print_stdout)] // what it is for

use azolla::sync::Event;
use azolla::{Client, as_completed, current_client};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[path = "../../../bench/growth.rs"]
mod growth;
use growth::{Graph, Growth, Plan, hash, print_peak};

fn main() -> Result<(), Box<dyn Error>> {
    let with = |threads| Client::builder().threads_per_worker(threads).build();
    let mut client = with(2)?;
    for request in std::env::args().skip(1) {
        let (work, amount) = request.split_once('=').ok_or("WORK=TASKS is wanted")?;
        if work == "threads" {
            client = with(amount.parse()?)?;
            continue;
        }
        if work == "metg" {
            Plan::parse(amount)?.sweep(|graph| grow(&client, graph));
            continue;
        }
        if work == "peak" {
            print_peak(amount.parse()?);
            continue;
        }
        let tasks: u64 = amount.parse()?;
        let run: fn(&Client, u64) = match work {
            "map" => map_gather,
            "submit" => submit_loop,
            "chain" => chain,
            "evolving" => evolving,
            "nested" => tasks_from_tasks,
            "fib" => fib,
            "latency" => latency,
            "fan1" => fan::<1>,
            "fan10" => fan::<10>,
            "fan100" => fan::<100>,
            "fan1000" => fan::<1_000>,
            "async" => async_map,
            "waiting" => async_waiting,
            _ => return Err(format!("there is no work {work}").into()),
        };
        // What `fib` is told is its argument, which says how many calls there are.
        let (warm, calls) = match work {
            "fib" => (tasks.min(12), calls(tasks)),
            _ => ((tasks / 10).max(22), tasks),
        };
        run(&client, warm);
        let start = Instant::now();
        run(&client, tasks);
        let seconds = start.elapsed().as_secs_f64();
        println!(r#"{{"work": "{work}", "tasks": {calls}, "seconds": {seconds}}}"#);
    }
    Ok(())
}

fn map_gather(client: &Client, tasks: u64) {
    let futures = client.map(|n: u64| n, 0..tasks);
    let values = client.gather(&futures).expect("no failure");
    assert_eq!(values.into_iter().sum::<u64>(), tasks * (tasks - 1) / 2);
}

fn submit_loop(client: &Client, tasks: u64) {
    let futures: Vec<_> = (0..tasks).map(|n| client.submit(move || n)).collect();
    let values = client.gather(&futures).expect("no failure");
    assert_eq!(values.into_iter().sum::<u64>(), tasks * (tasks - 1) / 2);
}

fn chain(client: &Client, tasks: u64) {
    let mut last = client.submit(|| 1_u64);
    for _ in 1..tasks {
        last = client.submit_with(&last, |n| n + 1);
    }
    assert_eq!(*last.result().expect("no failure"), tasks);
}

/// Tasks with so many dependents each, all of which are tasks too.
fn fan<const DEPENDENTS: u64>(client: &Client, tasks: u64) {
    let roots = tasks / (1 + DEPENDENTS);
    let mut futures = Vec::new();
    for _ in 0..roots {
        let root = client.submit(|| 1_u64);
        futures.extend((0..DEPENDENTS).map(|n| client.submit_with(&root, move |one| one + n)));
    }
    let sum = DEPENDENTS * (DEPENDENTS + 1) / 2;
    assert_eq!(client.gather(&futures).expect("no failure").into_iter().sum::<u64>(), roots * sum);
}

/// Lists of ten items; as they come, two tasks an item.
fn evolving(client: &Client, tasks: u64) {
    let files = tasks / 21;
    let lists = client.map(|n: u64| (0..n).collect::<Vec<u64>>(), (0..files).map(|_| 10));
    let mut results = Vec::new();
    for list in as_completed(lists) {
        for i in 0..list.result().expect("no failure").len() {
            let item = client.task().priority(1).submit_with(&list, move |l| l[i]);
            results.push(client.task().priority(1).submit_with(&item, |n| n + 1));
        }
    }
    assert_eq!(client.gather(&results).expect("no failure").into_iter().sum::<u64>(), 55 * files);
}

fn tasks_from_tasks(client: &Client, tasks: u64) {
    let parents = tasks / 11;
    let futures = client.map(
        |children: u64| {
            let client = current_client().expect("in a task");
            let children = client.map(|n: u64| n + 1, 0..children);
            client.gather(&children).expect("no failure").into_iter().sum::<u64>()
        },
        (0..parents).map(|_| 10),
    );
    let sums = client.gather(&futures).expect("no failure");
    assert_eq!(sums.into_iter().sum::<u64>(), 55 * parents);
}

/// Every call submits two tasks and gathers them.
fn fib(client: &Client, n: u64) {
    fn call(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let client = current_client().expect("in a task");
        let both = [client.submit(move || call(n - 1)), client.submit(move || call(n - 2))];
        client.gather(&both).expect("no failure").into_iter().sum()
    }
    let result = client.submit(move || call(n));
    assert_eq!(*result.result().expect("no failure"), fibonacci(n));
}

/// How many calls fib(n) makes, itself included.
fn calls(n: u64) -> u64 {
    if n < 2 { 1 } else { 1 + calls(n - 1) + calls(n - 2) }
}

fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

fn latency(client: &Client, tasks: u64) {
    for n in 0..tasks {
        assert_eq!(*client.submit(move || n + 1).result().expect("no failure"), n + 1);
    }
}

/// Futures that are ready when they are first polled.
fn async_map(client: &Client, tasks: u64) {
    let futures = client.map_async(|n: u64| async move { n }, 0..tasks);
    let values = client.gather(&futures).expect("no failure");
    assert_eq!(values.into_iter().sum::<u64>(), tasks * (tasks - 1) / 2);
}

/// Futures that all wait for one event: each is polled twice, and woken from outside.
fn async_waiting(client: &Client, tasks: u64) {
    let event = Event::new(client);
    let waits = event.clone();
    let begun = Arc::new(AtomicU64::new(0));
    let begin = Arc::clone(&begun);
    let futures = client.map_async(
        move |n: u64| {
            let (waits, begin) = (waits.clone(), Arc::clone(&begin));
            async move {
                begin.fetch_add(1, Ordering::Relaxed);
                waits.wait_async().await.map(|()| n)
            }
        },
        0..tasks,
    );
    while begun.load(Ordering::Relaxed) < tasks {
        std::thread::yield_now();
    }
    assert!(client.counters().threads <= 4, "futures that wait take no threads");
    event.set().expect("it is open");
    let values = client.gather(&futures).expect("no failure").into_iter();
    assert_eq!(
        values.map(|n| n.as_ref().copied().unwrap_or(0)).sum::<u64>(),
        tasks * (tasks - 1) / 2
    );
}

/// The evolving graph of dynamic METG, by `as_completed`. A result says where in the graph it is from.
fn grow(client: &Client, graph: Graph) {
    let units = graph.units;
    let mut growth = Growth::new(graph);
    let first = (0..graph.width)
        .map(|column| client.submit(move || (0, column, hash(units, &[]))))
        .collect::<Vec<_>>();
    let mut completed = as_completed(first);
    while let Some(future) = completed.next() {
        let &(step, column, _) = future.result().expect("no failure");
        growth.completed(step, column, future, |dependent, inputs| {
            let next = step + 1;
            completed.add(if inputs.is_empty() {
                client.submit(move || (next, dependent, hash(units, &[])))
            } else {
                client.submit_with(&inputs, move |values| {
                    let values: Vec<u64> = values.into_iter().map(|(_, _, value)| *value).collect();
                    (next, dependent, hash(units, &values))
                })
            });
        });
    }
    let futures = growth.last();
    let last = client.gather(&futures).expect("no failure");
    growth.check(last.into_iter().map(|(_, _, value)| *value).collect());
}
