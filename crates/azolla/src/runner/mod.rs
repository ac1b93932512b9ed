//! How ready tasks are run.

mod by_hand;
mod ends;
pub(crate) mod threads;
#[cfg(feature = "tracing")]
mod traced;
mod unseen;
