//! The clusters that have ended. Futures may outlive them, and their errors say why.

use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an error says if the client that had the cluster was dropped, and not closed.
const GONE: &str = "its client is gone: nothing refers to the Client or to its futures any more, which closes it. Keep one of \
                    them as long as there is work";

/// What an error says if the cluster was closed.
const CLOSED: &str = "the client is closed";

/// Why clusters have ended, by the numbers of their engines. A thread locks it only while it holds the GIL, so no fork finds it
/// locked.
static ENDED: Mutex<BTreeMap<u32, &str>> = Mutex::new(BTreeMap::new());

fn ended(_py: Python<'_>) -> MutexGuard<'static, BTreeMap<u32, &'static str>> {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers that the cluster of this engine is being closed, unless it ends because its client was dropped.
pub(crate) fn set_closed(py: Python<'_>, engine: u32) {
    ended(py).entry(engine).or_insert(CLOSED);
}

/// Remembers that the cluster of this engine ends because the client that owns it was dropped.
pub(crate) fn set_gone(py: Python<'_>, engine: u32) {
    ended(py).insert(engine, GONE);
}

/// Returns true if the cluster of this engine ended because its client was dropped.
pub(crate) fn is_gone(py: Python<'_>, engine: u32) -> bool {
    why(py, engine) == Some(GONE)
}

/// Returns why the cluster of this engine has ended; `None` if it has not.
pub(crate) fn why(py: Python<'_>, engine: u32) -> Option<&'static str> {
    ended(py).get(&engine).copied()
}
