//! The doing half: the state machine behind one short lock, the workers that pull from it, and
//! the waits that lend slots.
//!
//! This is what front ends are built on: azolla's own Rust interface, and the Python package. A
//! front end brings a [`Job`], what a task is made of, and a [`Runner`], which provides the
//! threads that pull and run jobs.

mod attempts;
mod completions;
mod engine;
mod groups;
mod header;
mod held;
mod job;
mod kind_names;
mod leave;
mod listeners;
mod locked;
mod monitor;
mod names;
mod nest;
mod observe;
mod parker;
mod slot;
mod story;
#[cfg(all(test, not(azolla_shuttle)))]
mod tests;
mod turn;
mod wait;
mod watch;
mod worker;

pub use completions::Completions;
pub use engine::Engine;
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
pub use slot::Slot;
pub use story::Story;
pub use turn::Turn;
pub use wait::{Patience, Until, WaitError, wait};
pub use watch::{BranchInfo, Filter, Kin, Overview, TaskInfo, Tasks, Watch};
pub use worker::{Next, Sleeper, Worker};
