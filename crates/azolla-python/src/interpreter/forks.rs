//! Counts the forks between this process and the one that first loaded the module.
//!
//! The child of a fork must not touch the locks of the clients that its parent made. So each client notes the number of
//! forks when it is made, and compares it before it locks anything.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// The forks that this process has made.
static CHILDREN: AtomicU64 = AtomicU64::new(0);

/// Returns that number.
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Returns an error if this is not the process in which [`forks`] gave this number. A child must not touch locks that a
/// thread may hold without the GIL: a thread that does not exist in the child may hold them for ever.
pub(crate) fn check_forks(made_in: u64) -> PyResult<()> {
    if made_in == forks() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(
        "this azolla client was made before os.fork(), and its threads did not come along: \
         make a new Client in the child process",
    ))
}

/// Returns how many forks this process has made.
pub(crate) fn children() -> u64 {
    CHILDREN.load(Ordering::Relaxed)
}

/// Counts one more fork that this process makes.
pub(crate) fn one_more_child() {
    CHILDREN.fetch_add(1, Ordering::Relaxed);
}

/// Counts one more fork: this process is the child.
pub(crate) fn one_more() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
