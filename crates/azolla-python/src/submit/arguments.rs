//! The arguments of a call: taken as they are when it is submitted, and again for each time that it runs.
//!
//! `future/container.rs` says what is copied, and what is inside is shared. The task keeps the copy that was made at
//! the submit, with its futures. Each run has a copy of that one, with their results, so a run that changes its
//! arguments changes nothing for the next.

use crate::future::handle::Future;
use crate::future::nested::{Function, Walk};
use crate::session::shared::Shared;
use crate::task::job::{Copies, PyJob};
use crate::token::Begun;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Arc;

/// What the calls of one `map` have in common, as it is when they are submitted: the function and the keywords.
#[derive(Default)]
pub(crate) struct InCommon<'py> {
    pub(super) keywords: Option<Bound<'py, PyDict>>,
    inputs: Vec<Arc<PyJob>>,
    /// True if the function, or some keyword, is a copy.
    copied: bool,
    /// True if the function was taken, so no call takes it again.
    has_function: bool,
    asks: bool,
    pub(super) token: Digest<'py>,
}

/// Where the digests of several calls come from.
#[derive(Default)]
pub(super) enum Digest<'py> {
    /// Each call is hashed by itself.
    #[default]
    OfEach,
    /// What the calls have in common is hashed.
    Begun(Box<Begun<'static, 'py>>),
    /// What they have in common cannot be hashed.
    Never,
}

/// A call as it is when it is submitted.
pub(super) struct Taken<'py> {
    pub(super) call: Bound<'py, PyTuple>,
    pub(super) kwargs: Option<Bound<'py, PyDict>>,
    /// The tasks of the futures in it.
    pub(super) inputs: Vec<Arc<PyJob>>,
    /// Each run needs a copy of it.
    pub(super) has_parts: bool,
    /// A class has refused to be copied, so each run asks again.
    pub(super) asks: bool,
}

impl<'py> InCommon<'py> {
    /// Takes the function and the keywords. Returns the function that the calls have. `methods`: see `Walk::function`.
    pub(super) fn take(
        function: &Bound<'py, PyAny>,
        keywords: Option<Bound<'py, PyDict>>,
        methods: bool,
        shared: &Shared,
    ) -> PyResult<(Bound<'py, PyAny>, Self)> {
        let mut inputs = Vec::new();
        let mut by = found(&mut inputs, shared);
        let mut walk = Walk::at_submit(&mut by);
        let new_function = walk.function(function, methods)?;
        let new_keywords = walk.keywords(keywords.as_ref())?;
        let asks = walk.was_refused();
        drop(by);
        let copied = new_function.is_some() || new_keywords.is_some();
        let keywords = new_keywords.or(keywords);
        let token = Digest::OfEach;
        let common = Self { keywords, inputs, copied, has_function: true, asks, token };
        Ok((new_function.unwrap_or_else(|| function.clone()), common))
    }
}

/// Takes the arguments of a call: its own, and what it has in common with others.
pub(super) fn take<'py>(
    call: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
    common: &InCommon<'py>,
    methods: bool,
    shared: &Shared,
) -> PyResult<Taken<'py>> {
    let mut inputs = common.inputs.clone();
    let mut by = found(&mut inputs, shared);
    let mut walk = Walk::at_submit(&mut by);
    let function = if common.has_function { Function::Stays } else { Function::Taken { methods } };
    let new_call = walk.call(&call, function)?;
    let new_kwargs = walk.keywords(kwargs.as_ref())?;
    let asks = walk.was_refused() || common.asks;
    drop(by);
    let copied = new_call.is_some() || new_kwargs.is_some() || common.copied;
    Ok(Taken {
        call: new_call.unwrap_or(call),
        kwargs: new_kwargs.or(kwargs).or_else(|| common.keywords.clone()),
        has_parts: copied || !inputs.is_empty(),
        inputs,
        asks,
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
pub(crate) fn for_run<'py>((call, kwargs): Whole<'py>, copies: Copies) -> PyResult<Whole<'py>> {
    let mut result = |future: &Bound<'py, Future>| future.get().input(future.py()).map(Some);
    let mut walk = Walk::for_run(&mut result, copies.asks);
    let new_call = walk.call(&call, Function::Taken { methods: copies.methods })?;
    let new_kwargs = walk.keywords(kwargs.as_ref())?;
    Ok((new_call.unwrap_or(call), new_kwargs.or(kwargs)))
}
