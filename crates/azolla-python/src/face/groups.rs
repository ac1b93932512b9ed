//! Groups, and waits for all that has grown from a task, on the side of the engine. `azolla/_client/group.py` is what users
//! see.

use crate::future::handle::Future;
use crate::interpreter::blobs::Packed;
use crate::session::core::Core;
use crate::session::shared::Shared;
use crate::submit::one::parent;
use crate::task::job::PyJob;
use crate::task::named::Name;
use crate::task::packed::Value;
use azolla::runtime::Job;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Arc;

/// Makes a gate: the engine runs it nowhere. Its result is None.
fn gate(shared: &Arc<Shared>, name: &Bound<'_, PyString>) -> PyResult<Arc<PyJob>> {
    let (py, function) = (name.py(), name.clone().unbind());
    let value = match &shared.cluster.sent {
        Some(processes) => Value::Packed(Packed::of(py.None().bind(py), &*processes.store)?),
        None => Value::Here(py.None()),
    };
    Ok(Arc::new(PyJob::done(value, Name::Impure { function }, shared.number)))
}

#[doc = stub!(open_group)]
#[pyfunction]
#[pyo3(signature = (client, name, cancels, around=None))]
pub(crate) fn open_group(
    client: &Bound<'_, Core>,
    name: &Bound<'_, PyString>,
    cancels: bool,
    around: Option<&Bound<'_, Future>>,
) -> PyResult<Future> {
    let py = client.py();
    let shared = client.get().shared()?;
    shared.check_open(py, "group")?;
    let parent = match around {
        Some(around) => around.get().job(py)?.header().id(),
        None => parent(py, shared)?,
    };
    let gate = gate(shared, name)?;
    shared.engine.open_scope(&gate, parent, cancels);
    Ok(Future::new(py, gate, Arc::clone(shared)))
}

#[doc = stub!(close_group)]
#[pyfunction]
pub(crate) fn close_group(gate: &Bound<'_, Future>) -> PyResult<()> {
    gate.get().shared()?.engine.close_scope(&*gate.get().job(gate.py())?);
    Ok(())
}

#[doc = stub!(failed_in_group)]
#[pyfunction]
pub(crate) fn failed_in_group(gate: &Bound<'_, Future>, ends: bool) -> PyResult<Vec<Future>> {
    let py = gate.py();
    let shared = gate.get().shared()?;
    let job = gate.get().job(py)?;
    if ends {
        shared.engine.end_scope(&*job);
    }
    let failed = shared.engine.failed_in(&*job);
    Ok(failed.into_iter().map(|job| Future::new(py, job, Arc::clone(shared))).collect())
}

#[doc = stub!(cancel_grown)]
#[pyfunction]
pub(crate) fn cancel_grown(future: &Bound<'_, Future>, interrupt: bool) -> PyResult<()> {
    let py = future.py();
    let (shared, job) = (future.get().shared()?, future.get().job(py)?);
    py.detach(|| shared.engine.cancel_grown(&*job, interrupt));
    Ok(())
}

#[doc = stub!(group_counts)]
#[pyfunction]
pub(crate) fn group_counts(gate: &Bound<'_, Future>) -> PyResult<(u64, u64, u64, u64)> {
    let tally = gate.get().shared()?.engine.tally(&*gate.get().job(gate.py())?);
    Ok((tally.live, tally.finished, tally.failed, tally.cancelled))
}

#[doc = stub!(watch_growth)]
#[pyfunction]
pub(crate) fn watch_growth(future: &Bound<'_, Future>) -> PyResult<Future> {
    let py = future.py();
    let (shared, job) = (future.get().shared()?, future.get().job(py)?);
    let gate = gate(shared, &PyString::new(py, "grown"))?;
    shared.engine.watch_growth(&gate, &*job);
    Ok(Future::new(py, gate, Arc::clone(shared)))
}
