//! What the extension imports from Python: the package's own exceptions, and functions and classes
//! that it looks up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// One of the package's own exceptions.
pub(crate) fn error(py: Python<'_>, name: &str, message: &str) -> PyErr {
    let class = py.import("azolla._base.errors").and_then(|module| module.getattr(name));
    match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, message.to_owned()),
        Err(error) => error,
    }
}

/// A function or class of the package's Python half, imported once.
pub(crate) fn python<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let object =
        cell.get_or_try_init(py, || Ok::<_, PyErr>(py.import(module)?.getattr(name)?.unbind()))?;
    Ok(object.bind(py))
}
