//! From the bytes of a task to its call: the functions that a line has brought, and the loading of arguments.

use super::failures::{pack, unpack};
use super::input::Inputs;
use crate::interpreter::blobs::Packed;
use crate::interpreter::pickles::is_cached;
use azolla_process::message::{FUNCTION_BYTES, FUNCTIONS};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyFunction, PyModule, PyTuple, PyType};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A call as the loop makes it: the function, its positional arguments, and its keyword arguments if it has any.
pub(super) type Call<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// The functions that a line has brought, by their digests.
#[derive(Default)]
pub(super) struct Functions {
    known: HashMap<u128, Loaded>,
    /// The bytes that they take.
    bytes: u64,
}

/// A function, or the error that its loading has raised: each task that calls the function raises it.
enum Loaded {
    Function {
        function: Py<PyAny>,
        has_been_called: bool,
    },
    /// One that holds what a call may change, a partial, a bound method or an object, or that refers to futures. Each call gets
    /// it anew.
    Anew {
        function: Arc<Packed>,
        has_been_called: bool,
    },
    Error(Arc<[u8]>),
}

/// A function that a frame has brought.
pub(super) struct New {
    pub(super) digest: u128,
    pub(super) function: Packed,
    /// It refers to futures.
    pub(super) has_futures: bool,
}

/// What a task is to call.
pub(super) enum Found<'py> {
    Function {
        function: Bound<'py, PyAny>,
        /// No task on this line has called it.
        is_new: bool,
    },
    /// A function that each call gets anew.
    Anew {
        function: Arc<Packed>,
        /// It has not been loaded yet.
        is_new: bool,
    },
    Error(Arc<[u8]>),
    Unknown,
}

impl Functions {
    /// Makes room for new functions as the client does: when the table is full, all functions go. They are returned,
    /// since dropping them may run any code.
    #[must_use]
    pub(super) fn make_room(&mut self) -> Self {
        let is_full = self.known.len() >= FUNCTIONS || self.bytes >= FUNCTION_BYTES;
        if is_full { std::mem::take(self) } else { Self::default() }
    }

    /// Adds functions that are new to this line. The client sends none twice.
    pub(super) fn add(&mut self, functions: Self) {
        self.known.extend(functions.known);
        self.bytes += functions.bytes;
    }

    pub(super) fn find<'py>(&mut self, py: Python<'py>, digest: u128) -> Found<'py> {
        match self.known.get_mut(&digest) {
            Some(Loaded::Function { function, has_been_called }) => {
                let is_new = !std::mem::replace(has_been_called, true);
                Found::Function { function: function.bind(py).clone(), is_new }
            }
            Some(Loaded::Anew { function, has_been_called }) => {
                let is_new = !std::mem::replace(has_been_called, true);
                Found::Anew { function: Arc::clone(function), is_new }
            }
            Some(Loaded::Error(error)) => Found::Error(Arc::clone(error)),
            None => Found::Unknown,
        }
    }

    /// Loads functions. User code may run.
    pub(super) fn load(py: Python<'_>, functions: Vec<New>) -> Self {
        let anew = |function, has_been_called| {
            let function = Arc::new(function);
            Loaded::Anew { function, has_been_called }
        };
        let load = |function: Packed| match one_at_a_time(py, || function.object(py)) {
            Ok(object) if !is_shared(&object) => anew(function, true),
            Ok(function) => {
                Loaded::Function { function: function.unbind(), has_been_called: false }
            }
            Err(error) => Loaded::Error(pack(error.value(py), None).into()),
        };
        let bytes = functions.iter().map(|new| new.function.size()).sum();
        let known = functions.into_iter().map(|New { digest, function, has_futures }| {
            // Futures are found by the task at hand.
            let loaded = if has_futures { anew(function, false) } else { load(function) };
            (digest, loaded)
        });
        Self { known: known.collect(), bytes }
    }
}

/// Returns true for a function that calls share: one written in Python, a class, a function of a module written in C, or one
/// behind `functools.lru_cache`, whose cache is for all calls.
fn is_shared(function: &Bound<'_, PyAny>) -> bool {
    if let Ok(function) = function.cast_exact::<PyCFunction>() {
        let owner = function.getattr(intern!(function.py(), "__self__"));
        return owner.is_ok_and(|owner| owner.is_none() || owner.is_instance_of::<PyModule>());
    }
    function.is_exact_instance_of::<PyFunction>()
        || function.is_instance_of::<PyType>()
        || is_cached(function)
}

/// Returns the call of a task. The arguments are a pickled tuple: those by place, and those by name or `None`.
pub(super) fn call<'py>(
    py: Python<'py>,
    found: Found<'py>,
    arguments: &Packed,
    inputs: &mut Inputs,
    numbers: Vec<u32>,
) -> PyResult<Call<'py>> {
    let (function, is_new) = match found {
        Found::Function { function, is_new } => (function, is_new),
        Found::Anew { function, is_new: false } => (function.object(py)?, false),
        Found::Anew { function, .. } => (one_at_a_time(py, || function.object(py))?, true),
        Found::Error(error) => return Err(unpack(py, &error)),
        Found::Unknown => return Err(PyRuntimeError::new_err("the task's function has not come")),
    };
    // The arguments of calls of one function are mostly of the same classes.
    let load = || inputs.loads(py, arguments, numbers);
    let both = if is_new { one_at_a_time(py, load)? } else { load()? };
    let (args, kwargs) = both.extract::<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)>()?;
    Ok((function, args, kwargs))
}

/// True while a thread is loading in [`one_at_a_time`].
static LOADING: Mutex<bool> = Mutex::new(false);
static LOADED: Condvar = Condvar::new();

/// Loads what may import modules, while other threads of this process do not. Of two threads that import a package and
/// a part of it at the same time, one may see a half-made module: so Python avoids a deadlock.
///
/// An import may take long, or wait for another thread. So a thread waits for its turn for a second at most.
fn one_at_a_time<T>(py: Python<'_>, load: impl FnOnce() -> T) -> T {
    let has_turn = py.detach(|| {
        let loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = LOADED.wait_timeout_while(loading, Duration::from_secs(1), |loading| *loading);
        let (mut loading, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *loading, true)
    });
    let loaded = load();
    if has_turn {
        *LOADING.lock().unwrap_or_else(PoisonError::into_inner) = false;
        LOADED.notify_one();
    }
    loaded
}
