//! Imports from Python: the package's own exceptions, and functions and classes that the extension looks up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Makes one of the package's own exceptions, or one of Python's.
pub(crate) fn error(py: Python<'_>, name: &str, message: &str) -> PyErr {
    let find = |module| py.import(module).and_then(|module| module.getattr(name));
    let class = find("azolla._base.errors").or_else(|_| find("builtins"));
    match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, message.to_owned()),
        Err(error) => error,
    }
}

/// Returns a function or class of a Python module. The first call imports it.
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
