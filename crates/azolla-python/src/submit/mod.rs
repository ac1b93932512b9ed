//! How a call becomes a task: its options, its place, its inputs, and its way into the engine.
//!
//! This folder may use `future`, since futures are among the arguments. It does not know which worker runs the task.

pub(crate) mod actor;
mod actor_calls;
mod annotations;
pub(crate) mod arguments;
pub(crate) mod away;
mod costly;
pub(crate) mod fastcall;
pub(crate) mod group;
pub(crate) mod map;
pub(crate) mod one;
pub(crate) mod options;
pub(crate) mod packing;
pub(crate) mod placing;
