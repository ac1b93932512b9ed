//! Futures among a call's arguments. They are found when the call is submitted, and replaced by their results when it
//! runs.
//!
//! `future/nested.rs` says which containers are searched.

use crate::future::handle::Future;
use crate::future::nested::{Container, DEPTH, container, members, names_of, replace_at};
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;

/// Adds to `inputs` the jobs of the futures in `value`.
pub(crate) fn find(
    value: &Bound<'_, PyAny>,
    shared: &Shared,
    inputs: &mut Vec<Arc<PyJob>>,
) -> PyResult<()> {
    find_at(value, shared, inputs, DEPTH)
}

/// Adds to `inputs` the jobs of the futures among the arguments of a call. The arguments come after the function.
pub(crate) fn find_in_call(
    call: &Bound<'_, PyTuple>,
    shared: &Shared,
    inputs: &mut Vec<Arc<PyJob>>,
) -> PyResult<()> {
    call.iter_borrowed().skip(1).try_for_each(|item| find_at(&item, shared, inputs, DEPTH - 1))
}

fn find_at(
    value: &Bound<'_, PyAny>,
    shared: &Shared,
    inputs: &mut Vec<Arc<PyJob>>,
    depth: u32,
) -> PyResult<()> {
    if let Ok(future) = value.cast::<Future>() {
        inputs.push(input(future, shared)?);
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let mut each = |item: Bound<'_, PyAny>| find_at(&item, shared, inputs, depth - 1);
    match container(value)? {
        Container::None => Ok(()),
        Container::List(list) => list.iter().try_for_each(&mut each),
        Container::Tuple(tuple) => tuple.iter().try_for_each(&mut each),
        Container::Set(set) => members(set)?.into_iter().try_for_each(&mut each),
        Container::FrozenSet(set) => members(set)?.into_iter().try_for_each(&mut each),
        Container::Dict(dict) => dict.values().iter().try_for_each(&mut each),
        Container::Dataclass(fields) => {
            for name in names_of(&fields)? {
                if let Ok(item) = value.getattr(name.cast()?) {
                    each(item)?;
                }
            }
            Ok(())
        }
    }
}

/// Returns the job of a future. Returns an error if the future cannot be an input of a task of this cluster.
fn input(future: &Bound<'_, Future>, shared: &Shared) -> PyResult<Arc<PyJob>> {
    let py = future.py();
    let future = future.get();
    let job = future.job(py)?;
    if !std::ptr::eq(Arc::as_ptr(&future.shared()?.engine), Arc::as_ptr(&shared.engine)) {
        let owner = future.shared()?;
        owner.check_open(py, &format!("the input {}", job.key_text(py)))?;
        return Err(PyValueError::new_err(format!(
            "the input {} belongs to another cluster: a task's inputs must be futures of the cluster that it is \
             submitted to (gather it, or scatter its result)",
            job.key_text(py)
        )));
    }
    Ok(job)
}

/// Returns `value` with its futures replaced by their results; `None` if it holds none.
pub(crate) fn replace<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut result = |future: &Bound<'py, Future>| future.get().input(future.py()).map(Some);
    replace_at(value, &mut result, DEPTH)
}

/// Returns a call with the futures among its arguments replaced by their results, if it has some. `first` goes before
/// the arguments.
pub(crate) fn replace_in_call<'py>(
    call: &Bound<'py, PyTuple>,
    first: Option<Bound<'py, PyAny>>,
    has_futures: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = call.py();
    let mut result = |future: &Bound<'py, Future>| future.get().input(py).map(Some);
    let mut items = Vec::with_capacity(call.len() + usize::from(first.is_some()));
    items.push(call.get_item(0)?);
    items.extend(first);
    for item in call.iter_borrowed().skip(1) {
        let new = match has_futures {
            true => replace_at(&item, &mut result, DEPTH - 1)?,
            false => None,
        };
        items.push(new.unwrap_or_else(|| item.to_owned()));
    }
    PyTuple::new(py, items)
}
