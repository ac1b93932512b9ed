//! What a process tells of the runs that are recorded goes to the recorder in Python (`azolla._run.recorder`).

use super::frame::Sent;
use crate::session::shared::Cluster;
use crate::task::packed::Notes;
use azolla_process::message::Run;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// These tasks of a worker have run so.
pub(super) fn note(cluster: &Cluster, worker: u32, sent: &[Sent], runs: &[Run<'_>]) {
    let noted = |py: Python<'_>| {
        let cluster = cluster.object(py)?;
        if cluster.is_none() {
            return Ok(());
        }
        let recorder = cluster.getattr(intern!(py, "_recorder"))?;
        for (Sent { job, call, .. }, run) in sent.iter().zip(runs) {
            let key = job.key(py);
            let notes = call.notes.as_ref().map(|notes: &Notes| PyBytes::new(py, notes));
            let about = PyBytes::new(py, run.about);
            let ended = (key, worker, notes, run.start, run.stop, about);
            recorder.call_method1(intern!(py, "noted"), ended)?;
        }
        Ok(())
    };
    let _ = Python::try_attach(|py| {
        noted(py).unwrap_or_else(|error: PyErr| error.write_unraisable(py, None));
    });
}
