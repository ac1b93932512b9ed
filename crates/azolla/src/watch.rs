//! What can be seen of a client while it works, for dashboards, traces and logs.
//!
//! [`Client::observe`](crate::Client::observe) gives a stream of what happens to tasks.
//! [`Client::watch`](crate::Client::watch) answers questions: how many tasks there are, what they have grown
//! from, which of them fail.

pub use crate::runtime::{
    BranchInfo, Filter, GroupInfo, Grown, Held, Kin, Observation, Observations, OpenGroups, Origin,
    Overview, ProcessInfo, Processes, TaskInfo, Tasks, Watch, What,
};
pub use azolla_core::{
    BranchId, Counts, Durations, GroupId, Key, Kind, Lineage, Priority, State, Tally, TaskId,
    WorkerId,
};
