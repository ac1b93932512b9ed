//! Plain-data snapshots of what the scheduler knows.

use crate::constraint::{Amount, GroupId, ResourceId};
use crate::durations::Durations;
use crate::families::Tally;
use crate::few::Few;
use crate::growth::{Branch, BranchId, Edge};
use crate::id::{Key, Kind, Priority, TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::sets::Fit;
use crate::task::{Lineage, State, Want};
use alloc::vec::Vec;

/// How many tasks and workers there are, by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks ever submitted.
    pub submitted: u64,
    /// Tasks that have ended, with a result, an error or a cancellation.
    pub settled: u64,
    /// Of these: tasks that ended with an error.
    pub failed: u64,
    /// Of these: tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks submitted and not ended.
    pub live: u64,
    /// The most that were live at once.
    pub peak_live: u64,
    /// Tasks that the scheduler keeps, including ended ones that are wanted.
    pub kept: usize,
    /// Tasks that are ready and that some group can run.
    pub ready: usize,
    /// Tasks that are ready, but that no group can ever run.
    pub unrunnable: usize,
    /// Tasks that are claimed.
    pub claimed: usize,
    /// Workers that hold a slot.
    pub busy: usize,
    /// Workers that have lent their slot: their task waits in the middle of running, or queues to
    /// go on.
    pub parked: usize,
    /// Workers whose task has seceded.
    pub seceded: usize,
    /// Tasks that go on without a worker (async work), including those that wait to be woken.
    pub detached: usize,
    /// All workers.
    pub workers: usize,
}

/// What is known of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its state.
    pub state: State,
    /// Its place in the tree of growth.
    pub lineage: Lineage,
    /// How urgent it is.
    pub priority: Priority,
    /// Which function it is.
    pub kind: Kind,
    /// The branch of the tree of growth that counts it.
    pub branch: BranchId,
    /// It is ready, but no group can ever run it.
    pub unrunnable: bool,
    /// It is a scope or a watch of growth, which runs nowhere.
    pub is_gate: bool,
}

/// What is known of one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeView {
    /// The number of its gate among all tasks.
    pub number: u64,
    /// Its own tasks, without those of the scopes within it.
    pub tally: Tally,
    /// The gate of the scope that it is directly in.
    pub around: Option<TaskId>,
    /// It is closed, and has not ended.
    pub is_closed: bool,
}

impl<P: Clone> Scheduler<P> {
    /// Returns the counts. They are kept, so no task is looked at.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let tally = self.workers.tally();
        let sum = |f: fn(&Branch) -> u64| self.growth.branches.iter().map(f).sum();
        Counts {
            submitted: self.totals.submitted,
            settled: self.totals.settled,
            failed: sum(|branch| branch.failed),
            cancelled: sum(|branch| branch.cancelled),
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

    /// Returns what is known of a task, or `None` if it is gone.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<TaskView> {
        let task = self.tasks.get(id)?;
        let (state, lineage) = (task.state, self.tasks.lineage(task.grown));
        let (priority, kind, branch) = (task.priority, task.kind, task.grown.branch());
        let unrunnable = self.is_unrunnable(id);
        let is_gate = task.rare.is_gate();
        Some(TaskView { state, lineage, priority, kind, branch, unrunnable, is_gate })
    }

    /// Returns the state of a task, or `None` if it is gone.
    #[must_use]
    pub fn state(&self, id: TaskId) -> Option<State> {
        self.tasks.get(id).map(|task| task.state)
    }

    /// Returns the payload of a task, or `None` if it is gone.
    #[must_use]
    pub fn payload(&self, id: TaskId) -> Option<&P> {
        self.tasks.get(id).map(|task| &task.payload)
    }

    /// Returns the payloads of all tasks.
    pub fn payloads(&self) -> impl Iterator<Item = &P> {
        self.tasks.iter().map(|(_, task)| &task.payload)
    }

    /// Returns the first task at or after `place`, and the place to continue from. For walks over
    /// all tasks in portions, while tasks come and go.
    #[must_use]
    pub fn next_from(&self, place: usize) -> Option<(usize, TaskId)> {
        self.tasks.next_from(place)
    }

    /// Returns one more than the last place where a task may be kept.
    #[must_use]
    pub fn places(&self) -> usize {
        self.tasks.places()
    }

    /// Returns whether this task runs to its end even if nothing else wants it.
    #[must_use]
    pub fn is_kept(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| task.wants.has(Want::Keep))
    }

    /// Returns the task that has this key.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<TaskId> {
        self.tasks.find(key)
    }

    /// Returns the priority that a claim of a worker in this group must have to begin. It is the
    /// priority of the best task that the group could begin, or [`Priority::MAX`] when a waiting
    /// task wants a slot of the group back, or the group is retired.
    #[inline]
    #[must_use]
    pub fn best_ready(&self, group: GroupId) -> Priority {
        if self.workers.begins_nothing(group) {
            return Priority::MAX;
        }
        self.best_for(group).unwrap_or(Priority::MIN)
    }

    /// Returns how many tasks are ready at each priority, highest first.
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

    /// Returns the group of a worker, even of one that is gone. Its number is only used again in
    /// this group.
    #[must_use]
    pub fn group_of(&self, worker: WorkerId) -> Option<GroupId> {
        self.workers.group_of(worker)
    }

    /// Returns how many tasks may run at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.workers.slots()
    }

    /// Returns how many workers of this group have something to do: all but those that sleep.
    #[must_use]
    pub fn at_work(&self, group: GroupId) -> usize {
        let tally = &self.workers.group(group).tally;
        tally.all() - tally.asleep - tally.summoned
    }

    /// Returns how much of a resource no task has taken in this group.
    #[must_use]
    pub fn available(&self, group: GroupId, resource: ResourceId) -> Amount {
        self.workers.group(group).stock(resource).available
    }

    /// Returns whether the constraint of a task, if it has one, lets this group run it.
    #[must_use]
    pub fn may_run_in(&self, id: TaskId, group: GroupId) -> bool {
        self.tasks.get(id).is_some_and(|task| match self.tasks.set(task.rare) {
            Some(set) => self.sets.get(set).fit(group) != Fit::Never,
            None => self.workers.group(group).slots > 0,
        })
    }

    /// Returns whether a task that waits for this one may run it on its own stack: this one can begin, and is of
    /// a kind that takes less than some 20 µs. Below one that takes long, a wait that is given up could not end.
    #[must_use]
    pub fn may_nest(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| {
            matches!(task.state, State::Ready | State::Claimed { .. })
                && self.kinds.is_short(task.kind)
        })
    }

    /// Returns the branches of the tree of growth, by their numbers. There are at most 1001.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.growth.branches
    }

    /// Returns how many tasks have grown from which branch into which.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.growth.edges
    }

    /// Returns how long tasks of this kind took.
    #[must_use]
    pub fn durations(&self, kind: Kind) -> Durations {
        self.kinds.durations(kind)
    }

    /// Returns a task's number, and whether its kind takes less than some 20 µs on average. For an
    /// observer that samples short tasks.
    #[must_use]
    #[inline]
    pub fn glance(&self, id: TaskId) -> Option<(u64, bool)> {
        let task = self.tasks.get(id)?;
        Some((task.grown.number(), self.kinds.is_short(task.kind)))
    }

    /// Returns the tasks whose results this task needs, and the tasks that need its own. A task
    /// that has ended has neither any more, except that a failed one has its inputs.
    #[must_use]
    pub fn neighbours(&self, id: TaskId) -> (Vec<TaskId>, Vec<TaskId>) {
        let Some(task) = self.tasks.get(id) else { return (Vec::new(), Vec::new()) };
        let kept = |ids: &Few| ids.iter().filter(|id| self.tasks.get(*id).is_some()).collect();
        (kept(&task.inputs), kept(&task.dependents))
    }

    /// Returns whether tasks that have not ended need the result of this one.
    #[must_use]
    pub fn is_input(&self, task: TaskId) -> bool {
        self.tasks.get(task).is_some_and(|task| task.wants.dependents() > 0)
    }
}
