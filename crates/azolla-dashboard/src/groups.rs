//! What the page is told of groups.

use crate::snapshot::{id, shortened};
use azolla::watch::OpenGroups;
use serde::Serialize;

/// The groups that are open.
#[derive(Serialize)]
pub(crate) struct Groups {
    /// At most a hundred, in the order in which they were opened.
    each: Vec<Group>,
    /// How many there are.
    all: usize,
}

#[derive(Serialize)]
struct Group {
    /// What to cancel.
    task: String,
    name: String,
    /// How many groups it is in.
    depth: usize,
    live: u64,
    finished: u64,
    failed: u64,
    cancelled: u64,
    /// Its block has been left, or somebody waits for its end.
    closed: bool,
}

impl From<OpenGroups> for Groups {
    fn from(open: OpenGroups) -> Self {
        let each = open.told.iter().map(|group| Group {
            task: id(group.gate),
            name: shortened(&group.name),
            depth: group.depth,
            live: group.tally.live,
            finished: group.tally.finished,
            failed: group.tally.failed,
            cancelled: group.tally.cancelled,
            closed: group.is_closed,
        });
        Self { each: each.collect(), all: open.all }
    }
}
