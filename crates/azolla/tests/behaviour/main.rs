//! What programs that use azolla rely on.

mod actors;
mod awaiting;
mod cancelling;
mod chains;
mod clients;
mod closing;
mod completing;
mod dropping;
mod failing;
mod groups;
mod keys;
mod loans;
mod nesting;
mod order;
mod placing;
mod polling;
mod retrying;
mod several;
mod sharing;
mod streaming;
mod stress;
mod waiting;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A client with this many slots.
fn client(threads: usize) -> azolla::Client {
    azolla::Client::builder().threads_per_worker(threads).build().expect("threads can be started")
}

/// The client of the task that asks.
fn own() -> azolla::Client {
    azolla::current_client().expect("this is a task")
}

/// Something that tasks can be held up by until it opens. They keep their slots meanwhile.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }
}

/// Waits for what comes soon without anybody saying so.
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing is left in the client.
fn assert_empty(client: &azolla::Client) {
    soon("everything is let go of", || client.counters().kept == 0);
    assert_eq!(client.counters().live, 0);
}

/// Tells when it is dropped, and panics there if it is to.
struct Dropped(Arc<AtomicBool>, bool);

impl Drop for Dropped {
    fn drop(&mut self) {
        azolla::runtime::assert_unlocked();
        self.0.store(true, Ordering::SeqCst);
        if self.1 {
            panic!("a destructor that panics");
        }
    }
}
