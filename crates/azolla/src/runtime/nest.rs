//! Waiting for tasks by running them, on the stack of the one that waits.
//!
//! For front ends whose tasks may run in the middle of others on one thread. Where it waits for all
//! of them, a task could not go on before those that run on top of it, so nothing is held up; and
//! no thread has to be woken to take over the slot.

use super::job::Job;
use super::locked::Locked;
use super::observe::What;
use super::wait::{WaitError, cycle};
use super::worker::Worker;
use azolla_core::{Event, Outcome, Refusal, State, TaskId, Wait};
use std::sync::Arc;

/// The most tasks that wait below one another on one stack.
const DEEPEST: usize = 16;

/// A wait of a worker's task for all of several others.
pub struct Nested {
    tasks: Arc<Vec<TaskId>>,
    /// How many of them have been looked at.
    looked_at: usize,
}

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Has the current task wait for all of these, so that it may run them meanwhile. `None`: it is
    /// to wait in the ordinary way, for there is none that could run, or enough run on this stack.
    ///
    /// # Errors
    /// [`WaitError::Cycle`].
    pub fn nest<E>(&mut self, jobs: &[Arc<J>]) -> Result<Option<Nested>, WaitError<E>> {
        let number = self.engine.number;
        let has_slot = self.hand.current.as_ref().is_some_and(|current| !current.seceded);
        if !has_slot || self.hand.below.len() >= DEEPEST || self.engine.is_closing() {
            return Ok(None);
        }
        let tasks: Vec<_> = jobs.iter().filter_map(|job| job.header().id_in(number)).collect();
        if tasks.len() < jobs.len() {
            return Ok(None);
        }
        let tasks = Arc::new(tasks);
        let wait = Wait { tasks: Arc::clone(&tasks), all: true };
        let begun = self.engine.with(|locked| {
            self.hand.tell(locked, self.id);
            if !tasks.iter().any(|task| may_run(locked, *task)) {
                return Ok(false);
            }
            self.hand.say_begun(locked, self.id);
            match locked.handle(Event::Nest { worker: self.id, wait }).refused {
                Some(Refusal::Cycle(path)) => Err(cycle(locked, &path)),
                Some(_) => Ok(false),
                None => Ok(true),
            }
        });
        self.hand.let_go();
        match begun {
            Ok(false) => Ok(None),
            Ok(true) => {
                self.note(What::Parked { worker: self.id.0 });
                self.hand.lay_below();
                Ok(Some(Nested { tasks, looked_at: 0 }))
            }
            Err(jobs) => Err(WaitError::Cycle(jobs.iter().map(|job| job.key()).collect())),
        }
    }

    /// The next task to run in the middle of the one that waits; then say how it ended by
    /// [`finish_nested`](Self::finish_nested). `None`: the one that waits is the current one again.
    pub fn next_nested(&mut self, nested: &mut Nested) -> Option<Arc<J>> {
        self.engine.with(|locked| {
            self.hand.tell(locked, self.id);
            while let Some(task) = nested.tasks.get(nested.looked_at) {
                let at = nested.looked_at;
                nested.looked_at += 1;
                if !locked.payload(*task).is_some_and(|job| job.header().is_settled()) {
                    take_back(locked, *task);
                    drop(locked.handle(Event::RunNested { worker: self.id, at }));
                    self.hand.take(locked);
                    if self.hand.current.is_some() {
                        return;
                    }
                }
            }
            drop(locked.handle(Event::Unnest(self.id)));
        });
        if self.hand.current.is_none() {
            self.hand.lift();
            self.note(What::Resumed { worker: self.id.0 });
            return None;
        }
        self.begins();
        self.job().map(Arc::clone)
    }

    /// As [`finish`](Self::finish) for a task that ran in the middle of another. That goes on with
    /// the slot, so one that has given it up waits for one first.
    pub fn finish_nested(&mut self, outcome: Outcome) {
        // At the end there is none to wait for, and none is needed.
        drop(self.rejoin());
        self.finish(outcome);
    }
}

fn may_run<J: Job + ?Sized>(locked: &Locked<'_, J>, task: TaskId) -> bool {
    let state = locked.state.scheduler.task(task).map(|task| task.state);
    matches!(state, Some(State::Ready | State::Claimed { .. }))
}

/// Takes a task back that another worker has claimed and not begun.
fn take_back<J: Job + ?Sized>(locked: &mut Locked<'_, J>, task: TaskId) {
    let state = locked.state.scheduler.task(task).map(|task| task.state);
    if matches!(state, Some(State::Claimed { .. }))
        && locked.payload(task).is_some_and(|job| job.header().take_back())
    {
        drop(locked.handle(Event::Unclaim(task)));
    }
}
