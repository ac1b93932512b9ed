//! `map`: one task for each item.

use crate::future::Future;
use crate::shared::Shared;
use crate::submit::{Common, Options, Prepared};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};
use std::sync::Arc;

/// How many tasks are prepared before they are submitted: enough to make the engine's lock cheap,
/// few enough for the first to begin early.
const PORTION: usize = 256;

pub(crate) fn map<'py>(
    shared: &Arc<Shared>,
    function: &Bound<'py, PyAny>,
    iterables: &Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
    options: &Options<'_, 'py>,
) -> PyResult<Vec<Future>> {
    let py = function.py();
    let keys = Keys::new(options.key)?;
    let options = Options { key: keys.each(), prefix: keys.prefix(), ..*options };
    let common = Common::new(shared, "map", function, &options)?;
    if iterables.is_empty() {
        return Err(PyTypeError::new_err("map() takes at least one iterable after the function"));
    }
    let mut zipped = Zipped::new(iterables)?;
    // What an object says of its length may be anything.
    let mut futures = Vec::with_capacity(zipped.size_hint().min(1 << 16));
    let mut portion: Vec<Prepared> = Vec::new();
    let mut number = 0;
    loop {
        let next = zipped.next_args(py)?;
        let ended = next.is_none();
        if let Some(args) = next {
            let key = keys.at(number)?;
            number += 1;
            // Every task has its own keywords: one that changes them changes nobody else's.
            let kwargs = kwargs.as_ref().map(|kwargs| kwargs.copy()).transpose()?;
            portion.push(common.task(args, kwargs, key.as_ref())?);
        }
        if ended || portion.len() == PORTION {
            common.submit_all(&mut portion);
            let jobs = portion.drain(..).map(|prepared| prepared.job);
            futures.extend(jobs.map(|job| Future::new(py, job, Arc::clone(shared))));
        }
        if ended {
            keys.check_length(number)?;
            return Ok(futures);
        }
    }
}

/// The iterables side by side, as long as the shortest.
struct Zipped<'py> {
    iterators: Vec<Bound<'py, PyIterator>>,
    size: usize,
}

impl<'py> Zipped<'py> {
    fn new(iterables: &Bound<'py, PyTuple>) -> PyResult<Self> {
        let size = iterables.iter().filter_map(|iterable| iterable.len().ok()).min().unwrap_or(0);
        let iterators =
            iterables.iter().map(|iterable| iterable.try_iter()).collect::<PyResult<_>>()?;
        Ok(Self { iterators, size })
    }

    fn size_hint(&self) -> usize {
        self.size
    }

    fn next_args(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        if let [only] = &mut self.iterators[..] {
            return only.next().transpose()?.map(|item| PyTuple::new(py, [item])).transpose();
        }
        let mut args = Vec::with_capacity(self.iterators.len());
        for iterator in &mut self.iterators {
            match iterator.next() {
                Some(item) => args.push(item?),
                None => return Ok(None),
            }
        }
        PyTuple::new(py, args).map(Some)
    }
}

/// `key=`: a prefix, or one for each.
enum Keys<'py> {
    None,
    Prefix(Bound<'py, PyString>),
    Each(Bound<'py, PyList>),
}

impl<'py> Keys<'py> {
    fn new(key: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(key) = key.filter(|key| !key.is_none()) else { return Ok(Self::None) };
        if let Ok(keys) = key.cast::<PyList>() {
            return Ok(Self::Each(keys.clone()));
        }
        match key.cast::<PyString>() {
            Ok(prefix) if prefix.is_empty()? => Ok(Self::None),
            Ok(prefix) => Ok(Self::Prefix(prefix.clone())),
            Err(_) => Err(PyTypeError::new_err(format!(
                "key= is a str, with which the keys begin, or a list of keys, not {}",
                key.get_type().qualname()?
            ))),
        }
    }

    fn prefix(&self) -> Option<&Bound<'py, PyString>> {
        match self {
            Self::Prefix(prefix) => Some(prefix),
            _ => None,
        }
    }

    fn each(&self) -> Option<&Bound<'py, PyAny>> {
        match self {
            Self::Each(keys) => Some(keys.as_any()),
            _ => None,
        }
    }

    fn at(&self, number: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Self::None | Self::Prefix(_) => Ok(None),
            Self::Each(keys) if number < keys.len() => keys.get_item(number).map(Some),
            Self::Each(keys) => Err(Self::wrong_length(keys, number + 1)),
        }
    }

    fn check_length(&self, number: usize) -> PyResult<()> {
        match self {
            Self::Each(keys) if keys.len() != number => Err(Self::wrong_length(keys, number)),
            _ => Ok(()),
        }
    }

    fn wrong_length(keys: &Bound<'_, PyList>, number: usize) -> PyErr {
        PyValueError::new_err(format!(
            "map() was given {} keys for {number} calls or more",
            keys.len()
        ))
    }
}
