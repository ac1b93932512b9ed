//! The clusters that have ended. Futures may outlive them, and their errors say why.

use pyo3::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What an error says if the client that had the cluster was dropped, and not closed.
const GONE: &str = "its client is gone: nothing refers to the Client or to its futures any more, which closes it. Keep one of \
                    them as long as there is work";

/// What an error says if the cluster was closed.
const CLOSED: &str = "the client is closed";

/// Why a cluster has ended, by the numbers of the engines. A thread locks it only while it holds the GIL, so no fork finds it
/// locked.
static ENDED: Mutex<Ended> = Mutex::new(Ended { closed: BTreeSet::new(), gone: BTreeSet::new() });

struct Ended {
    closed: BTreeSet<u32>,
    gone: BTreeSet<u32>,
}

/// Remembers that the cluster of this engine is being closed.
pub(crate) fn set_closed(_py: Python<'_>, engine: u32) {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).closed.insert(engine);
}

/// Remembers that the cluster of this engine ends because the client that owns it was dropped.
pub(crate) fn set_gone(_py: Python<'_>, engine: u32) {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).gone.insert(engine);
}

/// Returns true if the cluster of this engine ended because its client was dropped.
pub(crate) fn is_gone(py: Python<'_>, engine: u32) -> bool {
    why(py, engine) == Some(GONE)
}

/// Returns why the cluster of this engine has ended; `None` if it has not.
pub(crate) fn why(_py: Python<'_>, engine: u32) -> Option<&'static str> {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    match (ended.gone.contains(&engine), ended.closed.contains(&engine)) {
        (true, _) => Some(GONE),
        (false, true) => Some(CLOSED),
        (false, false) => None,
    }
}
