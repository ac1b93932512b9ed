//! Remembers what was found out about an object that never changes (a code object, a builtin, a
//! static type) for as long as that object lives, without keeping it alive.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use rustc_hash::FxBuildHasher;

/// Facts by the identity of the object that they are about.
///
/// An address alone says nothing once its object is gone, so each entry has a weak reference that
/// must still lead to the very object that is asked about. Entries of the dead are swept out
/// whenever the cache has doubled: no callbacks, hence nothing that the garbage collector could
/// call in the middle of anything.
///
/// The lock is held for a look-up only, never while Python code runs or a Python object is made or
/// dropped, so whoever waits for it may hold the GIL.
pub(super) struct IdentityCache<T> {
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    by_address: HashMap<usize, Entry<T>, FxBuildHasher>,
    sweep_at: usize,
}

struct Entry<T> {
    subject: Py<PyWeakrefReference>,
    facts: T,
}

const FIRST_SWEEP: usize = 256;

impl<T: Clone> IdentityCache<T> {
    pub(super) const fn new() -> Self {
        let by_address = HashMap::with_hasher(FxBuildHasher);
        IdentityCache { entries: Mutex::new(Entries { by_address, sweep_at: FIRST_SWEEP }) }
    }

    /// What is known about this very object.
    #[inline]
    pub(super) fn get(&self, subject: &Bound<'_, PyAny>) -> Option<T> {
        let entries = self.lock();
        let entry = entries.by_address.get(&address(subject))?;
        let found = entry.subject.bind(subject.py()).upgrade();
        let facts =
            found.as_ref().is_some_and(|found| found.is(subject)).then(|| entry.facts.clone());
        drop(entries);
        facts
    }

    /// Keeps what was found out. An object without weak references is not remembered.
    pub(super) fn insert(&self, subject: &Bound<'_, PyAny>, facts: T) {
        let Ok(reference) = PyWeakrefReference::new(subject) else { return };
        let entry = Entry { subject: reference.unbind(), facts };
        let mut entries = self.lock();
        let replaced = entries.by_address.insert(address(subject), entry);
        let dead = entries.sweep(subject.py());
        drop(entries);
        drop((replaced, dead));
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Entries<T> {
    /// Takes the dead out once the cache has doubled; the caller drops them when the lock is free.
    fn sweep(&mut self, py: Python<'_>) -> Vec<Entry<T>> {
        if self.by_address.len() < self.sweep_at {
            return Vec::new();
        }
        let is_dead = |_: &usize, entry: &mut Entry<T>| entry.subject.bind(py).upgrade().is_none();
        let dead = self.by_address.extract_if(is_dead).map(|(_, entry)| entry).collect();
        self.sweep_at = FIRST_SWEEP.max(self.by_address.len() * 2);
        dead
    }
}

/// Where an object is. Tells objects apart as long as both are alive.
#[inline]
pub(super) fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}
