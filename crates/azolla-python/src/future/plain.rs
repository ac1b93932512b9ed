//! Containers that hold the most common values alone. They are copied at once.

use crate::interpreter::plain::is_plain;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// Returns what stands for a container that holds the most common values alone, if it is one: a list or a dictionary is
/// copied, if `copies`, and a tuple stands for itself. Most containers in large arguments are such ones.
pub(super) fn leaf<'py>(
    value: &Bound<'py, PyAny>,
    copies: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let own = || Some(value.clone());
    Ok(if let Ok(list) = value.cast_exact::<PyList>() {
        match list.iter().all(|item| is_plain(&item)) {
            true if copies => Some(list.get_slice(0, list.len()).into_any()),
            plain => plain.then(own).flatten(),
        }
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        tuple.iter_borrowed().all(|item| is_plain(&item)).then(own).flatten()
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        match dict.iter().all(|(key, item)| is_plain(&key) && is_plain(&item)) {
            true if copies => Some(dict.copy()?.into_any()),
            plain => plain.then(own).flatten(),
        }
    } else {
        None
    })
}
