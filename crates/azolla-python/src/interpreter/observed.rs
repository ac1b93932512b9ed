//! Observations: rows that tell benchmarks and programs what happens to tasks.

use azolla::runtime::{Observation, Observations, Status, What};
use pyo3::prelude::*;

#[doc = stub!(Observations)]
#[pyclass(frozen, name = "Observations", module = "azolla._azolla")]
pub(crate) struct PyObservations(pub(crate) Observations);

/// Seconds since the client began, the task's number, what happened, and the worker's number if it happened on one.
pub(crate) type Row = (f64, u64, &'static str, Option<u32>);

#[pymethods]
impl PyObservations {
    #[doc = stub!(Observations.take)]
    fn take(&self) -> Vec<Row> {
        self.0.take().iter().map(row).collect()
    }

    #[doc = stub!(Observations.dropped)]
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

pub(crate) fn row(seen: &Observation) -> Row {
    let (at, task) = (seen.at.as_secs_f64(), seen.task.to_bits());
    match seen.what {
        What::Submitted { .. } => (at, task, "submitted", None),
        What::Ready => (at, task, "ready", None),
        What::Begun { worker, .. } => (at, task, "begun", Some(worker)),
        What::Parked { worker } => (at, task, "parked", Some(worker)),
        What::Seceded { worker } => (at, task, "seceded", Some(worker)),
        What::Resumed { worker } => (at, task, "resumed", Some(worker)),
        What::Detached { worker } => (at, task, "detached", Some(worker)),
        What::Again { worker } => (at, task, "again", Some(worker)),
        What::Ended { worker, status } => {
            let how = match status {
                Status::Failed => "failed",
                Status::Cancelled => "cancelled",
                Status::Pending | Status::Finished => "finished",
            };
            (at, task, how, worker)
        }
        What::Retried => (at, task, "retried", None),
        What::Dropped => (at, task, "dropped", None),
    }
}
