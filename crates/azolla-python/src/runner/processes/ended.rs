//! How a task has ended in a worker process: what a message has brought becomes its result or its error. Threads tell of it
//! to their proxies, coroutines to the desk.

use super::deaths::Deaths;
use crate::interpreter::blobs::Packed;
use crate::task::actor::State;
use crate::task::job::{Failure, PyJob};
use crate::task::kept::Kept;
use crate::task::packed::Unread;
use azolla::runtime::{Engine, Job};
use azolla_core::Outcome;
use azolla_process::fleet::Remote;
use azolla_process::message::{Blob, Ended};
use azolla_process::process;
use azolla_process::shelf::Shelf;
use std::io;
use std::sync::Arc;

/// Reads what a message of this process has brought: from now on what is large in it is the client's affair.
pub(super) fn read(blob: &Blob<'_>, remote: &Remote, shelf: &Shelf) -> io::Result<Packed> {
    Packed::read(blob, |range| Ok(shelf.keep(remote.arena().place(range)?)))
}

/// Stores how a task has ended, and returns what the engine is to be told. `futures` are the tasks of the futures in the
/// result. `state` makes the state for what stays in the process.
pub(super) fn store(
    job: &PyJob,
    ended: &Ended<'_>,
    futures: impl Iterator<Item = u64>,
    engine: &Arc<Engine<PyJob>>,
    (remote, shelf): (&Remote, &Shelf),
    state: impl FnOnce() -> Arc<dyn State>,
) -> io::Result<Outcome> {
    Ok(match ended {
        Ended::Done(blob) | Ended::Stays(blob) => {
            let packed = read(blob, remote, shelf)?;
            let mut futures = futures.peekable();
            let has_futures = futures.peek().is_some();
            let futures = has_futures.then(|| Kept::new(engine, futures));
            let stays = job.is_actor() || matches!(ended, Ended::Stays(_));
            job.finish_packed(packed, futures, stays.then(state));
            Outcome::Done
        }
        Ended::Failed(blob) => {
            let packed = read(blob, remote, shelf)?;
            if job.header().take_retry() {
                Outcome::Again
            } else {
                job.fail(Failure::Unread(Box::new(Unread::new(packed))));
                Outcome::Failed
            }
        }
        Ended::Again => Outcome::Again,
    })
}

/// The process of a worker has died like this under a task. The task runs again, unless that was once too often: then its error
/// is stored. A restart was not the task's doing. Returns what the engine is to be told.
pub(super) fn died(
    job: &PyJob,
    key: &str,
    deaths: &Deaths,
    (worker, how): (usize, process::Ended),
) -> Outcome {
    if how == process::Ended::Restarted {
        return Outcome::Again;
    }
    let Some(deaths) = job.header().id().and_then(|task| deaths.another(task)) else {
        return Outcome::Again;
    };
    let why = format!(
        "{key}: {deaths} worker processes died while they ran it; the last, worker {worker}, {how}"
    );
    job.fail(Failure::Told("KilledWorker", why.into()));
    Outcome::Failed
}
