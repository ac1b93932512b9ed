//! `Future`, and every way to wait for one: blocking, on an event loop, for several at once, in the order in which they
//! end.
//!
//! This folder may use tasks and the session. It does not know how a task is submitted, nor which worker runs it.

pub(crate) mod actor;
pub(crate) mod as_completed;
pub(crate) mod away;
pub(crate) mod begun;
mod callable;
pub(crate) mod callbacks;
mod container;
pub(crate) mod gather;
pub(crate) mod handle;
pub(crate) mod kept;
pub(crate) mod methods;
pub(crate) mod nested;
mod plain;
pub(crate) mod running;
mod shell;
pub(crate) mod wait;
pub(crate) mod wait_for;
