//! Tasks as `tracing` sees them.
//!
//! Each run of a task is a span `task` with the task's key and its function's name. Events in the
//! span tell of the beginning and the end, and what the task itself traces lies in it too. All have
//! the target `azolla` and the level DEBUG, except failures, which are warnings. Without a
//! subscriber no key is made, and a task costs one look at a number.

use crate::cell::Task;
use azolla_core::Outcome;
use std::sync::Arc;
use tracing::{Level, debug, debug_span, enabled, warn};

/// Runs a task, in a span if a subscriber wants one.
pub(crate) fn run(job: Arc<dyn Task>) -> Outcome {
    // A subscriber to DEBUG gets warnings too, so this one check covers both.
    if enabled!(target: "azolla", Level::WARN) { run_in_span(job) } else { job.run() }
}

#[cold]
fn run_in_span(job: Arc<dyn Task>) -> Outcome {
    let span = debug_span!(target: "azolla", "task", key = job.key(), name = job.name());
    span.in_scope(|| {
        debug!(target: "azolla", "begins");
        let outcome = Arc::clone(&job).run();
        match outcome {
            Outcome::Done => debug!(target: "azolla", "has a result"),
            Outcome::Suspended => debug!(target: "azolla", "waits to be polled again"),
            Outcome::Again => debug!(target: "azolla", "has failed, and is to run again"),
            Outcome::Elsewhere(_) => debug!(target: "azolla", "is to run elsewhere"),
            Outcome::Failed => {
                let error = job.error().unwrap_or_default();
                warn!(target: "azolla", error, key = job.key(), "has failed");
            }
        }
        outcome
    })
}
