//! What there is to see of tasks: how they stand, where they run, and what they have given.

use crate::shared::Shared;
use azolla::runtime::{Job, Status};
use azolla_core::State;
use pyo3::prelude::*;

/// A task's key, how it stands, the number of the thread that runs it, and its result if it has one.
pub(crate) type Row<'py> =
    (Bound<'py, PyAny>, &'static str, Option<u32>, Option<Bound<'py, PyAny>>);

/// The tasks that the cluster keeps.
pub(crate) fn tasks<'py>(py: Python<'py>, shared: &Shared) -> Vec<Row<'py>> {
    let engine = &shared.engine;
    let tasks = py.detach(|| engine.tasks());
    let rows = tasks.iter().map(|(job, view)| {
        let (state, worker) = match view.state {
            // The end of a short task is told some time after it can be seen.
            _ if job.header().status() == Status::Finished => ("memory", None),
            State::Waiting { .. } => ("waiting", None),
            State::Ready => ("ready", None),
            State::Claimed { worker } if job.header().is_running() => ("executing", Some(worker.0)),
            State::Claimed { .. } => ("ready", None),
            State::Running { worker } => ("executing", Some(worker.0)),
            State::Parked { worker } => ("parked", Some(worker.0)),
            State::Seceded { worker } => ("long-running", Some(worker.0)),
            State::Detached | State::Suspended => ("coroutine", None),
            State::Done => ("memory", None),
            State::Failed => ("erred", None),
            State::Cancelled => ("cancelled", None),
        };
        let value = match job.outcome() {
            Some(Ok(value)) if state == "memory" => Some(value.bind(py).clone()),
            _ => None,
        };
        (job.key(py), state, worker, value)
    });
    rows.collect()
}
