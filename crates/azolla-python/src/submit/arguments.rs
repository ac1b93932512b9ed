//! Futures among a call's arguments: found when it is submitted, replaced by their results when it
//! runs.
//!
//! Looked into are lists, tuples, named tuples, sets, frozensets, the values of dictionaries and
//! the fields of dataclasses, nested up to a depth of 100. What holds no future is passed as it is.

use crate::future::methods::Future;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};
use std::sync::Arc;

const DEPTH: u32 = 100;

/// Adds to `inputs` the jobs of the futures in `value`.
pub(crate) fn find(
    value: &Bound<'_, PyAny>,
    shared: &Shared,
    inputs: &mut Vec<Arc<PyJob>>,
) -> PyResult<()> {
    find_at(value, shared, inputs, DEPTH)
}

/// Adds to `inputs` the jobs of the futures among the arguments of a call: what comes after the function.
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
            for name in fields.keys() {
                if let Ok(item) = value.getattr(name.cast()?) {
                    each(item)?;
                }
            }
            Ok(())
        }
    }
}

/// The job of a future that may be an input here.
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

/// `value` with its futures replaced by their results; `None` if there are none.
pub(crate) fn replace<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut result = |future: &Bound<'py, Future>| future.get().input(future.py()).map(Some);
    replace_at(value, &mut result, DEPTH)
}

/// A call with the futures among its arguments replaced by their results, if it has some. `first` goes
/// before the arguments.
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

/// What a future is replaced by; `None` drops it from lists, and leaves None elsewhere.
pub(crate) type Replace<'a, 'py> =
    dyn FnMut(&Bound<'py, Future>) -> PyResult<Option<Bound<'py, PyAny>>> + 'a;

/// As [`replace`], with whatever `by` says.
pub(crate) fn replace_by<'py>(
    value: &Bound<'py, PyAny>,
    by: &mut Replace<'_, 'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    replace_at(value, by, DEPTH)
}

fn replace_at<'py>(
    value: &Bound<'py, PyAny>,
    by: &mut Replace<'_, 'py>,
    depth: u32,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    if let Ok(future) = value.cast::<Future>() {
        return Ok(Some(by(future)?.unwrap_or_else(|| py.None().into_bound(py))));
    }
    if depth == 0 {
        return Ok(None);
    }
    match container(value)? {
        Container::None => Ok(None),
        Container::List(list) => {
            let mut changed = false;
            let mut items = Vec::with_capacity(list.len());
            for item in list.iter() {
                if let Ok(future) = item.cast::<Future>() {
                    changed = true;
                    items.extend(by(future)?);
                } else {
                    let new = replace_at(&item, by, depth - 1)?;
                    changed |= new.is_some();
                    items.push(new.unwrap_or(item));
                }
            }
            if changed { Ok(Some(PyList::new(py, items)?.into_any())) } else { Ok(None) }
        }
        Container::Tuple(tuple) => {
            let Some(items) = each(tuple.iter(), by, depth)? else { return Ok(None) };
            let new = PyTuple::new(py, items)?.into_any();
            if value.is_exact_instance_of::<PyTuple>() {
                return Ok(Some(new));
            }
            value.get_type().call_method1(intern!(py, "_make"), (new,)).map(Some)
        }
        Container::Set(set) => {
            let Some(items) = each(members(set)?.into_iter(), by, depth)? else { return Ok(None) };
            Ok(Some(PySet::new(py, items)?.into_any()))
        }
        Container::FrozenSet(set) => {
            let Some(items) = each(members(set)?.into_iter(), by, depth)? else { return Ok(None) };
            Ok(Some(PyFrozenSet::new(py, items)?.into_any()))
        }
        Container::Dict(dict) => {
            let Some(values) = each(dict.values().iter(), by, depth)? else { return Ok(None) };
            let new = PyDict::new(py);
            for (key, value) in dict.keys().iter().zip(values) {
                new.set_item(key, value)?;
            }
            Ok(Some(new.into_any()))
        }
        Container::Dataclass(fields) => {
            let mut copy = None;
            for name in fields.keys() {
                let Ok(item) = value.getattr(name.cast()?) else { continue };
                let Some(new) = replace_at(&item, by, depth - 1)? else { continue };
                if copy.is_none() {
                    copy = Some(py.import("copy")?.call_method1("copy", (value,))?);
                }
                // Past the class's own `__setattr__`, which refuses where it is frozen.
                let object = py.get_type::<PyAny>();
                object.call_method1(intern!(py, "__setattr__"), (copy.as_ref(), name, new))?;
            }
            Ok(copy)
        }
    }
}

/// All at once: another thread may change the set while they are gone through.
fn members<'py>(set: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    set.try_iter()?.collect()
}

/// The items with their futures replaced; `None` if there were none.
fn each<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    by: &mut Replace<'_, 'py>,
    depth: u32,
) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    let mut changed = false;
    let mut new_items = Vec::new();
    for item in items {
        let new = replace_at(&item, by, depth - 1)?;
        changed |= new.is_some();
        new_items.push(new.unwrap_or(item));
    }
    Ok(changed.then_some(new_items))
}

enum Container<'a, 'py> {
    None,
    List(&'a Bound<'py, PyList>),
    Tuple(&'a Bound<'py, PyTuple>),
    Set(&'a Bound<'py, PySet>),
    FrozenSet(&'a Bound<'py, PyFrozenSet>),
    Dict(&'a Bound<'py, PyDict>),
    /// By its `__dataclass_fields__`.
    Dataclass(Bound<'py, PyDict>),
}

fn container<'a, 'py>(value: &'a Bound<'py, PyAny>) -> PyResult<Container<'a, 'py>> {
    let py = value.py();
    if is_plain(value) {
        return Ok(Container::None);
    }
    Ok(if let Ok(list) = value.cast_exact::<PyList>() {
        Container::List(list)
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        if value.is_exact_instance_of::<PyTuple>() || value.hasattr(intern!(py, "_make"))? {
            Container::Tuple(tuple)
        } else {
            Container::None
        }
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        Container::Dict(dict)
    } else if let Ok(set) = value.cast_exact::<PySet>() {
        Container::Set(set)
    } else if let Ok(set) = value.cast_exact::<PyFrozenSet>() {
        Container::FrozenSet(set)
    } else {
        match value.get_type().getattr_opt(intern!(py, "__dataclass_fields__"))? {
            Some(fields) if fields.is_instance_of::<PyDict>() => {
                Container::Dataclass(fields.cast_into::<PyDict>()?)
            }
            _ => Container::None,
        }
    })
}

/// Whether this is one of the most common values, which hold nothing. Asking any other whether it is
/// a dataclass takes as long as all the rest.
fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyBool>()
}
