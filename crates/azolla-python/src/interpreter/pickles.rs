//! Objects as bytes, and back, for tasks that run in another process.
//!
//! `pickle` comes first: it is fast. `cloudpickle` takes what it cannot, say a lambda, and what belongs to the program's
//! main module: a worker process has another main module, so such a class or function must travel by value.

use super::imports::python;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// PEP 574.
const PROTOCOL: u8 = 5;

/// Returns an object as bytes.
///
/// # Errors
/// What `cloudpickle` raises if it cannot either. User code may run, and raise anything.
pub(crate) fn dumps<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    by_name(object)?.map_or_else(|| by_value(object), Ok)
}

/// Returns an object as bytes that name its classes and functions. `None`: another process could not read them.
///
/// # Errors
/// What is no `Exception`, say `KeyboardInterrupt`.
pub(crate) fn by_name<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let pickled = python(py, &DUMPS, "pickle", "dumps")?.call1((object, PROTOCOL));
    match pickled.and_then(|bytes| Ok(bytes.cast_into::<PyBytes>()?)) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !names_main(bytes.as_bytes()))),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns an object as bytes that hold the functions and classes of the main module.
///
/// # Errors
/// As for [`dumps`].
pub(crate) fn by_value<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let dumps = python(object.py(), &DUMPS, "cloudpickle", "dumps")?;
    Ok(dumps.call1((object, PROTOCOL))?.cast_into()?)
}

/// Returns true if a pickle may name something in the main module.
fn names_main(pickle: &[u8]) -> bool {
    const MAIN: &[u8] = b"__main__";
    memchr::memmem::find(pickle, MAIN).is_some()
}

/// Returns the object of these bytes. User code may run, and raise anything.
pub(crate) fn loads<'py>(py: Python<'py>, pickle: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &LOADS, "pickle", "loads")?.call1((PyBytes::new(py, pickle),))
}
