//! Remembers facts about objects that never change (code objects, builtins, static types). A fact is remembered as long
//! as its object lives, and does not keep the object alive.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use rustc_hash::FxBuildHasher;

/// Facts by the identity of the object that they are about.
///
/// Once an object is gone, another may have its address. So each entry has a weak reference, which must still lead to
/// the object that is asked about. Entries of dead objects are swept out whenever the cache has doubled. The weak
/// references have no callbacks, so the garbage collector calls nothing here at a bad moment.
///
/// A thread holds the lock for a look-up only, and never while Python code runs or a Python object is made or dropped.
/// So a thread that waits for the lock may hold the GIL.
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

    /// Returns what is known about this object.
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

    /// Keeps facts about an object. An object that allows no weak references is not remembered.
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
    /// Takes out the dead entries once the cache has doubled. The caller drops them after it has freed the lock.
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

/// Returns the address of an object. It tells two objects apart as long as both are alive.
#[inline]
pub(super) fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}
