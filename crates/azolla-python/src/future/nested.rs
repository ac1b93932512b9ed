//! Finds futures in nested containers, and replaces them.
//!
//! It looks into lists, tuples, named tuples, sets, frozensets, the values of dictionaries and the fields of
//! dataclasses, down to a depth of 100. A value that holds no future stays the same object.

use super::handle::Future;
use crate::interpreter::imports::python;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

pub(crate) const DEPTH: u32 = 100;

/// Says what replaces a future. `None` drops the future from a list, and puts None in its place elsewhere.
pub(crate) type Replace<'a, 'py> =
    dyn FnMut(&Bound<'py, Future>) -> PyResult<Option<Bound<'py, PyAny>>> + 'a;

/// Returns `value` with its futures replaced as `by` says; `None` if it holds none.
pub(crate) fn replace_by<'py>(
    value: &Bound<'py, PyAny>,
    by: &mut Replace<'_, 'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    replace_at(value, by, DEPTH)
}

pub(crate) fn replace_at<'py>(
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
            for name in names_of(&fields)? {
                let Ok(item) = value.getattr(name.cast()?) else { continue };
                let Some(new) = replace_at(&item, by, depth - 1)? else { continue };
                if copy.is_none() {
                    copy = Some(py.import("copy")?.call_method1("copy", (value,))?);
                }
                // This goes around the class's own `__setattr__`, which refuses if the dataclass is frozen.
                let object = py.get_type::<PyAny>();
                object.call_method1(intern!(py, "__setattr__"), (copy.as_ref(), name, new))?;
            }
            Ok(copy)
        }
    }
}

/// Copies the members in one step: another thread may change the set during a walk.
pub(crate) fn members<'py>(set: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    set.try_iter()?.collect()
}

/// Returns the items with their futures replaced; `None` if there were none.
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

/// Returns the names of a dataclass's fields. Its `__dataclass_fields__` also lists class variables and arguments of
/// `__init__` alone; neither is part of an instance.
pub(crate) fn names_of<'py>(fields: &Bound<'py, PyDict>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    static FIELD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = fields.py();
    let of_instances = python(py, &FIELD, "dataclasses", "_FIELD")?;
    let mut names = Vec::with_capacity(fields.len());
    for (name, field) in fields.iter() {
        let kind = field.getattr_opt(intern!(py, "_field_type"))?;
        if kind.is_none_or(|kind| kind.is(of_instances)) {
            names.push(name);
        }
    }
    Ok(names)
}

pub(crate) enum Container<'a, 'py> {
    None,
    List(&'a Bound<'py, PyList>),
    Tuple(&'a Bound<'py, PyTuple>),
    Set(&'a Bound<'py, PySet>),
    FrozenSet(&'a Bound<'py, PyFrozenSet>),
    Dict(&'a Bound<'py, PyDict>),
    /// A dataclass instance, with its `__dataclass_fields__`.
    Dataclass(Bound<'py, PyDict>),
}

pub(crate) fn container<'a, 'py>(value: &'a Bound<'py, PyAny>) -> PyResult<Container<'a, 'py>> {
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

/// Returns true for the most common types, which hold no futures. It spares them the question whether they are
/// dataclasses, which takes as long as all the other checks together.
fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyBool>()
}
