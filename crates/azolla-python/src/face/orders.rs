//! Orders to worker processes: what is to be done there beside tasks, and what has come of it.

use super::cluster::ClusterCore;
use crate::child::pickled::collecting;
use crate::future::callbacks::LoopCallback;
use crate::interpreter::blobs::Packed;
use crate::interpreter::imports::error;
use crate::runner::processes::{Hear, Outcome, Parcel};
use crate::session::away::unexpected;
use crate::submit::packing::noted_for;
use crate::task::kept::Kept;
use crate::task::packed::Unread;
use azolla::runtime::{Listen, Status};
use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[doc = stub!(Parcel)]
#[pyclass(frozen, module = "azolla._azolla", name = "Parcel")]
pub(crate) struct PyParcel(Arc<Parcel>);

#[pymethods]
impl PyParcel {
    #[new]
    fn new(cluster: &Bound<'_, ClusterCore>, what: &Bound<'_, PyAny>) -> PyResult<Self> {
        let cluster = cluster.get().cluster()?;
        let store = &cluster.sent.as_ref().ok_or_else(unexpected)?.store;
        let (packed, futures) = collecting(|| Packed::of(what, &**store));
        let futures = Kept::new(&cluster.engine, futures.tasks);
        let packed = packed
            .map_err(|error| noted_for(what.py(), error, "it", "send it to worker processes"))?;
        Ok(Self(Arc::new(Parcel { packed, futures })))
    }
}

#[doc = stub!(Ordered)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Ordered(Arc<Mutex<State>>);

enum State {
    Waits,
    There(Outcome),
    /// It was taken.
    Over,
}

#[doc = stub!(give_order)]
#[pyfunction]
#[pyo3(signature = (cluster, what, workers, stays, r#loop, callback, leave=None))]
#[expect(clippy::too_many_arguments, reason = "Python calls it")]
pub(crate) fn give_order(
    py: Python<'_>,
    cluster: &Bound<'_, ClusterCore>,
    what: Option<&Bound<'_, PyParcel>>,
    workers: Vec<usize>,
    stays: bool,
    r#loop: Py<PyAny>,
    callback: Py<PyAny>,
    leave: Option<f64>,
) -> PyResult<(Vec<Ordered>, Option<u64>)> {
    let reins = cluster.get().reins()?;
    let wakes = Arc::new(LoopCallback { r#loop, callback });
    let mut orders = Vec::with_capacity(workers.len());
    let mut to = Vec::with_capacity(workers.len());
    for worker in workers {
        let state = Arc::new(Mutex::new(State::Waits));
        orders.push(Ordered(Arc::clone(&state)));
        let wakes = Arc::clone(&wakes);
        let hear: Hear = Box::new(move |outcome| {
            *locked(&state) = State::There(outcome);
            wakes.settled(0, Status::Finished);
        });
        to.push((worker, hear));
    }
    let what = what.map(|what| Arc::clone(&what.get().0));
    let leave = leave.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let gear = py.detach(|| reins.give(what.as_ref(), stays, leave, to));
    Ok((orders, gear))
}

#[pymethods]
impl Ordered {
    #[doc = stub!(Ordered.now)]
    fn now<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let there = {
            let mut state = locked(&self.0);
            match &*state {
                State::Waits => return Ok(None),
                _ => mem::replace(&mut *state, State::Over),
            }
        };
        match there {
            State::There(outcome) => outcome.value(py).map(|value| Some((value,))),
            _ => Err(unexpected()),
        }
    }
}

#[cfg(target_os = "linux")]
impl Outcome {
    fn value(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            // The futures in the result are kept until it is there.
            Self::Done(packed, _futures) => packed.object(py),
            Self::There => Ok(py.None().into_bound(py)),
            Self::Failed(packed) => Err(Unread::new(packed).raised(py).exception().error(py)),
            Self::Told("ConnectionError", why) => Err(PyConnectionError::new_err(why)),
            Self::Told(class, why) => Err(error(py, class, &why)),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Outcome {
    fn value(self, _: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {}
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
