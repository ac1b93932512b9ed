//! Plain-data snapshots of what the scheduler knows.

use crate::constraint::{Amount, GroupId, ResourceId};
use crate::durations::Durations;
use crate::few::Few;
use crate::growth::{Branch, BranchId, Edge};
use crate::id::{Key, Kind, Priority, TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::{Lineage, State, Want};
use alloc::vec::Vec;

/// How many of what there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks ever submitted.
    pub submitted: u64,
    /// Tasks that have ended, however.
    pub settled: u64,
    /// Tasks submitted and not ended.
    pub live: u64,
    /// The most that were live at once.
    pub peak_live: u64,
    /// Tasks that the scheduler keeps, ended ones that somebody wants included.
    pub kept: usize,
    /// Tasks in the ready queue.
    pub ready: usize,
    /// Tasks that could be there, but that no group can ever run.
    pub unrunnable: usize,
    /// Tasks pulled and not seen to begin.
    pub claimed: usize,
    /// Workers that hold a slot.
    pub busy: usize,
    /// Tasks that wait in the middle of running.
    pub parked: usize,
    /// Tasks that run without a slot.
    pub seceded: usize,
    /// Tasks that go on without a worker (async work), those included that wait to be woken.
    pub detached: usize,
    /// Workers, whatever they do.
    pub workers: usize,
}

/// What is known of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Where it stands.
    pub state: State,
    /// Where it stands in the tree of growth.
    pub lineage: Lineage,
    /// How urgent it is.
    pub priority: Priority,
    /// Which function it is.
    pub kind: Kind,
    /// Where in the tree of growth it is counted.
    pub branch: BranchId,
    /// It is ready, but no group can ever run it.
    pub unrunnable: bool,
}

impl<P: Clone> Scheduler<P> {
    /// Counts, without walking anything.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let tally = self.workers.tally();
        Counts {
            submitted: self.totals.submitted,
            settled: self.totals.settled,
            live: self.totals.live,
            peak_live: self.totals.peak_live,
            kept: self.tasks.len(),
            ready: self.ready.len() + self.sets.ready_tasks(),
            unrunnable: self.sets.unrunnable(),
            claimed: self.totals.claimed,
            busy: tally.active + tally.waking,
            parked: tally.lent(),
            seceded: tally.seceded,
            detached: self.totals.detached,
            workers: tally.all(),
        }
    }

    /// One task, or `None` if it is gone.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<TaskView> {
        let task = self.tasks.get(id)?;
        let (state, lineage) = (task.state, task.grown.lineage());
        let (priority, kind, branch) = (task.priority, task.kind, task.grown.branch());
        let unrunnable = self.is_unrunnable(id);
        Some(TaskView { state, lineage, priority, kind, branch, unrunnable })
    }

    /// How a task stands that is kept.
    #[must_use]
    pub fn state(&self, id: TaskId) -> Option<State> {
        self.tasks.get(id).map(|task| task.state)
    }

    /// What the driver gave with this task, or `None` if it is gone.
    #[must_use]
    pub fn payload(&self, id: TaskId) -> Option<&P> {
        self.tasks.get(id).map(|task| &task.payload)
    }

    /// What the driver gave with each task.
    pub fn payloads(&self) -> impl Iterator<Item = &P> {
        self.tasks.iter().map(|(_, task)| &task.payload)
    }

    /// The first task kept at or after `place`, and the place to go on from: a walk over all tasks
    /// in portions, while they come and go.
    #[must_use]
    pub fn next_from(&self, place: usize) -> Option<(usize, TaskId)> {
        self.tasks.next_from(place)
    }

    /// One more than the last place where a task may be kept.
    #[must_use]
    pub fn places(&self) -> usize {
        self.tasks.places()
    }

    /// Whether this task runs to its end though nobody may be left who wants it.
    #[must_use]
    pub fn is_kept(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| task.wants.has(Want::Keep))
    }

    /// The task that has this key.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<TaskId> {
        self.tasks.find(key)
    }

    /// The priority that a task claimed in this group must have so that nothing comes before it: that
    /// of the best task that the group could begin, or [`Priority::MAX`] when a waiting task wants a
    /// slot of the group back.
    #[inline]
    #[must_use]
    pub fn best_ready(&self, group: GroupId) -> Priority {
        if self.workers.lent() > 0 && self.workers.group(group).tally.resuming > 0 {
            return Priority::MAX;
        }
        self.best_for(group).unwrap_or(Priority::MIN)
    }

    /// How many tasks are ready at each priority, highest first.
    #[must_use]
    pub fn ready_by_priority(&self) -> Vec<(Priority, usize)> {
        let sets = self.sets.ready().flat_map(|(_, set)| set.queue.counts());
        let mut counts: Vec<_> = self.ready.counts().chain(sets).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        counts.dedup_by(|next, first| {
            let same = next.0 == first.0;
            first.1 += if same { next.1 } else { 0 };
            same
        });
        counts
    }

    /// The group of a worker, also of one that is gone: its number is dealt out in this group again.
    #[must_use]
    pub fn group_of(&self, worker: WorkerId) -> Option<GroupId> {
        self.workers.group_of(worker)
    }

    /// How much of a resource no task has taken in this group.
    #[must_use]
    pub fn available(&self, group: GroupId, resource: ResourceId) -> Amount {
        self.workers.group(group).stock(resource).available
    }

    /// The branches of the tree of growth, by their numbers; there are at most a thousand.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.growth.branches
    }

    /// How many tasks have grown from which branch into which.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.growth.edges
    }

    /// How long tasks of this kind took.
    #[must_use]
    pub fn durations(&self, kind: Kind) -> Durations {
        self.kinds.durations(kind)
    }

    /// A task's number, and whether it is likely to take less than some 20 µs: for those who
    /// sample, and look closer at few.
    #[must_use]
    #[inline]
    pub fn glance(&self, id: TaskId) -> Option<(u64, bool)> {
        let task = self.tasks.get(id)?;
        Some((task.grown.number(), self.kinds.is_short(task.kind)))
    }

    /// The tasks whose results this one needs, and those that need its own. Of those that have
    /// ended neither is known any more, but for failed ones.
    #[must_use]
    pub fn neighbours(&self, id: TaskId) -> (Vec<TaskId>, Vec<TaskId>) {
        let Some(task) = self.tasks.get(id) else { return (Vec::new(), Vec::new()) };
        let kept = |ids: &Few| ids.iter().filter(|id| self.tasks.get(*id).is_some()).collect();
        (kept(&task.inputs), kept(&task.dependents))
    }
}
