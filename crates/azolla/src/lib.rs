//! Evolving workflows: task graphs that grow while they run.
//!
//! Some work does not know its own extent: something must be computed to find out what to compute
//! next. Submit closures to a [`Client`], get [`Future`]s, submit more as results come in, from
//! outside ([`as_completed`], `.await`) or from inside a running task ([`current_client`]). Futures
//! are inputs of further tasks, urgent work goes first, and a task that waits takes no slot.
//!
//! ```
//! use std::thread::sleep;
//! use std::time::Duration;
//!
//! fn parse_file(name: u64) -> Vec<f64> {
//!     sleep(Duration::from_millis(name));
//!     (0..name % 4 + 1).map(|i| i as f64).collect() // work items of unknown number
//! }
//!
//! fn process_item(x: f64) -> f64 {
//!     x + 1.0
//! }
//!
//! let client = azolla::Client::builder().threads_per_worker(6).build()?;
//!
//! let lists = client.map(parse_file, 0..10);
//! let mut results = Vec::new();
//! for list in azolla::as_completed(lists) {
//!     for i in 0..list.result()?.len() {
//!         let item = client.task().priority(1).submit_with(&list, move |l| l[i]);
//!         results.push(client.task().priority(1).submit_with(&item, |x| process_item(*x)));
//!     }
//! }
//! let values = client.gather(&results)?;
//! assert_eq!(values.len(), 23);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Closures own what they work on: tasks outlive the call that submits them, so there are none that
//! borrow from the caller.

mod actor;
mod as_completed;
mod async_tasks;
mod awaiting;
mod cause;
mod cell;
mod client;
mod cluster;
mod completed_stream;
mod counters;
mod current_task;
mod error;
mod future;
mod group;
mod inputs;
mod lending;
mod map_with;
mod on_done;
mod placing;
mod polled;
mod primitives;
mod put;
mod runner;
// For front ends that bring tasks of their own, as the Python package does. Programs need none of it.
#[doc(hidden)]
pub mod runtime;
mod size;
pub mod sync;
mod wait;
pub mod watch;
mod weak_client;

pub use actor::Actor;
pub use as_completed::{AsCompleted, as_completed};
pub use awaiting::Awaiting;
pub use cause::Cause;
pub use client::{Builder, Client, RetryingBuilder, TaskBuilder, current_client, rejoin, secede};
pub use completed_stream::CompletedStream;
pub use counters::Counters;
pub use current_task::{CurrentTask, current_task, shield, sleep};
pub use error::Error;
pub use future::{Future, Value};
pub use group::{Group, GroupBuilder, Tally};
pub use inputs::Inputs;
pub use runtime::{Status, Until};
pub use wait::{Waited, wait, wait_async, wait_timeout};
pub use weak_client::WeakClient;
