//! Tasks that run on in a worker process without a thread, as coroutines.

use super::asked::Reply;
use super::deaths::Deaths;
use super::frame::Sent;
use super::holdings::{Coroutine, Holdings};
use crate::interpreter::blobs::Packed;
use crate::task::job::{Failure, PyJob};
use crate::task::kept::Kept;
use crate::task::packed::Unread;
use azolla::runtime::{Engine, Job, Status};
use std::sync::Arc;

/// How a coroutine has ended. What its message has brought was read.
pub(super) enum End {
    /// With this result, and the tasks of the futures in it.
    Done(Packed, Option<Kept>),
    Failed(Packed),
    Again,
}

/// A task has given up its thread, and goes on as a coroutine of the process. Returns what the process is answered: the
/// task, which it holds once more.
pub(super) fn begin(
    engine: &Arc<Engine<PyJob>>,
    holdings: &Holdings,
    coroutine: Coroutine,
) -> Reply {
    let task = coroutine.sent.job.header().id();
    let Some(held) = task.and_then(|task| engine.find_task(task)) else {
        // The client is closing.
        return Reply::Dead;
    };
    let task = holdings.hold(held);
    match holdings.begin(task, coroutine) {
        Ok(()) => Reply::Tasks(vec![task]),
        Err(mut coroutine) => {
            // The process has died meanwhile. The coroutine has not begun.
            coroutine.at_hand.give_back();
            again(engine, &coroutine.sent.job);
            Reply::Dead
        }
    }
}

/// The coroutine has ended in the process.
pub(super) fn end(engine: &Arc<Engine<PyJob>>, coroutine: Coroutine, end: End) {
    let Coroutine { sent: Sent { job, .. }, since, mut at_hand, .. } = coroutine;
    let failed = match end {
        End::Done(packed, futures) => {
            job.finish_packed(packed, futures, None);
            false
        }
        End::Failed(packed) => {
            if job.header().take_retry() {
                again(engine, &job);
                return at_hand.end();
            }
            job.fail(Failure::Unread(Box::new(Unread::new(packed))));
            true
        }
        End::Again => {
            again(engine, &job);
            return at_hand.end();
        }
    };
    engine.finish_detached(&job, failed, since.elapsed());
    at_hand.end();
}

/// The process has died, for this reason, under these tasks.
pub(super) fn died(
    engine: &Arc<Engine<PyJob>>,
    deaths: &Deaths,
    coroutines: Vec<(u64, Coroutine)>,
    why: &str,
) {
    for (_, Coroutine { sent: Sent { job, key, .. }, since, mut at_hand, .. }) in coroutines {
        at_hand.give_back();
        let Some(task) = job.header().id().filter(|_| job.header().status() == Status::Pending)
        else {
            continue;
        };
        match deaths.another(task) {
            Some(deaths) => {
                let why = format!(
                    "{key}: {deaths} worker processes died while they ran it; the last, {why}"
                );
                job.fail(Failure::Told("KilledWorker", why.into()));
                engine.finish_detached(&job, true, since.elapsed());
            }
            None => again(engine, &job),
        }
    }
}

fn again(engine: &Arc<Engine<PyJob>>, job: &Arc<PyJob>) {
    engine.again_detached(job);
}
