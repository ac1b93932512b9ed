//! What a dashboard may ask of an engine, whatever its tasks are made of.
//!
//! Counts are exact. Tasks are looked up by walks in portions, so that the lock is never held for
//! long. Jobs are asked for their keys outside the lock.

use super::engine::Engine;
use super::held::Held;
use super::job::Job;
use super::kind_names::{REST, REST_NAME};
use super::observe::Observations;
use super::processes::Processes;
use super::scopes_shown::OpenGroups;
use azolla_core::{BranchId, Counts, Durations, State, TaskId, TaskView};
use std::sync::Arc;
use std::time::Duration;

/// An engine, seen from outside. What it returns may be outdated a moment later.
pub trait Watch: Send + Sync {
    /// Counts, and the tree of growth.
    fn overview(&self) -> Overview;

    /// One portion of a walk over all tasks that are kept: those that the filter lets through. A
    /// walk begins at 0 and goes on at [`Tasks::next`].
    fn tasks(&self, filter: &Filter, from: usize) -> Tasks;

    /// One task, if it is kept.
    fn task(&self, task: TaskId) -> Option<TaskInfo>;

    /// What a task needs, and what needs it.
    fn kin(&self, task: TaskId) -> Kin;

    /// The bytes that the kept results take, estimated from a sample. Another `round` takes another
    /// sample.
    fn held(&self, round: usize) -> Held;

    /// The worker processes, if tasks run in such.
    fn processes(&self) -> Processes;

    /// The groups that are open.
    fn groups(&self) -> OpenGroups;

    /// Does the same as [`Engine::observe_runs`].
    fn observe_runs(&self, capacity: usize) -> Observations;

    /// Takes the tasks that have failed while a stream observed, with their errors in words, if
    /// known.
    fn failures(&self) -> Vec<(TaskInfo, Option<String>)>;

    /// Adds a failed task to those that [`failures`](Self::failures) returns. Returns false if
    /// there is no such task.
    fn show_failure(&self, task: TaskId) -> bool;

    /// Cancels a task, and with `subtree` all unfinished tasks that have grown from it. Of a group's
    /// gate it cancels what has grown in the group. Returns the number of these tasks.
    fn cancel(&self, task: TaskId, subtree: bool) -> usize;

    /// Returns true if the engine begins nothing any more.
    fn is_closing(&self) -> bool;
}

/// An engine's counts, and its tree of growth.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The time of these counts, since the engine was started.
    pub at: Duration,
    /// The number of tasks that may run at once.
    pub slots: usize,
    /// The number of tasks that began while a stream observed, and were too short to be shown each.
    pub left_out: u64,
    /// The numbers of tasks and workers.
    pub counts: Counts,
    /// Ready tasks by priority, highest first.
    pub queue: Vec<(f64, usize)>,
    /// The tree of growth, by the branches' numbers; 0 is its root, which has no tasks.
    pub branches: Vec<BranchInfo>,
}

/// All tasks of one function that have grown from those of another; see
#[derive(Clone, Debug)]
pub struct BranchInfo {
    /// The number of the branch that it hangs on.
    pub parent: u32,
    /// The name of the function.
    pub name: Arc<str>,
    /// The branches from which its tasks have grown, itself included.
    pub grown_from: Vec<Grown>,
    /// Tasks that ended with a result.
    pub finished: u64,
    /// Tasks that ended with an error.
    pub failed: u64,
    /// Tasks that will have no result.
    pub cancelled: u64,
    /// Tasks that ended lately: the last eighth or more.
    pub lately: u64,
    /// The times that tasks of this function took, in whatever branch.
    pub durations: Durations,
}

/// How many tasks of a branch have grown from those of another branch.
#[derive(Clone, Copy, Debug)]
pub struct Grown {
    /// The number of the branch that they have grown from.
    pub from: u32,
    /// How many.
    pub count: u64,
    /// How many while those tasks of that branch ended that ended lately.
    pub lately: u64,
}

impl BranchInfo {
    /// The number of tasks that there have been.
    #[must_use]
    pub fn submitted(&self) -> u64 {
        self.grown_from.iter().map(|grown| grown.count).sum()
    }

    /// The number of tasks that have ended.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.finished + self.failed + self.cancelled
    }
}

/// What is known of one task.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// Which task.
    pub task: TaskId,
    /// Its key.
    pub key: String,
    /// The name of its function.
    pub name: Arc<str>,
    /// The arguments of its call, cut short, as long as they are there.
    pub arguments: Option<String>,
    /// The span to which it belongs.
    pub span: Option<String>,
    /// Its state, and where it comes from.
    pub view: TaskView,
    /// True if it has begun and not ended. The scheduler hears of short tasks late, this does not.
    pub running: bool,
}

/// The tasks that a walk returns.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Those of one branch of the tree of growth.
    Branch(BranchId),
    /// Those that the task with this number has submitted.
    Parent(u64),
    /// The one with this number.
    Number(u64),
    /// Those that have failed.
    Failed,
    /// Those whose key contains this.
    Key(String),
}

/// A portion of a walk.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// The tasks that the filter let through.
    pub tasks: Vec<TaskInfo>,
    /// Where the walk goes on; `None` at its end.
    pub next: Option<usize>,
}

/// What a task needs, and what needs it: the tasks that are kept, at most a hundred of each.
#[derive(Clone, Debug, Default)]
pub struct Kin {
    /// The tasks whose results it needs. Known only until it has ended.
    pub inputs: Vec<TaskInfo>,
    /// The tasks that need its result, as long as it has not ended.
    pub dependents: Vec<TaskInfo>,
}

/// How many tasks are looked at in one hold of the lock.
const PORTION: usize = 1024;
/// The most inputs, and the most dependents, that are returned.
const RELATIVES: usize = 100;

type Found<J> = Vec<(TaskId, TaskView, Arc<J>)>;

impl<J: Job + ?Sized + 'static> Watch for Engine<J> {
    fn overview(&self) -> Overview {
        let (counts, queue, branches, edges, durations) = self.with(|locked| {
            let scheduler = &locked.state.scheduler;
            let queue: Vec<_> = scheduler.ready_by_priority().into_iter().take(100).collect();
            let branches = scheduler.branches().to_vec();
            let durations: Vec<_> =
                branches.iter().map(|branch| scheduler.durations(branch.kind)).collect();
            (scheduler.counts(), queue, branches, scheduler.edges().to_vec(), durations)
        });
        let mut branches: Vec<BranchInfo> = branches
            .iter()
            .zip(durations)
            .enumerate()
            .map(|(number, (branch, durations))| BranchInfo {
                parent: branch.parent.0,
                name: match BranchId(number as u32) {
                    BranchId::ROOT => "".into(),
                    BranchId::REST => REST_NAME.into(),
                    _ => self.kind_names.of(branch.kind),
                },
                grown_from: Vec::new(),
                finished: branch.finished,
                failed: branch.failed,
                cancelled: branch.cancelled,
                lately: branch.lately,
                durations,
            })
            .collect();
        for edge in edges.iter().filter(|edge| edge.count > 0) {
            let grown = Grown { from: edge.from.0, count: edge.count, lately: edge.lately };
            branches[edge.to.0 as usize].grown_from.push(grown);
        }
        let queue = queue.into_iter().map(|(priority, count)| (priority.number(), count)).collect();
        let (at, left_out) = (self.observer.elapsed(), self.observer.left_out());
        Overview { at, slots: self.slots(), left_out, counts, queue, branches }
    }

    fn processes(&self) -> Processes {
        self.runner().processes()
    }

    fn groups(&self) -> OpenGroups {
        self.open_groups()
    }

    fn tasks(&self, filter: &Filter, from: usize) -> Tasks {
        let (mut found, next) = self.portion(from, |view| match filter {
            Filter::Branch(branch) => view.branch == *branch,
            Filter::Parent(number) => view.lineage.parent == *number,
            Filter::Number(number) => view.lineage.number == *number,
            Filter::Failed => view.state == State::Failed,
            Filter::Key(_) => true,
        });
        if let Filter::Key(part) = filter {
            let has_it = |(_, _, job): &(TaskId, TaskView, Arc<J>)| job.key().contains(&**part);
            self.runner().asking(&mut || found.retain(has_it));
        }
        let tasks = self.told(found);
        Tasks { tasks, next }
    }

    fn task(&self, task: TaskId) -> Option<TaskInfo> {
        self.told(self.look_up(&[task])).pop()
    }

    fn kin(&self, task: TaskId) -> Kin {
        let (mut inputs, mut dependents) =
            self.with(|locked| locked.state.scheduler.neighbours(task));
        inputs.truncate(RELATIVES);
        dependents.truncate(RELATIVES);
        let told = |ids: &[TaskId]| self.told(self.look_up(ids));
        Kin { inputs: told(&inputs), dependents: told(&dependents) }
    }

    fn held(&self, round: usize) -> Held {
        self.sample_held(round)
    }

    fn observe_runs(&self, capacity: usize) -> Observations {
        Self::observe_runs(self, capacity)
    }

    fn failures(&self) -> Vec<(TaskInfo, Option<String>)> {
        let failed = self.take_failures();
        let mut told = Vec::new();
        self.runner().asking(&mut || {
            told = failed
                .iter()
                .filter_map(|job| {
                    let task = job.header().id()?;
                    let view = self.with(|locked| locked.state.scheduler.task(task));
                    let name: Arc<str> = job.name().into();
                    let (key, running) = (job.key(), job.header().is_running());
                    let (arguments, span) = (job.arguments(), job.span());
                    let view = view?;
                    let info = TaskInfo { task, key, name, arguments, span, view, running };
                    Some((info, job.error()))
                })
                .collect();
        });
        told
    }

    fn show_failure(&self, task: TaskId) -> bool {
        let job = self.payload(task);
        if let Some(job) = &job {
            Self::show_failure(self, job);
        }
        job.is_some()
    }

    fn cancel(&self, task: TaskId, subtree: bool) -> usize {
        let Some(job) = self.payload(task) else { return 0 };
        let view = self.with(|locked| locked.state.scheduler.task(task));
        let is_gate = view.is_some_and(|view| view.is_gate);
        let grown = if subtree || is_gate { self.live_growth(task) } else { 0 };
        match (is_gate, subtree) {
            (true, _) => self.cancel_grown(&*job, false),
            (false, true) => self.cancel_subtree(&*job),
            (false, false) => Self::cancel(self, &*job),
        }
        grown + usize::from(!is_gate)
    }

    fn is_closing(&self) -> bool {
        Self::is_closing(self)
    }
}

impl<J: Job + ?Sized + 'static> Engine<J> {
    /// The number of unfinished tasks that have grown from this one.
    fn live_growth(&self, task: TaskId) -> usize {
        self.with(|locked| locked.state.scheduler.grown_from(task).len())
    }

    fn portion(
        &self,
        from: usize,
        wanted: impl Fn(&TaskView) -> bool,
    ) -> (Found<J>, Option<usize>) {
        self.with(|locked| {
            let scheduler = &locked.state.scheduler;
            let (mut found, mut place) = (Vec::new(), from);
            for _ in 0..PORTION {
                let Some((next, id)) = scheduler.next_from(place) else { return (found, None) };
                place = next;
                let view = scheduler.task(id).filter(|view| !view.is_gate);
                if let Some(view) = view.filter(&wanted)
                    && let Some(job) = scheduler.payload(id)
                {
                    found.push((id, view, Arc::clone(job)));
                }
            }
            (found, Some(place))
        })
    }

    /// Those of these tasks that are kept, with their states.
    #[must_use]
    pub fn look_up(&self, ids: &[TaskId]) -> Vec<(TaskId, TaskView, Arc<J>)> {
        self.with(|locked| {
            let scheduler = &locked.state.scheduler;
            let found = ids.iter().filter_map(|id| {
                Some((*id, scheduler.task(*id)?, Arc::clone(scheduler.payload(*id)?)))
            });
            found.collect()
        })
    }

    /// Describes tasks. Asks them for their keys with nothing locked.
    fn told(&self, found: Found<J>) -> Vec<TaskInfo> {
        let mut told = Vec::new();
        if found.is_empty() {
            return told;
        }
        self.runner().asking(&mut || {
            told = found
                .iter()
                .map(|(task, view, job)| {
                    let name = match view.kind {
                        REST => job.name().into(),
                        kind => self.kind_names.of(kind),
                    };
                    let running = job.header().is_running();
                    let (key, span, arguments) = (job.key(), job.span(), job.arguments());
                    TaskInfo { task: *task, key, name, arguments, span, view: *view, running }
                })
                .collect();
        });
        told
    }
}
