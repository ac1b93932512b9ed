//! What few requests of worker processes need: Python. The proxy takes the GIL for them.

use super::asked::{Asking, Reply};
use super::holdings::Holdings;
use crate::child::failures::pack;
use crate::child::pickled::collecting;
use crate::interpreter::imports::python;
use crate::interpreter::pickles::loads;
use crate::session::shared::Cluster;
use crate::submit::placing::constraint;
use crate::task::kept::Kept;
use crate::task::named::Name;
use crate::task::packed::Notes;
use azolla_core::{Constraint, Key};
use azolla_process::request::{self, End};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple};
use std::sync::Arc;

/// The Python half.
const MODULE: &str = "azolla._client.for_processes";

/// What few tasks have.
#[derive(Default)]
pub(super) struct Rare {
    /// A key that is no text.
    pub(super) key: Option<Py<PyAny>>,
    pub(super) span: Option<Py<PyTuple>>,
    pub(super) notes: Option<Notes>,
    pub(super) constraint: Option<Arc<Constraint>>,
}

/// The pickle of a tuple: the key, the span, the notes, `workers=`, `resources=` and whether other workers are allowed.
type Read<'py> = (
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyTuple>>,
    Option<Bound<'py, PyBytes>>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    bool,
);

impl Rare {
    pub(super) fn read(cluster: &Arc<Cluster>, pickle: &[u8]) -> Result<Self, Reply> {
        let read = |py: Python<'_>| {
            let read = loads(py, pickle)?;
            let (key, span, notes, workers, resources, others): Read<'_> = read.extract()?;
            let constraint = constraint(cluster, (workers, resources, others))?;
            let (key, span) = (key.map(Bound::unbind), span.map(Bound::unbind));
            Ok(Self { key, span, notes: notes.map(|notes| notes.as_bytes().into()), constraint })
        };
        Python::attach(|py| read(py).map_err(|error: PyErr| raised(py, &error)))
    }
}

/// Returns the key of a value that is kept, if it is no text.
pub(super) fn key(pickle: &[u8]) -> Result<Option<Py<PyAny>>, Reply> {
    if pickle.is_empty() {
        return Ok(None);
    }
    let read = |py: Python<'_>| match loads(py, pickle) {
        Ok(key) => Ok(Some(key.unbind())),
        Err(error) => Err(raised(py, &error)),
    };
    Python::attach(read)
}

/// What the engine finds the task by, and what its key is made of. `given` is a key that is no text.
pub(super) fn name(name: &request::Name<'_>, given: Option<Py<PyAny>>) -> (Name, Option<Key>) {
    let key = match name.end {
        End::Given(key) | End::Pure(key, _) => Some(Key::from_digest(key)),
        End::Impure => None,
    };
    let name = match given {
        Some(given) => Name::Given(given),
        None => Name::Asked(name.text.into(), name.end),
    };
    (name, key)
}

/// Calls what a pickle says on the client of the task that asks. A wait in it keeps no slot.
pub(super) fn call(asking: &mut Asking<'_>, what: &[u8]) -> Reply {
    static CALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static TAKEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(cluster) = asking.cluster.clone() else {
        return Reply::Told("ClosedClientError", "the client is gone".into());
    };
    let client = asking.worker.job().map_or(0, |job| job.client());
    let process = asking.remote.watch();
    let engine = Arc::clone(asking.worker.engine());
    let AtHand { kept, taken } = &mut *asking.at_hand;
    let holdings = asking.holdings;
    let called = |py: Python<'_>| {
        let call = || -> PyResult<_> {
            let call = python(py, &CALL, MODULE, "call")?;
            let client = cluster.client_of(py, client)?;
            let taken = match taken {
                Some(taken) => taken,
                None => taken.insert(python(py, &TAKEN, MODULE, "Taken")?.call0()?.unbind()),
            };
            let what = PyBytes::new(py, what);
            call.call1((client, what, holdings.shared(py), taken.bind(py)))?.extract::<Called<'_>>()
        };
        let (called, futures) = collecting(call);
        match called {
            // The result itself goes after its tasks are kept.
            Ok((pickle, _result)) => {
                if !futures.is_empty() {
                    kept.push(Kept::new(&engine, futures));
                }
                Reply::Value(pickle.as_bytes().to_vec())
            }
            Err(error) => raised(py, &error),
        }
    };
    asking.worker.lent(move || process.is_over(), || Python::attach(called))
}

/// The process has these queues, locks and so on no more.
pub(super) fn forget(holdings: &Holdings, at_hand: &AtHand, numbers: Vec<u64>) {
    static FORGET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if numbers.is_empty() {
        return;
    }
    let _ = Python::try_attach(|py| {
        let forget = || {
            let forget = python(py, &FORGET, MODULE, "forget")?;
            forget.call1((numbers, holdings.shared(py), &at_hand.taken))
        };
        if let Err(error) = forget() {
            error.write_unraisable(py, None);
        }
    });
}

/// What a task has of the client's while it runs.
#[derive(Default)]
pub(super) struct AtHand {
    /// The tasks of futures in what it was answered.
    kept: Vec<Kept>,
    /// What it has taken of what is shared: locks, and what was in queues (`Taken` in `for_processes.py`).
    taken: Option<Py<PyAny>>,
}

impl AtHand {
    /// The task has ended.
    pub(super) fn end(&mut self) {
        self.kept.clear();
        if let Some(taken) = self.taken.take() {
            // Destructors of users run here, and not where a thread takes the GIL next.
            let _ = Python::try_attach(|py| drop(taken.into_bound(py)));
        }
    }

    /// The process has died, and the task has not ended: what it has taken goes back.
    pub(super) fn give_back(&mut self) {
        self.kept.clear();
        let Some(taken) = self.taken.take() else { return };
        let _ = Python::try_attach(|py| {
            if let Err(error) = taken.bind(py).call_method0(intern!(py, "give_back")) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// What has come of a call, as a pickle and as it is.
type Called<'py> = (Bound<'py, PyBytes>, Bound<'py, PyAny>);

fn raised(py: Python<'_>, error: &PyErr) -> Reply {
    Reply::Raised(pack(error.value(py).as_any(), None))
}
