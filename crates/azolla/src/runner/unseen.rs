//! Failures that no caller will see: each is said once, on the standard error output. Where a
//! `tracing` subscriber listens, it hears of all failures anyway.

use crate::cell::Task;
use std::io::Write;

/// Says that this task has failed.
#[cold]
pub(super) fn report(task: &dyn Task) {
    // A subscriber was warned when the task failed.
    #[cfg(feature = "tracing")]
    if tracing::enabled!(target: "azolla", tracing::Level::WARN) {
        return;
    }
    let (key, name) = (task.key(), task.name());
    let error = task.error().unwrap_or_default();
    let text = format!("azolla: no future shows that task {key} ({name}) has failed: {error}\n");
    // A program without a standard error output cannot be told.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
