//! How a call becomes bytes, on a cluster of worker processes.
//!
//! A call is pickled when it is submitted, so it is what it was then, and what cannot be pickled is an error there.
//!
//! A function is sent once to each thread of a process, whatever number of tasks call it. One that other processes can
//! import goes by its name, which takes as long as to look it up. One that they cannot goes by value, a copy of all that
//! it depends on. That is made once and kept under its token (`token/function.rs`): when a global that it reads is
//! another one, it is another function.

use super::annotations;
use super::one::future_digest;
use crate::child::input::Input;
use crate::child::pickled::{Named, collecting};
use crate::future::handle::Future;
use crate::future::nested::{Function, Walk};
use crate::interpreter::blobs::{Made, Packed};
use crate::interpreter::pickles::{Pickled, by_name, by_value, is_cached};
use crate::session::away::unexpected;
use crate::session::sent::Sent;
use crate::session::shared::Cluster;
use crate::task::job::PyJob;
use crate::task::kept::Kept;
use crate::task::names::function_name;
use crate::task::packed::{Futures, PackedCall, PackedFunction};
use crate::token::FunctionToken;
use azolla::runtime::digest;
use azolla_process::place::Store;
use pyo3::exceptions::{PyException, PyMemoryError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction, PyTuple};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Returns a call as worker processes get it. `call` is the function and its arguments, as they are at the submit.
///
/// # Errors
/// What the pickling of the function or of an argument raises.
pub(super) fn packed<'py>(
    cluster: &Cluster,
    function: Arc<PackedFunction>,
    named: Arc<str>,
    notes: annotations::Packed,
    call: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
    inputs: &[Arc<PyJob>],
) -> PyResult<PackedCall> {
    let py = call.py();
    let store = &cluster.sent.as_ref().ok_or_else(unexpected)?.store;
    let (call, kwargs) = match inputs.is_empty() {
        true => (call.clone(), kwargs.cloned()),
        false => with_numbers(call, kwargs, inputs)?,
    };
    let arguments = call.get_slice(1, call.len());
    let whole = (arguments, kwargs).into_pyobject(py)?;
    let (arguments, mut futures) = collecting(|| Packed::of(whole.as_any(), &**store));
    futures.tasks.extend(&function.futures);
    let arguments = arguments.map_err(|error| {
        noted(py, error, "its arguments", || which("in_arguments", whole.as_any()))
    })?;
    let notes = notes.map(|(notes, more)| {
        futures.add(more);
        notes
    });
    let futures = match cluster.is_away() {
        true => Futures::Named(futures),
        false => Futures::Kept(Kept::new(&cluster.engine, futures.tasks)),
    };
    let inputs = inputs.into();
    Ok(PackedCall { function, named, arguments, inputs, actor: None, futures, notes })
}

type Whole<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Returns the call with the numbers of the inputs in place of the futures.
fn with_numbers<'py>(
    call: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
    inputs: &[Arc<PyJob>],
) -> PyResult<Whole<'py>> {
    let py = call.py();
    let numbers = inputs.iter().zip(0..).map(|(job, number)| (Arc::as_ptr(job), number));
    let numbers: FxHashMap<_, _> = numbers.collect();
    let mut number = |future: &Bound<'py, Future>| {
        let job = future.get().job(py)?;
        Ok(match numbers.get(&Arc::as_ptr(&job)) {
            Some(number) => Some(Bound::new(py, Input::new(*number))?.into_any()),
            None => Some(future.clone().into_any()),
        })
    };
    let mut walk = Walk::for_run(&mut number, false);
    let new_call = walk.call(call, Function::Stays)?;
    let new_kwargs = walk.keywords(kwargs)?;
    Ok((new_call.unwrap_or_else(|| call.clone()), new_kwargs.or_else(|| kwargs.cloned())))
}

/// Returns a function as worker processes get it.
///
/// # Errors
/// What its pickling raises.
pub(super) fn packed_function(
    processes: &Sent,
    function: &Bound<'_, PyAny>,
) -> PyResult<Arc<PackedFunction>> {
    let py = function.py();
    let made = |(pickled, futures): (PyResult<Pickled<'_>>, Named), named_by: Option<u128>| {
        let pickled = pickled?;
        let digest = named_by.unwrap_or_else(|| digest_of(&pickled));
        let packed = Made::from(pickled, &*processes.store)?.keep();
        let name = function_name(function)?.to_string_lossy().into_owned();
        Ok(Arc::new(PackedFunction { digest, packed, name, futures: futures.tasks }))
    };
    let packed = (|| {
        let (pickle, futures) = collecting(|| by_name(function));
        if let Some(pickle) = pickle? {
            return made((Ok(pickle), futures), None);
        }
        let by_value = || collecting(|| by_value(function));
        // Others may hold what changes from one call to the next.
        if !function.is_exact_instance_of::<PyFunction>() && !is_cached(function) {
            return made(by_value(), None);
        }
        let (token, _) = FunctionToken::of(py, function, &future_digest)?;
        let Some(token) = token.map(FunctionToken::digest) else {
            return made(by_value(), None);
        };
        if let Some(known) = processes.function(token) {
            return Ok(known);
        }
        let new = made(by_value(), Some(token))?;
        // The key of a future may name another task later.
        if new.futures.is_empty() {
            processes.keep_function(token, &new);
        }
        Ok(new)
    })();
    packed.map_err(|error| noted(py, error, "the function", || which("in_function", function)))
}

/// Returns one of the functions by which worker processes make actors and call them (`azolla/_process/actors.py`). Tasks
/// show `name`.
pub(super) fn own_function(
    function: &Bound<'_, PyAny>,
    name: String,
) -> PyResult<Arc<PackedFunction>> {
    let pickled = by_name(function)?.ok_or_else(unexpected)?;
    let parts = [digest_of(&pickled), digest(name.as_bytes())];
    let digest = digest(&parts.map(u128::to_ne_bytes).concat());
    let packed = Packed::Small(pickled.pickle.as_bytes().into());
    Ok(Arc::new(PackedFunction { digest, packed, name, futures: Vec::new() }))
}

fn digest_of(pickled: &Pickled<'_>) -> u128 {
    let mut digests = pickled.bytes().map(digest);
    let first = digests.next().unwrap_or_default();
    digests.fold(first, |before, next| digest(&[before, next].map(u128::to_ne_bytes).concat()))
}

/// Notes on an error what could not be pickled, and why it is to be. `look` finds out which part of it.
pub(super) fn noted(
    py: Python<'_>,
    error: PyErr,
    what: &str,
    look: impl FnOnce() -> PyResult<Option<String>>,
) -> PyErr {
    let found = match error.is_instance_of::<PyException>(py) {
        true if !error.is_instance_of::<PyMemoryError>(py) => look().unwrap_or_default(),
        _ => None,
    };
    let part = found.map(|part| format!(", and {part}")).unwrap_or_default();
    noted_for(py, error, what, &format!("send the task to a worker process{part}"))
}

/// Pickles what is scattered.
///
/// # Errors
/// As [`Packed::of`].
pub(crate) fn scattered(value: &Bound<'_, PyAny>, store: &dyn Store) -> PyResult<Packed> {
    let noted =
        |error| noted_for(value.py(), error, "what is scattered", "send it to worker processes");
    Packed::of(value, store).map_err(noted)
}

/// Notes on an error that this could not be pickled, and what for.
pub(crate) fn noted_for(py: Python<'_>, error: PyErr, what: &str, purpose: &str) -> PyErr {
    let note =
        format!("azolla pickles {what} to {purpose}; with processes=False nothing is pickled");
    // A class may refuse notes. Its error is raised all the same.
    let _ = error.value(py).call_method1("add_note", (note,));
    error
}

/// Calls a function of `azolla._process.naming`, which looks for what cannot be pickled.
fn which(function: &str, thing: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let naming = thing.py().import("azolla._process.naming")?;
    naming.call_method1(function, (thing,))?.extract()
}
