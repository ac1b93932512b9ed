//! The runtime: the scheduler behind one short lock, the workers that pull tasks from it, and the
//! waits that lend slots.
//!
//! Front ends are built on this: azolla's own Rust interface, and the Python package. A front end
//! brings a [`Job`], which is its type of task, and a [`Runner`], which provides the threads that
//! pull and run jobs.
//!
//! [README.md](https://github.com/azolla/azolla/blob/main/crates/azolla/src/runtime/README.md)
//! explains the subtle parts: parking, claims, and how a task settles while another thread watches it.

mod ahead;
mod attempts;
mod awaits;
mod cancelled;
mod completions;
mod demand;
mod digest;
mod engine;
mod garbage;
mod groups;
mod header;
mod held;
mod job;
mod kind_names;
mod leave;
mod lend;
mod listeners;
mod locked;
mod monitor;
mod names;
mod nest;
mod observe;
mod parker;
mod processes;
mod scaling;
mod scopes;
mod scopes_shown;
mod secede;
mod shared_waker;
mod slot;
mod staff;
mod story;
#[cfg(all(test, not(azolla_shuttle)))]
mod tests;
mod turn;
mod wait;
mod watch;
mod withdraw;
mod worker;

pub use crate::error::ENDLESS;
pub use completions::Completions;
pub use demand::Demand;
pub use digest::{Secret, digest, secret, share_secret};
pub use engine::Engine;
pub use garbage::{Gone, dropping, let_go};
pub use groups::{BadAmount, Groups};
pub use header::{Header, Status};
pub use held::Held;
pub use job::{Job, Runner, Submission, watch_all};
pub use listeners::Listen;
pub use locked::assert_unlocked;
pub(crate) use locked::{BROKEN, caught};
pub use monitor::{IsClosed, Monitor, Resource};
pub use names::{Named, Names, OtherType};
pub use nest::Nested;
pub use observe::{Observation, Observations, Origin, What};
pub use processes::{ProcessInfo, Processes};
pub use scaling::NoGroup;
pub use scopes_shown::{GroupInfo, OpenGroups};
pub(crate) use shared_waker::SharedWaker;
pub use slot::Slot;
pub use story::Story;
pub use turn::Turn;
pub use wait::{Patience, Until, WaitError, is_over, wait};
pub use watch::{BranchInfo, Filter, Grown, Kin, Overview, TaskInfo, Tasks, Watch};
pub use worker::{Next, Sleeper, Worker};
