//! Tasks as `tracing` sees them.
//!
//! Each run of a task is a span `task` with its key and its function's name, and in it events tell of
//! its beginning and its end; what the task itself traces is within. All have the target `azolla` and
//! the level DEBUG, but for failures, which are warnings. Keys are made only if somebody asks: without a
//! subscriber a task costs one look at a number.

use crate::cell::Task;
use azolla_core::Outcome;
use std::sync::Arc;
use tracing::{Level, debug, debug_span, enabled, warn};

/// Runs a task, in a span if anybody wants one.
pub(crate) fn run(job: Arc<dyn Task>) -> Outcome {
    // The events of failures are asked for by all who ask for those of level DEBUG.
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
            Outcome::Failed => {
                let error = job.error().unwrap_or_default();
                warn!(target: "azolla", error, key = job.key(), "has failed");
            }
        }
        outcome
    })
}
