//! What `submit` and `map` take besides the call, and how a priority and a number of retries are read.

use super::placing::Placing;
use crate::task::names::short_repr;
use azolla_core::Priority;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// What may be said of a task besides its call; the names are Dask's.
pub(crate) struct Options<'a, 'py> {
    pub(crate) key: Option<&'a Bound<'py, PyAny>>,
    /// What the keys begin with, in place of the function's name.
    pub(crate) prefix: Option<&'a Bound<'py, PyString>>,
    pub(crate) retries: Option<&'a Bound<'py, PyAny>>,
    pub(crate) priority: Option<&'a Bound<'py, PyAny>>,
    pub(crate) placing: Placing<'a, 'py>,
    pub(crate) pure: bool,
    /// The results are states that stay where they are, for their methods to be called.
    pub(crate) actor: bool,
}

pub(super) fn priority(priority: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Priority>> {
    let Some(priority) = priority.filter(|priority| !priority.is_none()) else { return Ok(None) };
    let wrong = || {
        let message = format!("priority must be a number or None, not {}", short_repr(priority));
        PyTypeError::new_err(message)
    };
    if priority.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    let number: f64 = priority.extract().map_err(|_| wrong())?;
    match Priority::new(number) {
        Some(priority) => Ok(Some(priority)),
        None => Err(PyValueError::new_err("priority must be a number, not NaN")),
    }
}

pub(super) fn retries(retries: Option<&Bound<'_, PyAny>>) -> PyResult<u32> {
    let Some(retries) = retries.filter(|retries| !retries.is_none()) else { return Ok(0) };
    retries.extract().map_err(|_| {
        let message =
            format!("retries must be a whole number, 0 or more, not {}", short_repr(retries));
        PyValueError::new_err(message)
    })
}
