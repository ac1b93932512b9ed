//! The works of the Rust table on rayon, on tokio, and on the least that could do: a mutex around a heap.
//!
//! `azolla-bench-peers {rayon,tokio,heap} WORK=TASKS ...`, as azolla's own example `bench` does them: each work is
//! warmed up, timed, checks its result, and prints a line of JSON.

mod heap;
mod metg;
mod rayon_works;
mod tokio_works;

use std::error::Error;
use std::time::Instant;

/// How many threads run tasks.
const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let system = arguments.next().ok_or("which system? rayon, tokio or heap")?;
    for request in arguments {
        let (work, amount) = request.split_once('=').ok_or("WORK=TASKS is wanted")?;
        if work == "metg" {
            metg::sweep(amount)?;
            continue;
        }
        let tasks: u64 = amount.parse()?;
        let run: fn(u64) = match (system.as_str(), work) {
            ("rayon", "map") => rayon_works::spawn,
            ("rayon", "fib") => rayon_works::fib,
            ("tokio", "map") => tokio_works::spawn_all,
            ("tokio", "submit") => tokio_works::spawn_all,
            ("tokio", "chain") => tokio_works::chain,
            ("tokio", "fib") => tokio_works::fib,
            ("tokio", "latency") => tokio_works::latency,
            ("heap", "map") => heap::push_and_pop,
            _ => return Err(format!("{system} has no work {work}").into()),
        };
        // What `fib` is told is its argument, which says how many calls there are.
        let (warm, calls) = match work {
            "fib" => (tasks.min(12), calls(tasks)),
            _ => (tasks / 10, tasks),
        };
        run(warm);
        let start = Instant::now();
        run(tasks);
        let seconds = start.elapsed().as_secs_f64();
        println!(r#"{{"work": "{work}", "tasks": {calls}, "seconds": {seconds}}}"#);
    }
    Ok(())
}

/// How many calls fib(n) makes, itself included.
fn calls(n: u64) -> u64 {
    if n < 2 { 1 } else { 1 + calls(n - 1) + calls(n - 2) }
}

/// What fib(n) is.
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}
