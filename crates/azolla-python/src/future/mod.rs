//! `Future`, and every way to wait for one: blocking, on an event loop, for several, in order of ending.
//!
//! It may know tasks and the session. It knows neither how a task is submitted nor who runs it.

pub(crate) mod actor;
pub(crate) mod as_completed;
pub(crate) mod callbacks;
pub(crate) mod gather;
pub(crate) mod handle;
pub(crate) mod methods;
pub(crate) mod nested;
pub(crate) mod running;
pub(crate) mod wait;
pub(crate) mod wait_for;
