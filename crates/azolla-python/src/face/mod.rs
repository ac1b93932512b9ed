//! The classes and functions that the Python half calls: `#[pymethods]`, and what they convert.
//!
//! This folder may use every folder but `sync`. No folder uses it.

pub(crate) mod asked;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod dashboard;
pub(crate) mod groups;
pub(crate) mod in_task;
pub(crate) mod inspect;
pub(crate) mod orders;
pub(crate) mod tasks;
