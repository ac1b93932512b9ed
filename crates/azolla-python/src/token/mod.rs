//! Pure keys: the digest of a call, made of the function and its arguments.
//!
//! Equal digests mean that one call can stand for the other. A digest that is wrongly equal gives a wrong answer. A
//! digest that is wrongly different only makes work be done twice. So when in doubt, digests differ. Nothing that can
//! change is remembered from one call to the next. A value that cannot be hashed has no digest, which is no error.

mod array;
mod begun;
mod cache;
mod class;
mod function;
mod hasher;
mod known;
mod module;
mod object;
mod value;
mod walk;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

pub(crate) use begun::Begun;
use hasher::{Tag, Writer};
use walk::{Hashed, Miss, Walk};

/// Returns the digest of a future's key, and `None` for a value that is no future.
pub(crate) type FutureKey<'a> = &'a dyn Fn(&Bound<'_, PyAny>) -> Option<u128>;

/// The digest of a function: the first half of the digest of a call. It is made once for calls that are submitted
/// together.
///
/// It must not be kept for longer than that, since what the function depends on may change.
#[derive(Clone, Copy)]
pub(crate) struct FunctionToken(u128);

impl FunctionToken {
    /// Hashes the function. Returns `None` if it cannot be hashed; the caller then uses an impure key. Also returns true
    /// if the function depends on so much that to hash it takes long.
    ///
    /// # Errors
    ///
    /// Only exceptions that must reach the user: KeyboardInterrupt, SystemExit, and what a signal handler raises.
    pub(crate) fn of(
        py: Python<'_>,
        function: &Bound<'_, PyAny>,
        future_key: FutureKey<'_>,
    ) -> PyResult<(Option<Self>, bool)> {
        let mut is_costly = false;
        let digest = digest(py, Writer::new(Tag::Function, true), future_key, |walk| {
            let done = walk.callee(function);
            is_costly = walk.is_costly();
            done
        });
        Ok((settle(py, digest)?.map(FunctionToken), is_costly))
    }

    /// Returns the digest of a call of this function, or `None` if an argument cannot be hashed. `call` is the function
    /// and its arguments.
    ///
    /// # Errors
    ///
    /// As for [`FunctionToken::of`].
    pub(crate) fn call(
        &self,
        py: Python<'_>,
        call: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        future_key: FutureKey<'_>,
    ) -> PyResult<Option<u128>> {
        let digest = digest(py, Writer::new(Tag::Call, true), future_key, |walk| {
            walk.out.digest(self.0);
            walk.keywords(kwargs)?;
            walk.tuple_from(call, 1)
        });
        settle(py, digest)
    }

    /// The digest itself.
    pub(crate) fn digest(self) -> u128 {
        self.0
    }

    /// Hashes keywords that several calls of this function have, so that this is done once. `None` if one of them
    /// cannot be hashed.
    ///
    /// # Errors
    ///
    /// As for [`FunctionToken::of`].
    pub(crate) fn begin<'a, 'py>(
        &self,
        keywords: &Bound<'py, PyDict>,
        future_key: FutureKey<'a>,
    ) -> PyResult<Option<Begun<'a, 'py>>> {
        settle(keywords.py(), Begun::new(self.0, keywords, future_key))
    }
}

/// Returns the digest of a value, or `None` if something in it cannot be hashed.
///
/// # Errors
///
/// As for [`FunctionToken::of`].
pub(crate) fn value_token(
    py: Python<'_>,
    value: &Bound<'_, PyAny>,
    future_key: FutureKey<'_>,
) -> PyResult<Option<u128>> {
    settle(py, digest(py, Writer::new(Tag::Value, true), future_key, |walk| walk.value(value)))
}

#[doc = stub!(tokenize)]
#[pyfunction]
#[pyo3(signature = (*args, **kwargs))]
pub(crate) fn tokenize(
    py: Python<'_>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<String> {
    match digest(py, Writer::new(Tag::Value, false), &|_| None, |walk| {
        walk.tuple_from(args, 0)?;
        walk.keywords(kwargs)
    }) {
        Ok(digest) => Ok(format!("{digest:032x}")),
        Err(miss) => Err(refusal(py, miss.or_interrupt(py)?)),
    }
}

impl<'py> Walk<'_, 'py> {
    /// Writes what is called. How it describes itself makes no difference to the call.
    fn callee(&mut self, function: &Bound<'py, PyAny>) -> Hashed {
        self.describes = false;
        self.value(function)
    }

    /// Writes the arguments that a call has by name. None is the same as an empty dictionary of them.
    fn keywords(&mut self, kwargs: Option<&Bound<'py, PyDict>>) -> Hashed {
        match kwargs {
            Some(kwargs) if !kwargs.is_empty() => self.dict(Tag::Dict, kwargs),
            _ => Ok(()),
        }
    }
}

/// The digest of what `write` writes.
fn digest<'py>(
    py: Python<'py>,
    out: Writer,
    future_key: FutureKey<'_>,
    write: impl FnOnce(&mut Walk<'_, 'py>) -> Hashed,
) -> Hashed<u128> {
    let mut walk = Walk::new(py, future_key, out)?;
    write(&mut walk)?;
    Ok(walk.out.finish())
}

/// Turns a miss into `None`, and returns an error only for exceptions that must reach the user.
fn settle<T>(py: Python<'_>, hashed: Hashed<T>) -> PyResult<Option<T>> {
    match hashed {
        Ok(done) => Ok(Some(done)),
        Err(miss) => miss.or_interrupt(py).map(|_| None),
    }
}

/// Makes the error for a caller that has asked for a digest where there is none.
fn refusal(py: Python<'_>, miss: Miss) -> PyErr {
    match miss {
        Miss::Refused(reason) => PyTypeError::new_err(format!("cannot be hashed: {reason}")),
        Miss::Raised(cause) | Miss::Interrupted(cause) => {
            let error = PyTypeError::new_err(format!("cannot be hashed: {cause}"));
            error.set_cause(py, Some(cause));
            error
        }
    }
}
