//! Tasks that a pickle names by their futures' keys. They are kept as long as the pickle is.

use super::job::PyJob;
use azolla::runtime::{Engine, Job, dropping};
use azolla_core::TaskId;
use std::sync::{Arc, Weak};

/// Some tasks, each counted as if there were one more future on it. Dropping this lets go of them.
pub(crate) struct Kept {
    engine: Weak<Engine<PyJob>>,
    jobs: Vec<Arc<PyJob>>,
}

impl Kept {
    /// Keeps the tasks of these numbers, as far as the engine has them.
    pub(crate) fn new(engine: &Arc<Engine<PyJob>>, tasks: impl IntoIterator<Item = u64>) -> Self {
        let tasks = tasks.into_iter().filter_map(TaskId::from_bits);
        let jobs = tasks.filter_map(|task| engine.find_task(task)).collect();
        Self { engine: Arc::downgrade(engine), jobs }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let (engine, jobs) = (self.engine.upgrade(), std::mem::take(&mut self.jobs));
        if jobs.is_empty() {
            return;
        }
        // The result may hold futures too, and so on.
        dropping(move || {
            for job in jobs {
                let_go(engine.as_ref(), &job);
            }
        });
    }
}

/// Counts one future fewer on a job, and tells the engine if it was the last.
pub(crate) fn let_go(engine: Option<&Arc<Engine<PyJob>>>, job: &Arc<PyJob>) {
    if let Some(engine) = engine
        && job.header().remove_future()
    {
        engine.release(job.header());
    }
}
