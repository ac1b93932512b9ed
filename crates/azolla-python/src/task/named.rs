//! What a task is called: what its key is made of, and the key, which is made when a program asks for it.

use super::job::PyJob;
use crate::interpreter::texts::text_bytes;
use crate::interpreter::words::key_words;
use azolla::runtime::Job;
use azolla_process::request::End;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Arc;

/// What a task's key is made of. The key itself is made when a caller asks for it.
pub(crate) enum Name {
    /// The key that the user gave.
    Given(Py<PyAny>),
    /// The function's name and the digest of the call.
    Pure { function: Py<PyString>, digest: u128 },
    /// The function's name and the task's id, veiled by the cluster's own number.
    Impure { function: Py<PyString> },
    /// A name that a worker process has given, and what follows it.
    Asked(Arc<str>, End),
    /// The whole key of a task in another process, and the task's number there.
    Away(Py<PyAny>, u64),
}

/// What a key is made of.
#[derive(Clone, Copy)]
pub(super) enum KeyIs {
    Given,
    Pure,
    Impure,
    /// It is given, and the task runs for a client in another process. The digest is the task's number there.
    Away,
}

impl PyJob {
    pub(super) fn text(&self) -> Option<&Arc<str>> {
        self.rare.as_ref()?.text.as_ref()
    }

    /// Returns the key, or the name of the function.
    pub(super) fn named<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.named {
            Some(object) => object.bind(py).clone(),
            None => PyString::new(py, self.text().map_or("", |text| text)).into_any(),
        }
    }

    /// Returns the same as it is shown.
    pub(super) fn named_words(&self, py: Python<'_>) -> String {
        match (&self.named, self.text()) {
            (Some(object), _) => key_words(object.bind(py)),
            (None, text) => text.map_or_else(String::new, |text| String::from(&**text)),
        }
    }

    /// Returns the task's number in the process of its client, if that is another one.
    pub(crate) fn away(&self) -> Option<u64> {
        matches!(self.key_is, KeyIs::Away).then_some(self.digest[1])
    }

    /// Returns what the key is made of, for a process to send on: the text, and the digest of a pure call.
    pub(crate) fn name_parts<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, Option<u128>) {
        let [high, low] = self.digest.map(u128::from);
        let digest = matches!(self.key_is, KeyIs::Pure).then_some(high << 64 | low);
        (self.named(py), digest)
    }

    /// Returns the key as Python sees it.
    pub(crate) fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self.key_is {
            KeyIs::Given | KeyIs::Away => self.named(py),
            KeyIs::Pure | KeyIs::Impure => self.made_key(py),
        }
    }

    /// Returns the key that azolla made: the function's name, which may be any text, and an end.
    fn made_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let whole = (self.named(py), self.key_end(py));
        let whole = py.get_type::<PyString>().call_method1(intern!(py, "__add__"), whole);
        whole.unwrap_or_else(|_| PyString::new(py, &self.key_text(py)).into_any())
    }

    /// Returns true if the task's key is made of its id, and is this text.
    pub(crate) fn has_impure_key(&self, key: &Bound<'_, PyAny>) -> bool {
        let same = |key: &Bound<'_, PyString>| {
            let own = self.made_key(key.py());
            text_bytes(key).is_ok_and(|key| {
                own.cast::<PyString>().is_ok_and(|own| text_bytes(own).is_ok_and(|own| own == key))
            })
        };
        matches!(self.key_is, KeyIs::Impure) && key.cast::<PyString>().is_ok_and(same)
    }

    /// Returns the key as it is shown.
    pub(crate) fn key_text(&self, py: Python<'_>) -> String {
        self.named_words(py) + &self.key_end(py)
    }

    /// Returns the key as it is shown, of a task that runs in a worker process. `named` is what the key begins with.
    pub(crate) fn packed_key(&self, named: &str, veil: u128) -> String {
        named.to_owned() + &self.end(|id| super::key::veiled(veil, id))
    }

    /// Returns what a key that azolla made ends in.
    fn key_end(&self, py: Python<'_>) -> String {
        self.end(|id| super::key::impure(py, self.header().engine(), id))
    }

    fn end(&self, impure: impl FnOnce(u64) -> String) -> String {
        match self.key_is {
            KeyIs::Given | KeyIs::Away => String::new(),
            KeyIs::Pure => {
                let [high, low] = self.digest;
                format!("-{high:016x}{low:016x}")
            }
            KeyIs::Impure => impure(self.header().id().map_or(0, |id| id.to_bits())),
        }
    }
}
