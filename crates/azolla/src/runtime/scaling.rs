//! Groups of slots that come and go while the engine runs.
//!
//! A group that is retired begins nothing any more. Its workers end one by one, each between two tasks, and the group is
//! gone with the last of them.

use super::engine::Engine;
use super::groups::BadAmount;
use super::job::Job;
use super::locked::unready;
use azolla_core::{Event, GroupId};
use std::io;
use std::sync::Arc;

/// Why there is no new group.
#[derive(Debug, thiserror::Error)]
pub enum NoGroup {
    /// An amount of a resource is negative or NaN.
    #[error(transparent)]
    BadAmount(#[from] BadAmount),
    /// An engine has at most 65,535 groups, those included that are retired.
    #[error("a cluster has at most {} workers, those included that it had before", u16::MAX)]
    TooMany,
    /// The engine is closing.
    #[error("the cluster is closed")]
    Closing,
    /// The system has no thread to give.
    #[error("a worker's threads could not be started: {0}")]
    NoThread(#[from] io::Error),
}

impl<J: Job + ?Sized> Engine<J> {
    /// Adds a group of slots with these amounts of resources, and starts its workers. It has the number that comes next.
    ///
    /// # Errors
    /// If there can be no such group. If the system has no thread to give, it is retired at once.
    pub fn add_group<'a>(
        self: &Arc<Self>,
        slots: usize,
        resources: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<GroupId, NoGroup> {
        let resources: Vec<_> = resources.into_iter().collect();
        let group = self.with(|locked| {
            if self.is_closing() {
                return Err(NoGroup::Closing);
            }
            let mut groups = (*locked.state.groups).clone();
            let number = u16::try_from(groups.len()).ok().filter(|number| *number < u16::MAX);
            let group = number.map(GroupId).ok_or(NoGroup::TooMany)?;
            groups.add(slots, resources)?;
            let made = groups.as_core()[usize::from(group.0)].clone();
            drop(locked.handle(Event::AddGroup(made)));
            locked.state.best_ready.push((group, unready()));
            locked.state.groups = Arc::new(groups);
            Ok(group)
        })?;
        for _ in 0..slots {
            if let Err(error) = self.start_worker(group) {
                self.retire_group(group);
                return Err(error.into());
            }
        }
        Ok(group)
    }

    /// Has a group begin nothing any more. Tasks that have begun there end there. Returns at once.
    pub fn retire_group(&self, group: GroupId) {
        self.with(|locked| {
            let mut groups = (*locked.state.groups).clone();
            groups.retire(group);
            locked.state.groups = Arc::new(groups);
            let answer = locked.handle(Event::RetireGroup(group));
            locked.take_back_here(answer.take_back);
        });
    }

    /// Returns true if this group is retired and its last worker has ended.
    #[must_use]
    pub fn is_gone(&self, group: GroupId) -> bool {
        self.with(|locked| locked.state.best_ready.iter().all(|(other, _)| *other != group))
    }

    /// Returns how many workers of this group have a task, also one that waits or has seceded.
    #[must_use]
    pub fn at_work(&self, group: GroupId) -> usize {
        self.with(|locked| locked.state.scheduler.at_work(group))
    }
}
