//! Makes the child of a fork forget its parent's clusters. Python calls this first in the child.

use super::{owner, thread};
use crate::interpreter::{collector, forks};
use pyo3::prelude::*;

#[doc = stub!(before_fork)]
#[pyfunction]
pub(crate) fn before_fork() {
    forks::one_more_child();
}

#[doc = stub!(after_fork)]
// The parent's threads do not exist in the child, so a lock that one of them held is never released.
#[pyfunction]
pub(crate) fn after_fork() {
    forks::one_more();
    collector::begin_list();
    thread::abandon();
    owner::set_owner(None);
}
