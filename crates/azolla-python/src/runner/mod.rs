//! How a ready task is run: the runner asks the engine for it, makes the call, and reports the result.
//!
//! It may know tasks, the session, futures, and how a call's arguments were found. It knows neither the
//! client nor the cluster object, which only starts it.

pub(crate) mod threads;
pub(crate) mod worker;
