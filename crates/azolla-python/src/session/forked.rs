//! What the child of a fork forgets: Python calls this in the child, before anything else runs there.

use super::{owner, thread};
use crate::interpreter::forks;
use pyo3::prelude::*;

/// Called in the child of every fork: the parent's clients are dead there.
// Their threads are gone, and their locks may be held by nobody for ever.
#[pyfunction]
pub(crate) fn after_fork() {
    forks::one_more();
    thread::abandon();
    owner::set_owner(None);
}
