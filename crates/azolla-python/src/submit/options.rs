//! The options that `submit` and `map` take besides the call, and how a priority and a number of retries are read.

use crate::task::names::{flag, short_repr};
use azolla_core::Priority;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The options of a task. The names are Dask's. An option that is given as None counts as not given.
pub(crate) struct Options<'py> {
    pub(crate) key: Option<Bound<'py, PyAny>>,
    pub(crate) workers: Option<Bound<'py, PyAny>>,
    pub(crate) resources: Option<Bound<'py, PyAny>>,
    pub(crate) retries: Option<Bound<'py, PyAny>>,
    pub(crate) priority: Option<Bound<'py, PyAny>>,
    pub(crate) allow_other_workers: Option<Bound<'py, PyAny>>,
    pub(crate) pure: bool,
    /// If true, the result is a state that stays where it is, and its methods are called there.
    pub(crate) actor: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            key: None,
            workers: None,
            resources: None,
            retries: None,
            priority: None,
            allow_other_workers: None,
            pure: true,
            actor: false,
        }
    }
}

impl<'py> Options<'py> {
    /// Reads a dictionary of options.
    pub(crate) fn of(given: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut options = Self::default();
        for (name, value) in given.iter() {
            let name = name.cast::<PyString>()?;
            if options.take(name, value)?.is_some() {
                let message = format!("a task has no option {name}");
                return Err(PyTypeError::new_err(message));
            }
        }
        Ok(options)
    }

    /// Returns an error if what can be read without a cluster is wrong.
    pub(crate) fn check(&self) -> PyResult<()> {
        priority(self.priority.as_ref())?;
        retries(self.retries.as_ref()).map(drop)
    }

    /// Takes an argument that `submit` was given by name. If it is no option but an argument of the function, returns
    /// its value.
    pub(super) fn take(
        &mut self,
        name: &Bound<'py, PyString>,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let given = |value: Bound<'py, PyAny>| Some(value).filter(|value| !value.is_none());
        // A name that is no proper UTF-8 is the name of no option.
        match name.to_cow().as_deref().unwrap_or_default() {
            "key" => self.key = given(value),
            "workers" => self.workers = given(value),
            "resources" => self.resources = given(value),
            "retries" => self.retries = given(value),
            "priority" => self.priority = given(value),
            "allow_other_workers" => self.allow_other_workers = given(value),
            "actor" | "actors" => self.actor |= value.is_truthy()?,
            "pure" => self.pure = flag("submit(): pure", Some(&value), true)?,
            // In Dask it ranks the work of several users of one cluster. Here there is one user.
            "fifo_timeout" => {}
            _ => return Ok(Some(value)),
        }
        Ok(None)
    }
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
    let number: f64 = priority.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(priority.py()) {
            too_large("priority", priority)
        } else {
            wrong()
        }
    })?;
    match Priority::new(number) {
        Some(priority) => Ok(Some(priority)),
        None => Err(PyValueError::new_err("priority must be a number, not NaN")),
    }
}

pub(super) fn retries(retries: Option<&Bound<'_, PyAny>>) -> PyResult<u32> {
    let Some(retries) = retries.filter(|retries| !retries.is_none()) else { return Ok(0) };
    retries.extract().map_err(|error: PyErr| {
        let is_too_large = error.is_instance_of::<PyOverflowError>(retries.py());
        if is_too_large && retries.gt(0).unwrap_or(false) {
            return too_large("retries", retries);
        }
        let message =
            format!("retries must be a whole number, 0 or more, not {}", short_repr(retries));
        PyValueError::new_err(message)
    })
}

fn too_large(name: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("{name} is too large: {}", short_repr(value)))
}
