//! What azolla and its worker processes share: the messages between them and the memory that both see.
//!
//! A client on worker processes has one *line* to each thread of each process, a pair of connected sockets, and
//! sends it several tasks at once. What is no task's goes over the *side line* of the process. Which of them the thread has begun stands in a word of shared memory, its
//! *claim*. So the client takes back what has not begun without a message, and knows what ran when a process died.
//! Large data lies in the *arena* of the process that made it, which every other process can read: each has a *place*
//! there, which lasts until nothing refers to it. The *fleet* keeps the processes alive.
//!
//! Nothing here knows Python: arguments and results are bytes. Deciding stands apart from doing: `claim`, `ranges`, `leases` and
//! `members/member.rs` are state machines; the rest asks the system, which is Linux so far.

#[cfg(all(target_os = "linux", not(azolla_shuttle)))]
pub mod arena;
pub mod aside;
#[cfg(all(target_os = "linux", not(azolla_shuttle)))]
pub mod borrowed;
pub mod claim;
#[cfg(all(target_os = "linux", not(azolla_shuttle)))]
pub mod fleet;
pub mod frame;
pub mod leases;
#[cfg(target_os = "linux")]
pub mod line;
#[cfg(target_os = "linux")]
pub mod members;
pub mod message;
pub mod place;
mod primitives;
#[cfg(target_os = "linux")]
pub mod process;
#[cfg(target_os = "linux")]
pub mod program;
pub mod ranges;
pub mod request;
#[cfg(all(target_os = "linux", not(azolla_shuttle)))]
pub mod shelf;
#[cfg(all(target_os = "linux", not(azolla_shuttle)))]
pub mod shown;
