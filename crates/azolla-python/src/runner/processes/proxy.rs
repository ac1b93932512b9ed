//! The loop of a proxy: it asks the engine for tasks, and has a thread of a worker process run them.

use super::Seat;
use super::flight::fly;
use crate::task::job::{Failure, PyJob};
use azolla::runtime::{Job, Next, Worker};
use azolla_core::Outcome;
use azolla_process::fleet::Link;
use std::collections::HashSet;
use std::io;
use std::time::Duration;

/// A proxy's link to its thread in the process that lives now.
pub(super) struct Connection {
    pub(super) link: Link,
    /// The functions that the thread has got, and the bytes of their pickles.
    pub(super) functions: HashSet<u128>,
    pub(super) function_bytes: u64,
    /// How long the last tasks took, in nanoseconds each.
    pub(super) took: u64,
    /// For how long the line waits.
    pub(super) patience: Option<Duration>,
    /// The next task goes alone: the process was too slow to begin it, and may be loading what it needs.
    pub(super) alone: bool,
}

impl Connection {
    fn new(link: Link) -> Self {
        Self {
            link,
            functions: HashSet::new(),
            function_bytes: 0,
            took: 0,
            patience: None,
            alone: false,
        }
    }

    pub(super) fn set_patience(&mut self, patience: Option<Duration>) -> io::Result<()> {
        if self.patience != patience {
            self.link.line.set_patience(patience)?;
            self.patience = patience;
        }
        Ok(())
    }
}

/// Serves a worker until it is to end, or the fleet is closed.
pub(super) fn serve(mut worker: Worker<PyJob>, seat: &Seat) {
    let mut connection = None;
    loop {
        let next = worker.next_task();
        while let Some(gone) = worker.next_gone() {
            drop(gone);
        }
        match next {
            Next::Run => {
                // A process that takes too much memory gets nothing new.
                connection = connection.filter(|some: &Connection| some.link.enter());
                while connection.is_none() {
                    match seat.shared.fleet.link(seat.process, seat.thread as u16) {
                        Ok(Some(link)) => {
                            connection = Some(Connection::new(link)).filter(|new| new.link.enter());
                        }
                        Ok(None) => return,
                        Err(error) => {
                            let why = format!("no worker process can be started: {error}");
                            fail(&mut worker, "KilledWorker", &why);
                            break;
                        }
                    }
                }
                if let Some(some) = &mut connection {
                    match fly(&mut worker, some, seat) {
                        true => some.link.leave(),
                        false => connection = None,
                    }
                }
            }
            Next::Sleep(sleeper) => sleeper.sleep(),
            Next::End => return,
        }
    }
}

/// Fails the current task by an exception of this class with this message.
pub(super) fn fail(worker: &mut Worker<PyJob>, class: &'static str, why: &str) {
    if let Some(job) = worker.job() {
        job.fail(Failure::Told(class, why.into()));
        drop(worker.finish(Outcome::Failed));
    }
}
