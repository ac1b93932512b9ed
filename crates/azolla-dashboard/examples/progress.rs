//! Bars in a console while a workflow grows, and its dashboard beside them:
//! `cargo run -p azolla-dashboard --features progress --example progress`.

#![allow(clippy::print_stdout)] // what it is for

use azolla_dashboard::ServeDashboard;
use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let client = azolla::Client::builder().threads_per_worker(4).build()?;
    let dashboard = client.serve_dashboard()?;
    println!("Dashboard: {}", dashboard.link());
    let bars = azolla_dashboard::progress(&client)?;
    let lists = client.map(read, 0..40);
    let mut results = Vec::new();
    for list in azolla::as_completed(lists) {
        for item in list.result()?.clone() {
            results.push(client.task().priority(1).submit(move || look_at(item)));
        }
    }
    let found = client.gather(&results)?.len();
    drop(bars);
    println!("{found} items");
    Ok(())
}

fn read(number: u64) -> Vec<u64> {
    sleep(Duration::from_millis(100));
    (0..number % 8).collect()
}

fn look_at(item: u64) -> u64 {
    sleep(Duration::from_millis(20 * item));
    item
}
