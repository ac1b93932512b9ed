//! The name that a task gets from its function, and the form in which a message shows a user's value.

use crate::interpreter::imports::python;
use pyo3::exceptions::PyTypeError;
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

/// Returns an argument that is true or false; `default` if it is None or not given. `name` is how an error names it.
pub(crate) fn flag(name: &str, value: Option<&Bound<'_, PyAny>>, default: bool) -> PyResult<bool> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(default) };
    value.extract().map_err(|_| {
        let given = short_repr(value);
        PyTypeError::new_err(format!("{name} must be True, False or None, not {given}"))
    })
}
