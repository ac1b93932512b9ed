//! Tasks that run on in a worker process without a thread, as coroutines.

use super::asked::Reply;
use super::deaths::Deaths;
use super::ended;
use super::frame::Sent;
use super::holdings::{Coroutine, Holdings};
use crate::task::job::PyJob;
use azolla::runtime::{Engine, Job, Status};
use azolla_core::Outcome;
use azolla_process::process;
use std::sync::Arc;
use std::time::Instant;

/// A task has given up its thread, and goes on as a coroutine of the process. Returns what the process is answered: the
/// task, which it holds once more; none if the coroutine is not to begin.
pub(super) fn begin(
    engine: &Arc<Engine<PyJob>>,
    holdings: &Holdings,
    coroutine: Coroutine,
) -> Reply {
    let task = coroutine.sent.job.header().id();
    let Some(held) = task.and_then(|task| engine.find_task(task)) else {
        // It was cancelled, and nothing wants it: the coroutine is not to begin.
        engine.finish_detached(&coroutine.sent.job, true, coroutine.since.elapsed());
        return Reply::Tasks(Vec::new());
    };
    let task = holdings.hold(held);
    match holdings.begin(task, coroutine) {
        Ok(()) => Reply::Tasks(vec![task]),
        Err(mut coroutine) => {
            // The process has died meanwhile. The coroutine has not begun.
            coroutine.at_hand.give_back();
            engine.again_detached(&coroutine.sent.job);
            Reply::Dead
        }
    }
}

/// The coroutine has ended in the process, as was stored.
pub(super) fn end(engine: &Arc<Engine<PyJob>>, coroutine: Coroutine, outcome: Outcome) {
    let Coroutine { sent: Sent { job, .. }, since, mut at_hand, .. } = coroutine;
    finish(engine, &job, since, outcome);
    at_hand.end();
}

/// The process of a worker has died like this under these tasks.
pub(super) fn died(
    engine: &Arc<Engine<PyJob>>,
    deaths: &Deaths,
    coroutines: impl IntoIterator<Item = Coroutine>,
    how: (usize, process::Ended),
) {
    for Coroutine { sent: Sent { job, key, .. }, since, mut at_hand, .. } in coroutines {
        at_hand.give_back();
        // It may have been cancelled.
        let outcome = match job.header().status() {
            Status::Pending => ended::died(&job, &key, deaths, how),
            _ => Outcome::Again,
        };
        finish(engine, &job, since, outcome);
    }
}

fn finish(engine: &Engine<PyJob>, job: &PyJob, since: Instant, outcome: Outcome) {
    match outcome {
        Outcome::Again => engine.again_detached(job),
        outcome => engine.finish_detached(job, outcome == Outcome::Failed, since.elapsed()),
    }
}
