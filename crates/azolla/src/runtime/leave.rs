//! What becomes of the tasks of one client among several. A client leaves the engine: the tasks that were only its own
//! are cancelled. A client cancels a task: what other clients want is told apart.

use super::engine::{Engine, PORTION};
use super::header::Header;
use super::job::Job;
use azolla_core::{Event, TaskId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A task that has not ended.
struct Unfinished {
    /// The task belongs to the client that leaves, and may be cancelled.
    theirs: bool,
    inputs: Vec<TaskId>,
}

impl<J: Job + ?Sized> Engine<J> {
    /// Returns true if tasks that have not ended need the result of this one.
    #[must_use]
    pub fn is_input(&self, job: &J) -> bool {
        let task = job.header().id();
        task.is_some_and(|task| self.with(|locked| locked.state.scheduler.is_input(task)))
    }

    /// Cancels the unfinished tasks that are `theirs`, except those that must run to their end in
    /// any case and those that other tasks need. It looks at all tasks in portions, while tasks
    /// come and go.
    pub(crate) fn cancel_those(&self, theirs: impl Fn(&Header) -> bool) {
        let unfinished = self.unfinished(theirs);
        let mut needed: Vec<TaskId> = Vec::new();
        for task in unfinished.values().filter(|task| !task.theirs) {
            needed.extend(&task.inputs);
        }
        let mut doomed = unfinished;
        doomed.retain(|_, task| task.theirs);
        while let Some(task) = needed.pop() {
            if let Some(task) = doomed.remove(&task) {
                needed.extend(task.inputs);
            }
        }
        let doomed: Vec<TaskId> = doomed.into_keys().collect();
        for portion in doomed.chunks(PORTION) {
            self.with(|locked| {
                // What belongs to a scope of theirs is kept for that alone.
                let is_gate = |task: &&TaskId| {
                    let view = locked.state.scheduler.task(**task);
                    view.is_some_and(|view| view.is_gate)
                };
                let gates: Vec<TaskId> = portion.iter().filter(is_gate).copied().collect();
                gates.into_iter().for_each(|gate| {
                    drop(locked.handle(Event::CancelGrown { task: gate, interrupt: false }))
                });
            });
        }
        for portion in doomed.chunks(PORTION) {
            self.with(|locked| {
                for task in portion {
                    // The scheduler may not have heard of an end that a future shows already. Such
                    // a task has ended.
                    if locked.payload(*task).is_some_and(|job| job.header().cancel_pending()) {
                        drop(locked.handle(Event::Cancel(*task)));
                    }
                }
            });
        }
    }

    /// Parts a task and the unfinished tasks that depend on it, at any distance. First come those that are wanted, with
    /// all that they need; then the others. It looks in portions, while tasks come and go.
    pub fn part(
        &self,
        task: TaskId,
        is_wanted: impl Fn(&Arc<J>) -> bool,
    ) -> (Vec<Arc<J>>, Vec<Arc<J>>) {
        let mut found: FxHashMap<TaskId, (Arc<J>, Vec<TaskId>)> = FxHashMap::default();
        let mut next = vec![task];
        while !next.is_empty() {
            self.with(|locked| {
                for _ in 0..PORTION {
                    let Some(id) = next.pop() else { break };
                    if found.contains_key(&id) {
                        continue;
                    }
                    let Some(job) = locked.payload(id) else { continue };
                    let dependents = locked.state.scheduler.neighbours(id).1;
                    next.extend(&dependents);
                    found.insert(id, (job, dependents));
                }
            });
        }
        let mut inputs: FxHashMap<TaskId, Vec<TaskId>> = FxHashMap::default();
        for (id, (_, dependents)) in &found {
            for dependent in dependents {
                inputs.entry(*dependent).or_default().push(*id);
            }
        }
        let wanted = found.iter().filter(|(_, (job, _))| is_wanted(job));
        let mut needed: Vec<TaskId> = wanted.map(|(id, _)| *id).collect();
        let mut kept = Vec::new();
        while let Some(id) = needed.pop() {
            if let Some((job, _)) = found.remove(&id) {
                kept.push(job);
                needed.extend(inputs.remove(&id).unwrap_or_default());
            }
        }
        (kept, found.into_values().map(|(job, _)| job).collect())
    }

    fn unfinished(&self, theirs: impl Fn(&Header) -> bool) -> FxHashMap<TaskId, Unfinished> {
        let (mut unfinished, mut place) = (FxHashMap::default(), Some(0));
        while let Some(from) = place {
            place = self.with(|locked| {
                let scheduler = &locked.state.scheduler;
                let mut next = from;
                for _ in 0..PORTION {
                    let (after, task) = scheduler.next_from(next)?;
                    next = after;
                    if scheduler.task(task).is_some_and(|view| !view.state.is_settled())
                        && let Some(job) = scheduler.payload(task)
                    {
                        let theirs = theirs(job.header()) && !scheduler.is_kept(task);
                        let inputs = scheduler.neighbours(task).0;
                        unfinished.insert(task, Unfinished { theirs, inputs });
                    }
                }
                Some(next)
            });
        }
        unfinished
    }
}
