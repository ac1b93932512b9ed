//! The loop of a proxy: it asks the engine for tasks, and has a thread of a worker process run them.

use super::actors::{fail_if_lost, let_go};
use super::flight::fly;
use super::holdings::Holdings;
use super::rare::AtHand;
use super::staying::send_on;
use super::{Seat, Shared};
use crate::session::owner::set_owner;
use crate::session::thread::lend;
use crate::task::job::{Failure, PyJob};
use azolla::runtime::{Job, Next, Worker};
use azolla_core::Outcome;
use azolla_process::fleet::{Link, StartError};
use std::collections::HashSet;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// For how long a proxy holds a task while its process starts, and for how long it leaves the tasks to others each time
/// that the process cannot be started.
const ASIDE: Duration = Duration::from_millis(250);

/// A proxy's link to its thread in the process that lives now.
pub(super) struct Connection {
    pub(super) link: Link,
    /// What the process holds.
    pub(super) holdings: Arc<Holdings>,
    /// The functions that the thread has got, and the bytes of their pickles.
    pub(super) functions: HashSet<u128>,
    pub(super) function_bytes: u64,
    /// How long the last tasks took, in nanoseconds each.
    pub(super) took: u64,
    /// For how long the line waits.
    pub(super) patience: Option<Duration>,
    /// The next task goes alone: the process was too slow to begin it, and may be loading what it needs.
    pub(super) alone: bool,
    pub(super) at_hand: AtHand,
}

impl Connection {
    fn new(link: Link, holdings: Arc<Holdings>) -> Self {
        Self {
            link,
            holdings,
            functions: HashSet::new(),
            function_bytes: 0,
            took: 0,
            patience: None,
            alone: false,
            at_hand: AtHand::default(),
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

/// A proxy's worker. The proxy lends it to the thread while Python runs for a task of the process.
pub(super) struct Own(Option<Worker<PyJob>>);

impl Own {
    /// Calls `f` with the worker lent to this thread. A wait in it ends when the process has died.
    pub(super) fn lent<R>(
        &mut self,
        has_died: impl Fn() -> bool + 'static,
        f: impl FnOnce() -> R,
    ) -> R {
        let worker = self.0.take().expect("it is lent once at a time");
        let (worker, result) = lend(worker, has_died, f);
        self.0 = Some(worker);
        result
    }
}

impl Deref for Own {
    type Target = Worker<PyJob>;

    fn deref(&self) -> &Worker<PyJob> {
        self.0.as_ref().expect("it is not lent")
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut Worker<PyJob> {
        self.0.as_mut().expect("it is not lent")
    }
}

/// Serves a worker until it is to end, or the fleet is closed.
pub(super) fn serve(worker: Worker<PyJob>, mut seat: Seat) {
    set_owner(Some(Arc::clone(&seat.shared.common.owner)));
    let mut worker = Own(Some(worker));
    let mut connection = seat.connection.take();
    serve_with(&mut worker, &seat, &mut connection);
    if worker.engine().is_closing() || seat.shared.fleet.is_retired(seat.process) {
        // Its process goes, and so does all that this one has of it.
        drop(connection);
        seat.disconnect_free();
    } else {
        // Another worker may go on with it.
        seat.connection = connection;
    }
}

fn serve_with(worker: &mut Own, seat: &Seat, connection: &mut Option<Connection>) {
    loop {
        let next = worker.next_task();
        while let Some(gone) = worker.next_gone() {
            drop(gone);
        }
        match next {
            Next::Run if is_not_for_here(worker) => {}
            Next::Run => {
                // A process that takes too much memory gets nothing new.
                *connection = connection.take().filter(|some| some.link.enter());
                let waits = connection.is_none();
                while connection.is_none() {
                    if !has_started(worker, seat) {
                        break;
                    }
                    match connect(worker, seat) {
                        Ok(Some(new)) => {
                            *connection = Some(new).filter(|new| new.link.enter());
                        }
                        Ok(None) => return,
                        // The worker leaves when it next asks.
                        Err(StartError::Retired { .. }) => {
                            drop(worker.leave_to_others());
                            break;
                        }
                        Err(error) => {
                            step_aside(worker, seat, &error);
                            break;
                        }
                    }
                }
                if let Some(some) = connection {
                    // What it needs may have gone with the process before, while this one was waited for.
                    let is_there = waits && is_not_for_here(worker) || fly(worker, some, seat);
                    seat.current.set(None);
                    match is_there {
                        true => some.link.leave(),
                        false => *connection = None,
                    }
                }
            }
            Next::Sleep(sleeper) => {
                let_go(worker, connection, seat);
                sleeper.sleep();
            }
            Next::End => return,
        }
    }
}

/// Returns true if the current task was failed, since what it needs is gone, or sent to the process where that is.
fn is_not_for_here(worker: &mut Own) -> bool {
    fail_if_lost(worker) || send_on(worker)
}

/// Waits for a link to the seat's thread. Returns `None` once the fleet is closed.
pub(super) fn connect(worker: &Own, seat: &Seat) -> Result<Option<Connection>, StartError> {
    let link = seat.shared.fleet.link(seat.process, seat.thread as u16)?;
    Ok(link.map(|link| {
        let common = &seat.shared.common;
        let holdings = common.holdings(seat.process, link.arena(), worker.engine());
        Connection::new(link, holdings)
    }))
}

/// Waits until the process of this seat is ready, or cannot be started. If that takes a while, returns false, and the
/// current task runs elsewhere if it can.
fn has_started(worker: &mut Worker<PyJob>, seat: &Seat) -> bool {
    let fleet = &seat.shared.fleet;
    if fleet.wait_until_started(seat.process, Some(ASIDE)) {
        return true;
    }
    drop(worker.leave_to_others());
    fleet.wait_until_started(seat.process, None);
    false
}

/// The process of this seat cannot be started. The current task runs elsewhere, if another process takes it meanwhile.
fn step_aside(worker: &mut Worker<PyJob>, seat: &Seat, error: &StartError) {
    let Shared { fleet, common, .. } = &*seat.shared;
    match worker.current().and_then(|task| common.deaths.another(task)) {
        Some(_) => {
            let why = format!("no worker process can be started: {error}");
            fail(worker, "KilledWorker", &why);
        }
        None => drop(worker.leave_to_others()),
    }
    fleet.wait_until_closed(ASIDE);
}

/// Fails the current task by an exception of this class with this message.
pub(super) fn fail(worker: &mut Worker<PyJob>, class: &'static str, why: &str) {
    if let Some(job) = worker.job() {
        job.fail(Failure::Told(class, why.into()));
        drop(worker.finish(Outcome::Failed));
    }
}
