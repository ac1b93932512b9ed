//! The name that a task gets from its function, and the form in which a message shows a user's value.

use crate::interpreter::imports::python;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// Returns the name for a function's tasks, the same that Dask uses.
pub(crate) fn function_name<'py>(function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    static NAME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = function.py();
    if let Some(name) = function.getattr_opt(intern!(py, "__name__"))?
        && let Ok(name) = name.cast_into_exact::<PyString>()
        && name != "<lambda>"
        && !function.is_instance_of::<PyType>()
    {
        return Ok(name);
    }
    Ok(python(py, &NAME, "azolla._base.names", "function_name")?.call1((function,))?.cast_into()?)
}

pub(crate) fn short_repr(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| String::from("?"), |text| text.to_string());
    if text.chars().count() <= 80 {
        text
    } else {
        text.chars().take(77).chain("...".chars()).collect()
    }
}
