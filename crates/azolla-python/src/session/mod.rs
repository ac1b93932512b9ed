//! The users of the engine: a cluster, its clients, and the work of each Python thread.
//!
//! This module may use `task`. It does not use `future`: a client counts the futures on a job, and never
//! sees one.

pub(crate) mod at_hand;
pub(crate) mod away;
mod clients;
pub(crate) mod core;
pub(crate) mod forked;
pub(crate) mod gone;
mod guest;
pub(crate) mod interest;
mod life;
mod listening;
pub(crate) mod owner;
pub(crate) mod reasons;
pub(crate) mod sent;
pub(crate) mod shared;
pub(crate) mod thread;
