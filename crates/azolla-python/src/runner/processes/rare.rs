//! What few requests of worker processes need: Python. The thread that answers takes the GIL for them.

use super::asked::Reply;
use super::holdings::Holdings;
use super::proxy::Own;
use crate::child::failures::pack;
use crate::child::pickled::{Named, collecting};
use crate::interpreter::imports::python;
use crate::interpreter::pickles::loads;
use crate::session::shared::Cluster;
use crate::submit::placing::constraint;
use crate::task::job::PyJob;
use crate::task::kept::Kept;
use crate::task::named::Name;
use crate::task::packed::Notes;
use azolla::runtime::Engine;
use azolla_core::{Constraint, Key};
use azolla_process::fleet::Remote;
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

/// What a call needs that a pickle says.
pub(super) struct Call {
    pub(super) cluster: Arc<Cluster>,
    /// The number of the client on which it is called.
    pub(super) client: u32,
    /// The task whose coroutine asks, if one does.
    pub(super) of: Option<Arc<PyJob>>,
    pub(super) holdings: Arc<Holdings>,
}

impl Call {
    /// Calls what a pickle says. What it takes of what is shared goes to `at_hand`, and so do the tasks of the futures in
    /// what it returns.
    pub(super) fn call(
        &self,
        py: Python<'_>,
        engine: &Arc<Engine<PyJob>>,
        at_hand: &mut AtHand,
        what: &[u8],
    ) -> Reply {
        static CALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let call = || -> PyResult<_> {
            let call = python(py, &CALL, MODULE, "call")?;
            let client = self.cluster.client_of(py, self.client)?;
            let (what, taken) = (PyBytes::new(py, what), at_hand.taken(py)?);
            let key = self.of.as_ref().map(|job| job.key(py));
            call.call1((client, what, self.holdings.shared(py), taken, key))?
                .extract::<Called<'_>>()
        };
        reply(py, engine, collecting(call), &mut at_hand.kept)
    }

    /// Begins a wait that a pickle says: the `Turn`, of what, and the name of the method.
    pub(super) fn turn<'py>(
        &self,
        py: Python<'py>,
        what: &[u8],
    ) -> Result<Bound<'py, PyTuple>, Reply> {
        static STAND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let stand = || -> PyResult<_> {
            let stand = python(py, &STAND, MODULE, "stand")?;
            let turn = stand.call1((PyBytes::new(py, what), self.holdings.shared(py)))?;
            Ok(turn.cast_into()?)
        };
        stand().map_err(|error| raised(py, &error))
    }
}

/// Returns what a wait has given; `None` if it is not over.
pub(super) fn given(
    py: Python<'_>,
    engine: &Arc<Engine<PyJob>>,
    turn: &Py<PyTuple>,
    at_hand: &mut AtHand,
) -> Option<Reply> {
    static GIVEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let given = || -> PyResult<_> {
        let given = python(py, &GIVEN, MODULE, "given")?;
        given.call1((turn, at_hand.taken(py)?))?.extract::<Option<Called<'_>>>()
    };
    let (given, futures) = collecting(given);
    let given = given.transpose()?;
    Some(reply(py, engine, (given, futures), &mut at_hand.kept))
}

/// What is answered with what has come of a call. Its tasks are kept before the result itself goes.
fn reply(
    py: Python<'_>,
    engine: &Arc<Engine<PyJob>>,
    (called, futures): (PyResult<Called<'_>>, Named),
    kept: &mut Vec<Kept>,
) -> Reply {
    match called {
        Ok((pickle, _result)) => {
            if !futures.tasks.is_empty() {
                kept.push(Kept::new(engine, futures.tasks));
            }
            Reply::Value(pickle.as_bytes().to_vec())
        }
        Err(error) => raised(py, &error),
    }
}

/// Calls what a pickle says for the task that runs on a thread. A wait in it keeps no slot.
pub(super) fn call_for_task(
    worker: &mut Own,
    remote: &Remote,
    call: &Call,
    at_hand: &mut AtHand,
    what: &[u8],
) -> Reply {
    let process = remote.watch();
    let engine = Arc::clone(worker.engine());
    let called = || Python::attach(|py| call.call(py, &engine, at_hand, what));
    worker.lent(move || process.is_over(), called)
}

/// What a task has of the client's while it runs.
#[derive(Default)]
pub(super) struct AtHand {
    /// The tasks of futures in what it was answered.
    kept: Vec<Kept>,
    /// What it has taken out of queues (`Taken` in `for_processes.py`).
    taken: Option<Py<PyAny>>,
    /// It is what comes of one question, and the process has no answer yet.
    is_answer: bool,
}

impl AtHand {
    pub(super) fn of_answer() -> Self {
        Self { is_answer: true, ..Self::default() }
    }

    fn taken<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static TAKEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Ok(match &self.taken {
            Some(taken) => taken.bind(py).clone(),
            None => {
                let new = python(py, &TAKEN, MODULE, "Taken")?.call1((self.is_answer,))?;
                self.taken.insert(new.unbind()).bind(py).clone()
            }
        })
    }

    /// What was taken with one question is this task's from now on.
    pub(super) fn add(&mut self, other: Self) {
        let Some(new) = other.taken else { return };
        let _ = Python::try_attach(|py| {
            let new = new.into_bound(py);
            let add = || self.taken(py)?.call_method1(intern!(py, "add"), (new,));
            if let Err(error) = add() {
                error.write_unraisable(py, None);
            }
        });
    }

    /// The task has ended.
    pub(super) fn end(&mut self) {
        self.kept.clear();
        if let Some(taken) = self.taken.take() {
            // Destructors of users run here, and not where a thread takes the GIL next.
            let _ = Python::try_attach(|py| drop(taken.into_bound(py)));
        }
    }

    /// The process has died, and the task has not ended, or nobody wants the answer: what was taken goes back. Returns false if
    /// it is too late for that.
    pub(super) fn give_back(&mut self) -> bool {
        self.kept.clear();
        let Some(taken) = self.taken.take() else { return true };
        let given_back = Python::try_attach(|py| {
            let taken = taken.into_bound(py);
            is_true(py, taken.call_method0(intern!(py, "give_back")))
        });
        given_back.unwrap_or(true)
    }
}

/// Returns what a call has returned, which is true or false. True if it has raised, which is reported.
pub(super) fn is_true(py: Python<'_>, called: PyResult<Bound<'_, PyAny>>) -> bool {
    called.and_then(|value| value.is_truthy()).unwrap_or_else(|error| {
        error.write_unraisable(py, None);
        true
    })
}

/// What has come of a call, as a pickle and as it is.
type Called<'py> = (Bound<'py, PyBytes>, Bound<'py, PyAny>);

fn raised(py: Python<'_>, error: &PyErr) -> Reply {
    Reply::Raised(pack(error.value(py).as_any(), None))
}
