//! Failures that no caller will see: the cluster object logs them.

use crate::interpreter::beside::beside;
use crate::session::owner::Owner;
use crate::session::shared::Cluster;
use crate::task::job::PyJob;
use azolla::runtime::Job;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::{Arc, Weak};

pub(super) fn unseen(owner: &Owner, job: &Arc<PyJob>) {
    let cluster = owner.get().and_then(Weak::upgrade);
    let _ = beside(|py| cluster.map(|cluster| report(py, &cluster, job)));
}

/// Hands a failure that no caller will see to the cluster object, which logs it on a thread of its own.
fn report(py: Python<'_>, cluster: &Cluster, job: &PyJob) -> PyResult<()> {
    let cluster = cluster.object(py)?;
    if let Some(Err(failure)) = job.outcome()
        && !cluster.is_none()
    {
        let call = job.call(py).map(|call| (call.call, call.kwargs));
        let unseen = (job.key_text(py), job.name(), call, failure.object(py));
        cluster.call_method1(intern!(py, "_log_unseen"), unseen)?;
    }
    Ok(())
}
