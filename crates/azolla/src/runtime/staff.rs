//! How workers join an engine, leave it, and are replaced.
//!
//! A worker leaves when its thread drops it. If the thread has ended in the middle of its work, another worker takes over
//! its place, so that no slot is lost.

use super::engine::Engine;
use super::job::Job;
use super::locked::Run;
use super::worker::{Current, Worker};
use crate::primitives::atomic::{AtomicBool, Ordering};
use azolla_core::{Event, GroupId, Outcome};
use crossbeam_queue::SegQueue;
use std::io;
use std::sync::Arc;

/// The groups of workers that are to be replaced, and for which the system had no thread.
#[derive(Default)]
pub(super) struct Vacancies {
    groups: SegQueue<GroupId>,
    /// There may be some. Most engines never have any, so a look costs one load.
    any: AtomicBool,
}

impl<J: Job + ?Sized> Engine<J> {
    /// Has one more worker join a group, and starts its thread. Does nothing if the engine is
    /// closing.
    pub(crate) fn start_worker(self: &Arc<Self>, group: GroupId) -> io::Result<()> {
        let joined = self.with(|locked| {
            // Closing wakes all workers that have joined. Nothing would wake one that joins later.
            if self.is_closing() {
                return None;
            }
            let answer = locked.handle(Event::Join(group));
            locked.take_back_here(answer.take_back);
            let id = answer.joined?;
            let best = locked.state.best_ready.iter().find(|(other, _)| *other == group)?;
            Some((id, Arc::clone(&best.1), locked.parker(id)))
        });
        match joined {
            // If the runner has no thread for the worker, it drops it, and so the worker leaves.
            Some((id, best, parker)) => {
                self.runner.start(Worker::new(Arc::clone(self), id, group, parker, best))
            }
            None => Ok(()),
        }
    }

    /// Starts a worker in the place of one whose thread has ended. If the system has no thread, the next worker that
    /// rests or waits tries again.
    fn replace_worker(self: &Arc<Self>, group: GroupId) {
        if self.start_worker(group).is_err() {
            self.vacancies.groups.push(group);
            self.vacancies.any.store(true, Ordering::Release);
        }
    }

    /// Starts workers in the places that could not be filled before.
    pub(super) fn fill_vacancies(self: &Arc<Self>) {
        if self.vacancies.any.load(Ordering::Relaxed)
            && self.vacancies.any.swap(false, Ordering::AcqRel)
        {
            let vacant: Vec<_> = std::iter::from_fn(|| self.vacancies.groups.pop()).collect();
            for group in vacant {
                self.replace_worker(group);
            }
        }
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// Makes room for another worker, for a thread that is about to wait between two tasks: a destructor
    /// waits there. The thread leaves the engine, and ends when it next asks for a task.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn step_aside(&mut self) -> io::Result<()> {
        if !self.hand.retired && !self.engine.is_closing() {
            self.engine.start_worker(self.group)?;
            self.leave();
            self.hand.retired = true;
            // The thread may go to sleep as it was told before. The engine knows this parker no longer.
            self.parker.unpark();
        }
        Ok(())
    }

    /// Returns true if the worker has [stepped aside](Self::step_aside): another one runs its next task.
    #[must_use]
    pub fn has_stepped_aside(&self) -> bool {
        self.hand.retired
    }

    fn leave(&mut self) {
        let took = self.hand.took();
        self.engine.with_hand(&mut self.hand, false, |locked, hand| {
            hand.tell(locked, self.id, took);
            // The engine may have handed over the next task just now. It has not begun, so another worker runs it.
            if let Some(Current { task, job, .. }) = hand.current.take() {
                hand.let_another_run(locked, self.id, task, job);
            }
            while let Some(Run { task, job, .. }) = hand.ahead.pop_front() {
                hand.let_another_run(locked, self.id, task, job);
            }
            hand.give_back(locked);
            if !hand.retired {
                let answer = locked.handle(Event::Leave(self.id));
                hand.take_back(answer.take_back, locked);
            }
        });
    }
}

impl<J: Job + ?Sized> Drop for Worker<J> {
    fn drop(&mut self) {
        while let Some(job) = self.job() {
            job.fail_by_engine("the thread that ran this task has ended in the middle of it");
            drop(self.finish(Outcome::Failed));
            self.hand.lift();
        }
        self.leave();
        while let Some(gone) = self.next_gone() {
            drop(gone);
        }
        self.parker.end();
        // A worker that never began was dropped by a runner that had no thread for it.
        if !self.hand.new && !self.hand.retired {
            self.engine.replace_worker(self.group);
        }
    }
}
