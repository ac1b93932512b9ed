//! Bytes a task in Rust, by state, as the allocator counts them.
//!
//! `cargo run --release -p azolla --example memory -- TASKS`: a line of JSON.

#![allow(clippy::print_stdout)] // what it is for

use azolla::Client;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[path = "../../../bench/counting.rs"]
mod counting;
use counting::bytes;

/// What tasks wait at until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().expect("no panic");
        drop(self.opened.wait_while(open, |open| !*open).expect("no panic"));
    }

    fn open(&self) {
        *self.open.lock().expect("no panic") = true;
        self.opened.notify_all();
    }
}

/// How many tasks run at once where the running ones are measured: each has a thread.
const RUNNING: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let tasks: usize = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    counting::begin();
    let (pending, finished, left) = queued(tasks)?;
    let running = running()?;
    println!(
        r#"{{"system": "azolla (Rust)", "tasks": {tasks}, "pending": {pending}, "running": {running}, "finished": {finished}, "left": {left}}}"#
    );
    Ok(())
}

/// Bytes a pending and a finished task, futures and results included, and how much of the latter is
/// left when the futures have gone.
fn queued(tasks: usize) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let client = Client::builder().threads_per_worker(1).build()?;
    let gate = Arc::new(Gate::default());
    let first = {
        let gate = Arc::clone(&gate);
        client.submit(move || gate.pass())
    };
    while gate.waiting.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let before = bytes();
    let futures = client.map(|n: usize| n, 0..tasks);
    let pending = bytes() - before;
    gate.open();
    assert_eq!(client.gather(&futures)?.len(), tasks);
    let finished = bytes() - before;
    drop((futures, first));
    while client.counters().kept > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let left = bytes() - before;
    let each = |bytes: isize| bytes as f64 / tasks as f64;
    Ok((each(pending), each(finished), left.max(0) as f64 / finished as f64))
}

/// Bytes a running task: of all that are, beside as many threads that are idle.
fn running() -> Result<f64, Box<dyn Error>> {
    let client = Client::builder().threads_per_worker(RUNNING).build()?;
    let rest = |client: &Client| -> Result<(), Box<dyn Error>> {
        let gate = Arc::new(Gate::default());
        let same = Arc::clone(&gate);
        let futures = client.map(move |_| same.pass(), 0..RUNNING);
        while gate.waiting.load(Ordering::SeqCst) < RUNNING {
            thread::sleep(Duration::from_millis(1));
        }
        gate.open();
        client.gather(&futures)?;
        Ok(())
    };
    rest(&client)?; // every thread has run a task, and is idle
    let gate = Arc::new(Gate::default());
    let same = Arc::clone(&gate);
    let before = bytes();
    let futures = client.map(move |_| same.pass(), 0..RUNNING);
    while gate.waiting.load(Ordering::SeqCst) < RUNNING {
        thread::sleep(Duration::from_millis(1));
    }
    let held = bytes() - before;
    gate.open();
    client.gather(&futures)?;
    Ok(held as f64 / RUNNING as f64)
}
