//! Values that a cluster keeps for its clients: in queues and variables, as metadata and as events.
//!
//! A value is kept as it was when it was handed over, so its containers are copied then, as those of a call's arguments are.
//! The futures in it become the cluster's own: they stay when their client leaves, and keep no client alive. Those that come
//! out again are the futures of the client that asks.

use super::handle::Future;
use super::nested::copied;
use crate::session::shared::Shared;
use pyo3::prelude::*;
use std::sync::Arc;

/// Returns a copy of a value for the cluster to keep, and true if it holds futures.
pub(crate) fn kept<'py>(
    value: &Bound<'py, PyAny>,
    shared: &Arc<Shared>,
) -> PyResult<(Bound<'py, PyAny>, bool)> {
    let mut futures = false;
    let copy = with_futures_of(value, shared.keeper(), || futures = true)?;
    Ok((copy, futures))
}

/// Returns a copy of a kept value, for this client.
pub(crate) fn given<'py>(
    value: &Bound<'py, PyAny>,
    shared: &Arc<Shared>,
) -> PyResult<Bound<'py, PyAny>> {
    with_futures_of(value, &shared.for_a_future(), || ())
}

/// Returns a copy in which the cluster's futures are this client's. A future that is released, or another cluster's, stays.
fn with_futures_of<'py>(
    value: &Bound<'py, PyAny>,
    shared: &Arc<Shared>,
    mut met: impl FnMut(),
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    copied(value, &mut |future: &Bound<'py, Future>| {
        met();
        let own = future
            .get()
            .shared
            .as_ref()
            .is_some_and(|of| Arc::ptr_eq(&of.cluster, &shared.cluster));
        let Some(job) =
            future.get().live().filter(|_| own && future.is_exact_instance_of::<Future>())
        else {
            return Ok(Some(future.clone().into_any()));
        };
        let job = shared.cluster.one_more(job);
        Ok(Some(Future::object(py, job, Arc::clone(shared))?.into_any()))
    })
}
