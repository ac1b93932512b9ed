//! What a Python task is made of: its call, its key, its names, and what it comes to.
//!
//! It may know the interpreter. It knows no client and no future.

pub(crate) mod failing;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod names;
