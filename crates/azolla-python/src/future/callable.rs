//! What a call's function holds itself: the arguments of a `functools.partial`, and the object of a bound method.
//!
//! They are copied as a call's own arguments are. Futures in them are passed as they are, as in Dask.

use super::container::{Change, Kind, Part, Place, derives};
use crate::interpreter::imports::python;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

static PARTIAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static METHODS: [(PyOnceLock<Py<PyAny>>, &str); 3] = [
    (PyOnceLock::new(), "MethodType"),
    (PyOnceLock::new(), "BuiltinMethodType"),
    (PyOnceLock::new(), "MethodWrapperType"),
];

pub(crate) fn is_partial(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(derives(value, python(value.py(), &PARTIAL, "functools", "partial")?))
}

/// Returns true if this is a method that is bound to a container.
pub(crate) fn is_bound(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    for (cell, name) in &METHODS {
        if value.get_type().is(python(py, cell, "types", name)?) {
            return Ok(Kind::of(&value.getattr(intern!(py, "__self__"))?)?.is_some());
        }
    }
    Ok(false)
}

/// Returns true if this is a function written in Python, as most are, which holds nothing that is copied.
pub(crate) fn is_function(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(value.get_type().is(python(value.py(), &FUNCTION, "types", "FunctionType")?))
}

/// The function of a partial, its arguments, its keywords and its attributes.
type State<'py> =
    (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyDict>>);

fn state<'py>(partial: &Bound<'py, PyAny>) -> PyResult<State<'py>> {
    let py = partial.py();
    let base = python(py, &PARTIAL, "functools", "partial")?;
    let reduced = base.call_method1(intern!(py, "__reduce__"), (partial,))?;
    reduced.get_item(2)?.extract()
}

/// Returns what is in a partial and may be copied.
pub(super) fn parts<'py>(partial: &Bound<'py, PyAny>) -> PyResult<Vec<Part<'py>>> {
    let (function, arguments, keywords, _) = state(partial)?;
    let mut parts = vec![(Place::Index(0), function), (Place::Index(1), arguments)];
    if !keywords.is_empty()? {
        parts.push((Place::Index(2), keywords));
    }
    Ok(parts)
}

/// Returns a partial of the same class with the changes.
pub(super) fn made<'py>(
    like: &Bound<'py, PyAny>,
    changes: Vec<Change<'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = like.py();
    let (function, arguments, keywords, attributes) = state(like)?;
    let mut parts = [function, arguments, keywords];
    for (place, _, new) in changes {
        if let (Place::Index(index), Some(new)) = (place, new) {
            parts[index] = new;
        }
    }
    let [function, arguments, keywords] = parts;
    let attributes = attributes.map(|attributes| attributes.copy()).transpose()?;
    let base = python(py, &PARTIAL, "functools", "partial")?;
    let made = base.call_method1(intern!(py, "__new__"), (like.get_type(), &function))?;
    let state = (function, arguments, keywords, attributes);
    base.call_method1(intern!(py, "__setstate__"), (&made, state))?;
    Ok(made)
}

/// Returns the same method of another object.
pub(super) fn bound_to<'py>(
    method: &Bound<'py, PyAny>,
    object: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = method.py();
    match method.getattr_opt(intern!(py, "__func__"))? {
        Some(function) => method.get_type().call1(PyTuple::new(py, [function, object])?),
        None => {
            let name = method.getattr(intern!(py, "__name__"))?;
            object.getattr(name.cast_into::<pyo3::types::PyString>()?)
        }
    }
}
