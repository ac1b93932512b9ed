//! One file an event: what the scheduler does when it happens.

mod cancel;
mod close;
mod detach;
mod finish;
mod nest;
mod park;
mod pull;
mod retry;
mod submit;
mod wake;
mod wants;
mod workers;
