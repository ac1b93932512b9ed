//! First figures of the Rust interface: microseconds a task, medians of several runs.
//!
//! `cargo run --release -p azolla --example first_figures`

#![allow(clippy::print_stdout)] // what it is for

use azolla::runtime::What;
use azolla::{Client, as_completed, current_client};
use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("Rust, 2 threads, no-op tasks, medians of {RUNS} runs\n");
    println!("| work | tasks | ns a task |");
    println!("|---|---:|---:|");
    let client = Client::builder().threads_per_worker(2).build()?;
    row("map + gather, independent", 500_000, || {
        let futures = client.map(|n: usize| n, 0..500_000);
        assert_eq!(client.gather(&futures).expect("no failure").len(), 500_000);
    });
    row("submit in a loop + gather", 200_000, || {
        let futures: Vec<_> = (0..200_000).map(|n: usize| client.submit(move || n)).collect();
        assert_eq!(client.gather(&futures).expect("no failure").len(), 200_000);
    });
    row("chain, each depends on the last", 200_000, || {
        let mut last = client.submit(|| 0_u64);
        for _ in 1..200_000 {
            last = client.submit_with(&last, |n| n + 1);
        }
        assert_eq!(*last.result().expect("no failure"), 199_999);
    });
    row("evolving: as_completed, then two tasks an item", 110_000, || {
        let lists = client.map(|_| (0..10).collect::<Vec<u32>>(), 0..5_000);
        let mut results = Vec::new();
        for list in as_completed(lists) {
            for i in 0..list.result().expect("no failure").len() {
                let item = client.task().priority(1).submit_with(&list, move |l| l[i]);
                results.push(client.task().priority(1).submit_with(&item, |n| n + 1));
            }
        }
        assert_eq!(client.gather(&results).expect("no failure").len(), 50_000);
    });
    row("tasks from tasks: parents of 10 children, gather inside", 55_000, || {
        let parents = client.map(
            |_| {
                let client = current_client().expect("in a task");
                let children = client.map(|n: u32| n + 1, 0..10);
                client.gather(&children).expect("no failure").len()
            },
            0..5_000,
        );
        assert_eq!(client.gather(&parents).expect("no failure").into_iter().sum::<usize>(), 50_000);
    });
    row("latency: submit, then wait for the result", 5_000, || {
        for n in 0..5_000 {
            assert_eq!(*client.submit(move || n).result().expect("no failure"), n);
        }
    });

    println!("\nThe seed's workflow, 6 threads: slot time idle while a task was ready\n");
    println!("| sleeps | makespan | idle |");
    println!("|---|---:|---:|");
    for scale in [1.0, 0.1] {
        let mut runs: Vec<(f64, f64)> =
            (0..3).map(|seed| seed_workflow(scale, seed)).collect::<Result<_, _>>()?;
        runs.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (makespan, idle) = runs[runs.len() / 2];
        println!("| x {scale} | {makespan:.3} s | {:.2} % |", 100.0 * idle);
    }
    Ok(())
}

fn row(name: &str, tasks: usize, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..=RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .skip(1) // the first warms up
        .collect();
    times.sort_unstable();
    println!("| {name} | {tasks} | {} |", times[RUNS / 2].as_nanos() / tasks as u128);
}

/// Runs the seed's workflow; its makespan in seconds, and the share of slot time that was idle
/// while an eligible task was ready.
fn seed_workflow(scale: f64, seed: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let client = Client::builder().threads_per_worker(6).build()?;
    let observations = client.observe(100_000);
    let random = move |n: u64| {
        let mixed = (n + 1 + seed * 1000).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) as f64 / u64::MAX as f64
    };
    let start = Instant::now();
    let lists = client.map(
        move |file: u64| {
            sleep(Duration::from_secs_f64(scale * random(file)));
            (0..1 + (10.0 * random(100 + file)) as u64).map(|i| file * 10 + i).collect::<Vec<_>>()
        },
        0..10,
    );
    let mut results = Vec::new();
    for list in as_completed(lists) {
        for i in 0..list.result()?.len() {
            let item = client.task().priority(1).submit_with(&list, move |l| l[i]);
            results.push(client.task().priority(1).submit_with(&item, move |n| {
                sleep(Duration::from_secs_f64(scale / 4.0 * random(200 + n)));
            }));
        }
    }
    client.gather(&results)?;
    let makespan = start.elapsed().as_secs_f64();
    Ok((makespan, idle_while_ready(&observations, 6) / (6.0 * makespan)))
}

/// Slot-seconds that were idle while a task was ready for them.
fn idle_while_ready(observations: &azolla::runtime::Observations, slots: usize) -> f64 {
    let mut seen = observations.take();
    assert_eq!(observations.dropped(), 0);
    seen.sort_by_key(|seen| seen.at);
    let (mut ready, mut busy) = (HashMap::new(), 0);
    let (mut idle, mut last) = (0.0, Duration::ZERO);
    for observation in seen {
        let waiting = ready.values().filter(|ready| **ready).count();
        idle += (observation.at - last).as_secs_f64() * waiting.min(slots - busy) as f64;
        last = observation.at;
        match observation.what {
            What::Ready => drop(ready.insert(observation.task, true)),
            What::Begun { .. } => {
                // A task handed over begins in the moment in which it becomes ready.
                ready.insert(observation.task, false);
                busy += 1;
            }
            What::Resumed { .. } => busy += 1,
            What::Parked { .. } | What::Ended { worker: Some(_), .. } => busy -= 1,
            What::Submitted { .. } | What::Ended { worker: None, .. } => {}
        }
    }
    idle
}
