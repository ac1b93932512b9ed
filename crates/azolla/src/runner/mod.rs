//! How a ready task is run.

pub(crate) mod threads;
