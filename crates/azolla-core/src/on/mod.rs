//! The handlers of events, one file for each event or small family of events.

mod awaits;
mod cancel;
mod close;
mod detach;
mod finish;
mod gate;
mod groups;
mod nest;
mod park;
mod pull;
mod refuse;
pub(crate) mod retry;
mod submit;
mod wake;
mod wants;
mod workers;
