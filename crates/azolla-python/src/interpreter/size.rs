//! How many bytes a result takes, for the types that can tell it without running code of users.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet,
    PyString, PyTuple,
};

/// How many members of a collection are looked at, as a sample of them all. The index says how many levels below the
/// collection may still be looked at.
const MEMBERS: [u64; 4] = [2, 4, 8, 32];

/// Returns the bytes that a value takes. Returns None for a type whose objects may own anything, or would have to run
/// code to tell.
pub(crate) fn bytes_of(value: &Bound<'_, PyAny>) -> Option<u64> {
    within(value, MEMBERS.len())
}

fn within(value: &Bound<'_, PyAny>, depth: usize) -> Option<u64> {
    // Exactly these types count. A class derived from one of them may hold more, and may tell its size in its own way.
    let plain = value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyByteArray>()
        || value.is_exact_instance_of::<PyComplex>();
    if plain {
        return own(value);
    }
    let members = if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        sampled(tuple.len(), tuple.iter(), depth)
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        sampled(list.len(), list.iter(), depth)
    } else if value.is_exact_instance_of::<PySet>() || value.is_exact_instance_of::<PyFrozenSet>() {
        sampled(value.len().ok()?, value.try_iter().ok()?.flatten(), depth)
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        let pairs = dict.iter().flat_map(|(key, value)| [key, value]);
        sampled(2 * dict.len(), pairs, depth)
    } else {
        return array(value);
    };
    Some(own(value)? + members?)
}

/// Returns the mean size of the members that are looked at, times the number of all members.
fn sampled<'py>(
    len: usize,
    members: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
) -> Option<u64> {
    let depth = depth.checked_sub(1)?;
    let (mut looked_at, mut bytes) = (0, 0);
    for member in members.take(MEMBERS[depth] as usize) {
        bytes += within(&member, depth)?;
        looked_at += 1;
    }
    Some((bytes * len as u64).checked_div(looked_at).unwrap_or(0))
}

/// Returns what the interpreter says about an object of one of its own types.
fn own(value: &Bound<'_, PyAny>) -> Option<u64> {
    value.call_method0(intern!(value.py(), "__sizeof__")).ok()?.extract().ok()
}

/// Returns the bytes that a NumPy array holds, whether it or another object owns them.
fn array(value: &Bound<'_, PyAny>) -> Option<u64> {
    static ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let array = match ARRAY.get(py) {
        Some(array) => array,
        None => {
            // NumPy is not imported for this: if no code has imported it, there are no arrays.
            let modules =
                py.import(intern!(py, "sys")).ok()?.getattr(intern!(py, "modules")).ok()?;
            let found = modules.get_item(intern!(py, "numpy")).ok()?;
            let found = found.getattr(intern!(py, "ndarray")).ok()?;
            ARRAY.get_or_init(py, || found.unbind())
        }
    };
    if !value.get_type().is(array) {
        return None;
    }
    let object =
        value.getattr(intern!(py, "dtype")).ok()?.getattr(intern!(py, "hasobject")).ok()?;
    if object.extract::<bool>().ok()? {
        return None;
    }
    Some(own(value)?.max(value.getattr(intern!(py, "nbytes")).ok()?.extract().ok()?))
}
