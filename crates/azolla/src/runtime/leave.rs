//! A client leaves an engine that other clients go on using: the tasks that were only its own are
//! cancelled.

use super::engine::{Engine, PORTION};
use super::header::Header;
use super::job::Job;
use azolla_core::{Event, TaskId};
use rustc_hash::FxHashMap;

/// A task that has not ended.
struct Unfinished {
    /// The task belongs to the client that leaves, and may be cancelled.
    theirs: bool,
    inputs: Vec<TaskId>,
}

impl<J: Job + ?Sized> Engine<J> {
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
