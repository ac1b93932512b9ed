//! Runs ready tasks: a worker thread asks the engine for a task, makes the call, and reports the result.
//!
//! This module may use `task`, `session`, `future`, and `submit::arguments`. It uses neither the client nor
//! the cluster object, which only starts it.

pub(crate) mod threads;
pub(crate) mod worker;
