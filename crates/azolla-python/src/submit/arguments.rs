//! The arguments of a call: taken as they are when it is submitted, and again for each time that it runs.
//!
//! `future/container.rs` says what is copied, and what is inside is shared. The task keeps the copy that was made at
//! the submit, with its futures. Each run has a copy of that one, with their results, so a run that changes its
//! arguments changes nothing for the next.

use crate::future::handle::Future;
use crate::future::nested::Walk;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Arc;

/// Keywords that calls have in common, as they are when the calls are submitted.
#[derive(Default)]
pub(crate) struct Keywords<'py> {
    pub(super) all: Option<Bound<'py, PyDict>>,
    inputs: Vec<Arc<PyJob>>,
    copied: bool,
}

/// A call as it is when it is submitted.
pub(super) struct Taken<'py> {
    pub(super) call: Bound<'py, PyTuple>,
    pub(super) kwargs: Option<Bound<'py, PyDict>>,
    /// The tasks of the futures in it.
    pub(super) inputs: Vec<Arc<PyJob>>,
    /// Each run needs a copy of it.
    pub(super) has_parts: bool,
}

impl<'py> Keywords<'py> {
    pub(super) fn take(all: Option<Bound<'py, PyDict>>, shared: &Shared) -> PyResult<Self> {
        let Some(all) = all else { return Ok(Self::default()) };
        let mut inputs = Vec::new();
        let copy = Walk::copying(&mut found(&mut inputs, shared)).keywords(&all)?;
        Ok(Self { copied: copy.is_some(), all: Some(copy.unwrap_or(all)), inputs })
    }
}

/// Takes the arguments of a call: its own, and the keywords that it has in common with others.
pub(super) fn take<'py>(
    call: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
    common: &Keywords<'py>,
    shared: &Shared,
) -> PyResult<Taken<'py>> {
    let mut inputs = common.inputs.clone();
    let mut by = found(&mut inputs, shared);
    let mut walk = Walk::copying(&mut by);
    let new_call = walk.call(&call)?;
    let new_kwargs = match &kwargs {
        Some(kwargs) => walk.keywords(kwargs)?,
        None => None,
    };
    drop(by);
    let copied = new_call.is_some() || new_kwargs.is_some() || common.copied;
    Ok(Taken {
        call: new_call.unwrap_or(call),
        kwargs: new_kwargs.or(kwargs).or_else(|| common.all.clone()),
        has_parts: copied || !inputs.is_empty(),
        inputs,
    })
}

/// Takes a future as it is, and notes its task.
fn found<'a, 'py>(
    inputs: &'a mut Vec<Arc<PyJob>>,
    shared: &'a Shared,
) -> impl FnMut(&Bound<'py, Future>) -> PyResult<Option<Bound<'py, PyAny>>> + 'a {
    |future| {
        inputs.push(input(future, shared)?);
        Ok(Some(future.clone().into_any()))
    }
}

/// The job of a future that may be an input here.
fn input(future: &Bound<'_, Future>, shared: &Shared) -> PyResult<Arc<PyJob>> {
    let py = future.py();
    let future = future.get();
    let job = future.job(py)?;
    if !std::ptr::eq(Arc::as_ptr(&future.shared()?.engine), Arc::as_ptr(&shared.engine)) {
        let owner = future.shared()?;
        owner.check_open(py, &format!("the input {}", job.key_text(py)))?;
        return Err(PyValueError::new_err(format!(
            "the input {} belongs to another cluster: a task's inputs must be futures of the cluster that it is \
             submitted to (gather it, or scatter its result)",
            job.key_text(py)
        )));
    }
    Ok(job)
}

/// A call and its keywords.
type Whole<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Returns a call for one run: with results in place of its futures, and containers that are this run's alone.
pub(crate) fn for_run<'py>((call, kwargs): Whole<'py>) -> PyResult<Whole<'py>> {
    let mut result = |future: &Bound<'py, Future>| future.get().input(future.py()).map(Some);
    let mut walk = Walk::copying(&mut result);
    let new_call = walk.call(&call)?;
    let new_kwargs = match &kwargs {
        Some(kwargs) => walk.keywords(kwargs)?,
        None => None,
    };
    Ok((new_call.unwrap_or(call), new_kwargs.or(kwargs)))
}
