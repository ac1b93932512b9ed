//! How ready tasks are run.

mod by_hand;
pub(crate) mod threads;
#[cfg(feature = "tracing")]
mod traced;
