//! How a ready task is run.

mod by_hand;
pub(crate) mod threads;
#[cfg(feature = "tracing")]
mod traced;
