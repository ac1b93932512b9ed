//! Atomics: the real ones, or those of the model checker shuttle (`--cfg azolla_shuttle`).

#[cfg(azolla_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(azolla_shuttle))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
