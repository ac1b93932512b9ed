//! Who uses the engine: a cluster, its clients, and what each Python thread is at work on.
//!
//! It may know tasks. It knows no future: a client counts the futures on a job, and never sees one.

pub(crate) mod core;
pub(crate) mod forked;
mod guest;
pub(crate) mod owner;
pub(crate) mod shared;
pub(crate) mod thread;
