//! The clusters that ended because their client was dropped. Futures may outlive them, and their errors say why.

use pyo3::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What an error says of a future whose client was dropped.
pub(crate) const WHY: &str = "its client is gone: nothing refers to the Client any more, which closes it and cancels what its futures \
                              stand for. Keep the Client as long as its futures";

/// The numbers of the engines. A thread locks it only while it holds the GIL, so no fork finds it locked.
static GONE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Remembers that the engine of this number ends because the client that owns its cluster was dropped.
pub(crate) fn set_gone(_py: Python<'_>, engine: u32) {
    GONE.lock().unwrap_or_else(PoisonError::into_inner).insert(engine);
}

/// Returns true if the engine of this number ended so.
pub(crate) fn is_gone(_py: Python<'_>, engine: u32) -> bool {
    GONE.lock().unwrap_or_else(PoisonError::into_inner).contains(&engine)
}
