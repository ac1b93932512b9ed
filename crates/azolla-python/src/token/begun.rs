//! The first half of the digests of several calls: the function, and the keywords that the calls have in common.
//!
//! Each call's digest is that of the same call when it is hashed alone.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::RefCell;

use super::hasher::{Tag, Writer};
use super::walk::{Hashed, Mark, Walk};
use super::{FutureKey, settle};

/// A walk that has hashed what the calls have in common. It goes on from there for each call.
pub(crate) struct Begun<'a, 'py> {
    walk: RefCell<Walk<'a, 'py>>,
    mark: Mark,
}

impl<'a, 'py> Begun<'a, 'py> {
    pub(super) fn new(
        function: u128,
        keywords: &Bound<'py, PyDict>,
        future_key: FutureKey<'a>,
    ) -> Hashed<Self> {
        let mut walk = Walk::new(keywords.py(), future_key, Writer::new(Tag::Call, true))?;
        walk.out.digest(function);
        walk.keywords(Some(keywords))?;
        let mark = walk.mark();
        Ok(Self { walk: RefCell::new(walk), mark })
    }

    /// Returns the digest of one of the calls, or `None` if an argument cannot be hashed. `call` is the function and its
    /// arguments.
    ///
    /// # Errors
    ///
    /// As for [`FunctionToken::of`](super::FunctionToken::of).
    pub(crate) fn call(&self, call: &Bound<'py, PyTuple>) -> PyResult<Option<u128>> {
        let mut walk = self.walk.borrow_mut();
        let hashed = walk.tuple_from(call, 1);
        let out = walk.back_to(&self.mark);
        settle(call.py(), hashed.map(|()| out.finish()))
    }
}
