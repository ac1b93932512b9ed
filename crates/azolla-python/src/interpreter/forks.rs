//! How many forks lie behind this process.
//!
//! A fork's child must not touch the locks of the clients that its parent made, so each of those
//! notes the number of forks, and compares it before it locks anything.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between this process and the one that first loaded the module.
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// That this is the process in which [`forks`] gave this number. In a child the locks that may be
/// held without the GIL must not be touched: a thread that is not there may hold them for ever.
pub(crate) fn check_forks(made_in: u64) -> PyResult<()> {
    if made_in == forks() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(
        "this azolla client was made before os.fork(), and its threads did not come along: \
         make a new Client in the child process",
    ))
}

/// Notes that this process is the child of one more fork.
pub(crate) fn one_more() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
