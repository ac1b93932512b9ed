//! What a task is made of on a cluster of worker processes: its call, its result and its error as bytes.
//!
//! The client's process reads none of them until a program asks. So a result goes from one process to another without
//! being unpickled in between, and the threads that talk to the processes need no Python.

use super::actor::State;
use super::job::PyJob;
use super::kept::Kept;
use crate::child::pickled::Named;
use crate::child::upstream;
pub(crate) use crate::interpreter::blobs::Packed;
use crate::interpreter::imports::python;
use crate::interpreter::raised::Raised;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::{Arc, OnceLock};

/// A result.
pub(crate) enum Value {
    /// An object of this process.
    Here(Py<PyAny>),
    /// A pickle.
    Packed(Packed),
    /// A pickle that names the futures of these tasks.
    Holding(Box<(Self, Kept)>),
    /// What stays in its process, the state of an actor or a result that cannot be pickled, and a pickle that stands for it.
    Stays(Box<(Self, Arc<dyn State>)>),
    /// For a task in another process: its number there, and its result once that has been asked for.
    Away(Box<(u64, OnceLock<Packed>)>),
}

/// A function as worker processes get it.
pub(crate) struct PackedFunction {
    /// What tasks name it by. Functions that may answer differently have different ones.
    pub(crate) digest: u128,
    pub(crate) packed: Packed,
    pub(crate) name: String,
    /// The tasks of the futures that it refers to. The calls keep them.
    pub(crate) futures: Vec<u64>,
}

/// Returns what tasks of the function of this name have in common for the engine, whichever process submits them.
pub(crate) fn kind(name: &[u8]) -> u64 {
    azolla::runtime::digest(name) as u64
}

/// A call as worker processes get it.
pub(crate) struct PackedCall {
    pub(crate) function: Arc<PackedFunction>,
    /// What the key is shown to begin with.
    pub(crate) named: Arc<str>,
    /// The pickle of a tuple: the positional arguments, and the keywords or None.
    pub(crate) arguments: Packed,
    /// The tasks whose results the arguments name by number.
    pub(crate) inputs: Box<[Arc<PyJob>]>,
    /// The actor whose method the task calls, or whose attribute it reads.
    pub(crate) actor: Option<Arc<PyJob>>,
    /// The tasks whose futures are elsewhere in the arguments, or in the notes.
    pub(crate) futures: Futures,
    /// What the task knows of itself there, if it is more than the text of its key.
    pub(crate) notes: Option<Notes>,
}

/// A pickle of a pair: the task's key, or None if that is a text, and its annotations, or None.
pub(crate) type Notes = Arc<[u8]>;

impl PackedCall {
    /// Returns how many bytes the call takes in a message, but for its function and its inputs.
    pub(crate) fn size_in_message(&self) -> usize {
        self.arguments.size_in_message() + self.notes().len()
    }

    /// Returns the notes as they travel.
    pub(crate) fn notes(&self) -> &[u8] {
        self.notes.as_deref().unwrap_or_default()
    }
}

/// The tasks whose futures are in a pickle.
pub(crate) enum Futures {
    /// They are kept here.
    Kept(#[expect(dead_code, reason = "it is kept")] Kept),
    /// A client in another process keeps them, once it has the pickle.
    Named(Named),
}

impl Futures {
    /// The numbers of those that another process keeps.
    pub(crate) fn named(&self) -> Vec<u64> {
        match self {
            Self::Kept(_) => Vec::new(),
            Self::Named(named) => named.tasks.clone(),
        }
    }
}

/// An exception from a worker process. Each task that lets it through reads it for itself.
#[derive(Clone)]
pub(crate) struct Unread {
    packed: Arc<Packed>,
    /// It, once a program has asked.
    raised: OnceLock<Raised>,
}

impl PyJob {
    /// Stores the result of a task that has run in a worker process, and drops its call. `futures` are in the result. If that
    /// stays in its process, `state` is there.
    pub(crate) fn finish_packed(
        &self,
        packed: Packed,
        futures: Option<Kept>,
        state: Option<Arc<dyn State>>,
    ) {
        self.forget_call();
        let mut value = Value::Packed(packed);
        if let Some(futures) = futures.filter(|futures| !futures.is_empty()) {
            value = Value::Holding(Box::new((value, futures)));
        }
        if let Some(state) = state {
            value = Value::Stays(Box::new((value, state)));
        }
        self.store(Ok(value));
    }
}

impl Value {
    /// Returns the result as an object. Each call unpickles a pickle anew, so what one caller does with the object, no
    /// other sees. User code may run, and raise anything.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Here(object) => Ok(object.bind(py).clone()),
            Self::Packed(packed) => packed.object(py),
            Self::Holding(holding) => holding.0.object(py),
            Self::Stays(stays) => stays.0.object(py),
            Self::Away(away) => {
                let (task, packed) = &**away;
                let packed = match packed.get() {
                    Some(packed) => packed,
                    None => {
                        let seen = upstream::see(py, *task)?;
                        packed.get_or_init(|| seen)
                    }
                };
                packed.object(py)
            }
        }
    }

    /// Returns the pickle, if it is one.
    pub(crate) fn packed(&self) -> Option<&Packed> {
        match self {
            Self::Here(_) => None,
            Self::Packed(packed) => Some(packed),
            Self::Holding(holding) => holding.0.packed(),
            Self::Stays(stays) => stays.0.packed(),
            Self::Away(away) => away.1.get(),
        }
    }

    /// Returns how many bytes the pickle takes, if it is one.
    pub(crate) fn packed_size(&self) -> Option<u64> {
        self.packed().map(Packed::size)
    }

    /// Returns the result, if it is an object of this process.
    pub(crate) fn here(&self) -> Option<&Py<PyAny>> {
        match self {
            Self::Here(object) => Some(object),
            Self::Packed(_) | Self::Holding(..) | Self::Stays(_) | Self::Away(..) => None,
        }
    }
}

impl Unread {
    pub(crate) fn new(packed: Packed) -> Self {
        Self { packed: Arc::new(packed), raised: OnceLock::new() }
    }

    /// Returns the exception as it travels.
    pub(crate) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// Returns the exception, with the traceback that it has from its own process. User code may run.
    pub(crate) fn raised(&self, py: Python<'_>) -> &Raised {
        static UNPACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if let Some(raised) = self.raised.get() {
            return raised;
        }
        let unpack = python(py, &UNPACK, "azolla._process.errors", "unpack");
        let exception = unpack.and_then(|unpack| unpack.call1((self.packed.pickle(py)?,)));
        let exception = exception.unwrap_or_else(|error| {
            let message = format!("the error of a task cannot be read: {error}");
            PyRuntimeError::new_err(message).into_value(py).into_bound(py).into_any()
        });
        let traceback = PyErr::from_value(exception.clone()).traceback(py);
        let read = Raised::new(exception.unbind(), traceback.map(Bound::unbind));
        // Another thread may have read it meanwhile: all callers get the same.
        self.raised.get_or_init(|| read)
    }

    /// Returns the exception if it was read, otherwise its bytes.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self.raised.get() {
            Some(raised) => raised.exception().exception.bind(py).clone(),
            None => self.packed.pickle(py).unwrap_or_else(|_| PyBytes::new(py, &[]).into_any()),
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.raised.get().map_or(Ok(()), |raised| raised.traverse(visit))
    }
}
