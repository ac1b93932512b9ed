//! What few requests of worker processes need: Python. The proxy takes the GIL for them.

use super::asked::{Asking, Reply};
use crate::child::pickled::collecting;
use crate::interpreter::imports::python;
use crate::interpreter::pickles::loads;
use crate::session::shared::Cluster;
use crate::submit::placing::constraint;
use crate::task::kept::Kept;
use azolla_core::Constraint;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyTuple};
use std::sync::Arc;

/// What few tasks have.
#[derive(Default)]
pub(super) struct Rare {
    /// A key that is no text.
    pub(super) key: Option<Py<PyAny>>,
    pub(super) span: Option<Py<PyTuple>>,
    pub(super) constraint: Option<Arc<Constraint>>,
}

/// The pickle of a tuple: the key, the span, `workers=`, `resources=` and whether other workers are allowed.
type Read<'py> = (
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyTuple>>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    bool,
);

impl Rare {
    pub(super) fn read(cluster: &Arc<Cluster>, pickle: &[u8]) -> Result<Self, Reply> {
        let read = |py: Python<'_>| {
            let read = loads(py, pickle)?;
            let (key, span, workers, resources, others): Read<'_> = read.extract()?;
            let constraint = constraint(cluster, (workers, resources, others))?;
            Ok(Self { key: key.map(Bound::unbind), span: span.map(Bound::unbind), constraint })
        };
        Python::attach(|py| read(py).map_err(|error: PyErr| raised(py, &error)))
    }
}

/// Calls what a pickle says on the client of the task that asks. A wait in it keeps no slot.
pub(super) fn call(asking: &mut Asking<'_>, what: &[u8]) -> Reply {
    static CALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(cluster) = asking.cluster.clone() else {
        return Reply::Told("ClosedClientError", "the client is gone".into());
    };
    let client = asking.worker.job().map_or(0, |job| job.client());
    let process = asking.remote.watch();
    let engine = Arc::clone(asking.worker.engine());
    let taken = &mut *asking.taken;
    let called = |py: Python<'_>| {
        let call = || -> PyResult<_> {
            let call = python(py, &CALL, "azolla._client.for_processes", "call")?;
            let client = cluster.client_of(py, client)?;
            let taken = taken.0.get_or_insert_with(|| PyList::empty(py).unbind());
            call.call1((client, PyBytes::new(py, what), taken.bind(py)))?.extract::<Called<'_>>()
        };
        let (called, futures) = collecting(call);
        match called {
            // The result itself goes after its tasks are kept.
            Ok((pickle, _result)) => {
                (Reply::Value(pickle.as_bytes().to_vec()), Kept::new(&engine, futures))
            }
            Err(error) => (raised(py, &error), Kept::new(&engine, [])),
        }
    };
    let has_died = move || process.is_over();
    let (reply, kept) = asking.worker.lent(has_died, || Python::attach(called));
    if !kept.is_empty() {
        asking.kept.push(kept);
    }
    reply
}

/// What a task has taken of what is shared, a list of Python's: locks, and what was in queues.
#[derive(Default)]
pub(super) struct Taken(Option<Py<PyList>>);

impl Taken {
    /// Gives it back: the process has died, and the task has not ended.
    pub(super) fn give_back(self) {
        static GIVE_BACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let Some(taken) = self.0 else { return };
        let _ = Python::try_attach(|py| {
            let give_back = python(py, &GIVE_BACK, "azolla._client.for_processes", "give_back");
            if let Err(error) = give_back.and_then(|it| it.call1((taken,))) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// What has come of a call, as a pickle and as it is.
type Called<'py> = (Bound<'py, PyBytes>, Bound<'py, PyAny>);

fn raised(py: Python<'_>, error: &PyErr) -> Reply {
    static PACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let packed = python(py, &PACK, "azolla._process.errors", "pack")
        .and_then(|pack| Ok(pack.call1((error.value(py),))?.cast_into::<PyBytes>()?));
    match packed {
        Ok(packed) => Reply::Raised(packed.as_bytes().to_vec()),
        Err(error) => Reply::Told("AzollaError", error.to_string()),
    }
}
