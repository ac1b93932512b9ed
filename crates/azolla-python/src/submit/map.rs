//! `map`: one task for each item.

use super::away;
use super::one::{Common, Keys};
use super::options::Options;
use crate::future::handle::Future;
use crate::interpreter::memory;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use azolla::runtime::Submission;
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How many tasks are prepared before they are submitted together. It is large enough that the engine's lock costs
/// little, and small enough that the first tasks begin early.
const PORTION: usize = 256;

pub(crate) fn map<'py>(
    shared: &Arc<Shared>,
    function: &Bound<'py, PyAny>,
    iterables: &Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
    options: &Options<'py>,
) -> PyResult<Vec<Bound<'py, Future>>> {
    let py = function.py();
    let keys = KeyOption::new(options.key.as_ref())?;
    let common = Common::new(shared, "map", function, options, keys.keys())?;
    if iterables.is_empty() {
        return Err(PyTypeError::new_err("map() takes at least one iterable after the function"));
    }
    let (function, in_common) = common.take(function, kwargs)?;
    let mut zipped = Zipped::new(iterables)?;
    // An object may report any length, so the reserved memory is bounded.
    let mut futures =
        Futures { shared, all: Vec::with_capacity(zipped.size_hint().min(1 << 16)), places: None };
    let mut portion: Vec<Submission<PyJob>> = Vec::new();
    let mut number = 0;
    while let Some(call) = zipped.next_call(&function)? {
        let named = common.named(keys.at(number)?.as_ref())?;
        number += 1;
        if let Some(job) = named.as_ref().and_then(|named| shared.find_impure(named)) {
            futures.submit(&common, &mut portion)?;
            futures.add(py, job, true)?;
            continue;
        }
        portion.push(common.task(call, None, &in_common, named.as_ref())?);
        if portion.len() == PORTION {
            futures.submit(&common, &mut portion)?;
        }
    }
    futures.submit(&common, &mut portion)?;
    keys.check_length(number)?;
    Ok(futures.all)
}

/// The futures of one `map`. Equal calls are one task, and share one future.
struct Futures<'a, 'py> {
    shared: &'a Arc<Shared>,
    all: Vec<Bound<'py, Future>>,
    /// The place of the first future on each job, by the job's address. It is made once two calls may share a job.
    places: Option<FxHashMap<usize, usize>>,
}

impl<'py> Futures<'_, 'py> {
    /// Submits these tasks, and adds their futures.
    fn submit(
        &mut self,
        common: &Common<'_, 'py>,
        portion: &mut Vec<Submission<PyJob>>,
    ) -> PyResult<()> {
        let py = common.py;
        memory::check()?;
        self.all
            .try_reserve(portion.len())
            .map_err(|error| PyMemoryError::new_err(error.to_string()))?;
        if self.shared.cluster.is_away() {
            if portion.is_empty() {
                return Ok(());
            }
            let jobs = away::submit_all(common, portion)?;
            portion.clear();
            return jobs.into_iter().try_for_each(|job| self.add(py, job, true));
        }
        let mut jobs: Vec<_> = portion.iter().map(|one| Arc::clone(&one.payload)).collect();
        let taken = self.shared.engine.submit_all(portion.drain(..));
        let some_taken = !taken.is_empty();
        for (place, job) in taken {
            jobs[place] = job;
        }
        jobs.into_iter().try_for_each(|job| self.add(py, job, some_taken))
    }

    fn add(&mut self, py: Python<'py>, job: Arc<PyJob>, some_taken: bool) -> PyResult<()> {
        if some_taken && self.places.is_none() {
            let mut places = FxHashMap::default();
            for (place, future) in self.all.iter().enumerate() {
                places.entry(Arc::as_ptr(&future.get().job(py)?).addr()).or_insert(place);
            }
            self.places = Some(places);
        }
        if let Some(places) = &mut self.places {
            let next = self.all.len();
            let place = *places.entry(Arc::as_ptr(&job).addr()).or_insert(next);
            if place < next {
                self.all.push(self.all[place].clone());
                // The engine counted one more future on the job. This makes that future and drops it, so the count is
                // right.
                drop(Future::new(py, job, Arc::clone(self.shared)));
                return Ok(());
            }
        }
        self.all.push(Future::object(py, job, Arc::clone(self.shared))?);
        Ok(())
    }
}

/// The iterables side by side. It ends with the shortest.
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

    /// Returns the function with the next item of each iterable.
    fn next_call(&mut self, function: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = function.py();
        if let [only] = &mut self.iterators[..] {
            let item = only.next().transpose()?;
            return item.map(|item| (function, item).into_pyobject(py)).transpose();
        }
        let mut call = Vec::with_capacity(1 + self.iterators.len());
        call.push(function.clone());
        for iterator in &mut self.iterators {
            match iterator.next() {
                Some(item) => call.push(item?),
                None => return Ok(None),
            }
        }
        PyTuple::new(py, call).map(Some)
    }
}

/// `key=`: a prefix, or one key for each call.
enum KeyOption<'py> {
    None,
    Prefix(Bound<'py, PyString>),
    Each(Bound<'py, PyList>),
}

impl<'py> KeyOption<'py> {
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

    fn keys(&self) -> Keys<'_, 'py> {
        match self {
            Self::None => Keys::Made,
            Self::Prefix(prefix) => Keys::Prefixed(prefix),
            Self::Each(_) => Keys::Given,
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
