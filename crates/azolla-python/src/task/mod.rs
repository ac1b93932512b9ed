//! What a Python task is made of: its call, its key, its names, and its outcome.
//!
//! This folder may use `interpreter`. It knows no client and no future.

pub(crate) mod actor;
pub(crate) mod failing;
pub(crate) mod job;
pub(crate) mod kept;
pub(crate) mod key;
pub(crate) mod named;
pub(crate) mod names;
pub(crate) mod packed;
pub(crate) mod revocable;
