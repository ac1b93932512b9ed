//! The engine: the scheduler behind its lock.
//!
//! Every use of the scheduler goes through [`Engine::with`]. Under the lock, it handles events and
//! carries out those effects that only touch headers. After it has released the lock, it wakes
//! sleepers, calls listeners and drops payloads. While the lock is held, no user code runs, no
//! value is dropped and no thread is woken.

use super::garbage::let_go;
use super::groups::Groups;
use super::header::{Header, Status};
use super::job::{Job, Runner, Submission};
use super::kind_names::KindNames;
use super::locked::{After, Locked, State, set_locked};
use super::names::Names;
use super::observe::{Keeps, Observations, Observer, What};
use super::staff::Vacancies;
use crate::primitives::atomic::{AtomicBool, Ordering};
use crate::primitives::{Mutex, MutexGuard};
use azolla_core::{Counts, Event, GroupId, Key, Outcome, TaskId, TaskView, WorkerId};
use crossbeam_queue::ArrayQueue;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// A scheduler, and the workers that it feeds.
pub struct Engine<J: Job + ?Sized> {
    pub(super) state: Mutex<State<J>>,
    pub(super) closing: AtomicBool,
    pub(super) broken: AtomicBool,
    /// Somebody waits for all that has grown somewhere, and few of it are live: each end is told at once.
    pub(super) is_urgent: AtomicBool,
    pub(super) observer: Observer,
    pub(super) kind_names: KindNames,
    /// Tasks that have failed while a stream observes, kept until a watcher asks for their errors.
    pub(super) failures: ArrayQueue<Arc<J>>,
    /// No other engine of this process has this number.
    pub(super) number: u32,
    names: Names,
    pub(super) runner: Box<dyn Runner<J>>,
    pub(super) vacancies: Vacancies,
}

/// The most failed tasks that are kept for a watcher.
const FAILURES: usize = 64;

/// The number of engines that this process has started.
static ENGINES: AtomicU32 = AtomicU32::new(0);

impl<J: Job + ?Sized> Engine<J> {
    /// Starts an engine with a worker for each slot of these groups.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(groups: Groups, runner: Box<dyn Runner<J>>) -> io::Result<Arc<Self>> {
        let places: Vec<_> = groups.all().map(|group| (group, groups.slots_of(group))).collect();
        let engine = Arc::new(Self {
            state: Mutex::new(State::new(groups, runner.short())),
            closing: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            is_urgent: AtomicBool::new(false),
            observer: Observer::new(),
            kind_names: KindNames::default(),
            failures: ArrayQueue::new(FAILURES),
            number: ENGINES.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            names: Names::new(),
            runner,
            vacancies: Vacancies::default(),
        });
        for (group, slots) in places {
            for _ in 0..slots {
                if let Err(error) = engine.start_worker(group) {
                    engine.close();
                    return Err(error);
                }
            }
        }
        Ok(engine)
    }

    /// The engine's number among those of this process, counted from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The number of tasks that may run at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.groups().slots()
    }

    /// The groups that the slots are in.
    #[must_use]
    pub fn groups(&self) -> Arc<Groups> {
        self.with(|locked| Arc::clone(&locked.state.groups))
    }

    /// The group of the worker with this number, if there is such a worker.
    #[must_use]
    pub fn group_of(&self, worker: u32) -> Option<GroupId> {
        self.with(|locked| locked.state.scheduler.group_of(WorkerId(worker)))
    }

    /// What can be found by name in this engine.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The runner that the engine was started with.
    #[must_use]
    pub fn runner(&self) -> &dyn Runner<J> {
        &*self.runner
    }

    /// Returns true if the engine begins nothing any more, because it was closed or has broken
    /// down.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns true if a bug in the engine has ended it.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Submits a task. If a task with the same key is kept already, returns that one, with one more
    /// future on it, and drops the new one. If the engine is closing, the task is cancelled.
    pub fn submit(&self, submission: Submission<J>) -> Option<Arc<J>> {
        if submission.call {
            // The actor's next call waits for the end of this one.
            submission.payload.header().watch();
        }
        self.with(|locked| locked.submit(submission))
    }

    /// Takes in a job whose cell holds its result already. Returns the job that has the key, if
    /// there is one, as [`submit`](Self::submit) does.
    pub fn put(&self, job: Arc<J>, key: Option<Key>) -> Option<Arc<J>> {
        job.header().settle(false);
        let submission = Submission { key, ..Submission::new(Arc::clone(&job), 0) };
        self.with(|locked| {
            let existing = locked.submit(submission);
            if let Some(task) = job.header().id()
                && existing.is_none()
            {
                let outcome = Outcome::Done;
                drop(locked.handle(Event::Finish { worker: None, task, outcome, took: 0 }));
                let ended = What::Ended { worker: None, status: Status::Finished };
                self.observer.note_all(task, ended);
            }
            existing
        })
    }

    /// Submits many tasks, several in one hold of the lock. Returns the jobs whose key existed
    /// already, each with the position of its submission.
    pub fn submit_all(
        &self,
        submissions: impl IntoIterator<Item = Submission<J>>,
    ) -> Vec<(usize, Arc<J>)> {
        let mut submissions = submissions.into_iter();
        let mut existing = Vec::new();
        let mut portion: Vec<Submission<J>> = Vec::new();
        let mut place = 0;
        loop {
            // The iterator is the caller's code, so it runs before the lock is taken.
            portion.extend(submissions.by_ref().take(PORTION));
            if portion.is_empty() {
                return existing;
            }
            self.with(|locked| {
                for submission in portion.drain(..) {
                    existing.extend(locked.submit(submission).map(|job| (place, job)));
                    place += 1;
                }
            });
        }
    }

    /// Records that the last future on this task is gone. If that is the end of the task, the scheduler lets go
    /// of it. The caller still has the job, and is to drop it within [`dropping`](super::dropping).
    pub fn release(&self, header: &Header) {
        let Some(task) = header.id() else { return };
        if let Some(job) = self.with(|locked| locked.release(task)) {
            let_go(Some(self), job);
        }
    }

    /// Has the task run to its end even if no future is left.
    pub fn keep(&self, job: &J) {
        self.about(job, Event::Keep);
    }

    /// Cancels a task and what depends on it.
    pub fn cancel(&self, job: &J) {
        self.about(job, Event::Cancel);
    }

    /// Runs a failed task again.
    pub fn retry(&self, job: &J) {
        self.about(job, Event::Retry);
    }

    pub(super) fn about(&self, job: &J, event: impl FnOnce(TaskId) -> Event<Arc<J>>) {
        if let Some(task) = job.header().id() {
            self.with(|locked| drop(locked.handle(event(task))));
        }
    }

    /// The job with this key, with one more future on it.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<Arc<J>> {
        self.with(|locked| {
            let task = locked.state.scheduler.find(key)?;
            locked.add_future(task)
        })
    }

    /// The task with this key.
    #[must_use]
    pub fn task_of(&self, key: Key) -> Option<TaskId> {
        self.with(|locked| locked.state.scheduler.find(key))
    }

    /// The time since the engine was started, from which observations count.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.observer.elapsed()
    }

    /// The job of this task, with one more future on it, if the task is still kept.
    #[must_use]
    pub fn find_task(&self, task: TaskId) -> Option<Arc<J>> {
        self.with(|locked| locked.add_future(task))
    }

    /// Reports the end of a task that ended without a worker. Its cell holds the result or error.
    /// `took` includes the time that it ran on its worker.
    pub fn finish_detached(&self, job: &J, failed: bool, took: Duration) {
        let header = job.header();
        let Some(task) = header.id() else { return };
        let outcome = if failed { Outcome::Failed } else { Outcome::Done };
        // The note comes first, so that a thread that sees the end finds the note.
        self.observer.note_end(task, None, header, failed);
        let took = took.as_nanos() as u64;
        if !failed {
            header.settle(false);
        }
        self.with(|locked| {
            // As with workers, a failure shows only when the scheduler has heard of it.
            match locked.payload(task) {
                Some(job) if failed => locked.fail(&job),
                _ => {}
            }
            drop(locked.handle(Event::Finish { worker: None, task, outcome, took }));
        });
        if failed
            && self.observer.is_on()
            && let Some(job) = self.payload(task)
        {
            self.show_failure(&job);
        }
    }

    /// What the scheduler knows of a task, if the task is kept.
    #[must_use]
    pub fn view(&self, task: TaskId) -> Option<TaskView> {
        self.with(|locked| locked.state.scheduler.task(task))
    }

    pub(super) fn payload(&self, task: TaskId) -> Option<Arc<J>> {
        self.with(|locked| locked.payload(task))
    }

    /// Queues a task that ran without a worker for another attempt.
    pub fn again_detached(&self, job: &J) {
        let outcome = Outcome::Again;
        if let Some(task) = job.header().id() {
            job.header().unbegin();
            self.with(|locked| {
                drop(locked.handle(Event::Finish { worker: None, task, outcome, took: 0 }));
            });
        }
    }

    /// Wakes a task that is polled: a suspended one is queued, and one that is just being polled is
    /// polled once more. Never blocks for long, wherever it is called.
    pub fn wake(&self, header: &Header) {
        if header.wake()
            && let Some(task) = header.id()
        {
            let wake = Event::Wake { task, yields: false };
            self.with(|locked| drop(locked.handle(wake)));
        }
    }

    /// Begins to observe what happens. Up to `capacity` observations are kept until they are taken;
    /// those beyond that are dropped and counted.
    #[must_use]
    pub fn observe(&self, capacity: usize) -> Observations {
        self.observe_all(capacity, Keeps::First)
    }

    pub(super) fn observe_all(&self, capacity: usize, keeps: Keeps) -> Observations {
        let observations = self.observer.begin(capacity, true, keeps);
        self.with(|locked| locked.state.scheduler.observe(true));
        observations
    }

    /// The tasks that are kept, and their states. They are looked at in portions, while other tasks
    /// come and go.
    #[must_use]
    pub fn tasks(&self) -> Vec<(Arc<J>, TaskView)> {
        let (mut tasks, mut place) = (Vec::new(), Some(0));
        while let Some(from) = place {
            place = self.with(|locked| {
                let scheduler = &locked.state.scheduler;
                let mut next = from;
                for _ in 0..PORTION {
                    let (after, id) = scheduler.next_from(next)?;
                    next = after;
                    let job = scheduler.payload(id).map(Arc::clone);
                    let view = scheduler.task(id).filter(|view| !view.is_gate);
                    tasks.extend(job.zip(view));
                }
                Some(next)
            });
        }
        tasks
    }

    /// Observes for little cost: only how tasks run, and of functions that take less than some 20
    /// µs only one task in 64.
    #[must_use]
    pub fn observe_runs(&self, capacity: usize) -> Observations {
        self.observer.begin(capacity, false, Keeps::First)
    }

    /// Takes the tasks that have failed while a stream observed, 64 at most.
    pub fn take_failures(&self) -> Vec<Arc<J>> {
        std::iter::from_fn(|| self.failures.pop()).collect()
    }

    /// Adds a failed task to those that [`take_failures`](Self::take_failures) returns.
    pub fn show_failure(&self, job: &Arc<J>) {
        // What does not fit is dropped: no watcher reads so many errors.
        drop(self.failures.push(Arc::clone(job)));
    }

    /// The scheduler's counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|locked| locked.state.scheduler.counts())
    }

    /// Checks every invariant of the scheduler. For tests.
    ///
    /// The invariant that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.with(|locked| locked.state.scheduler.check())
    }

    /// Cancels every task that has not ended, begins nothing any more, and wakes all workers so
    /// that they end. Returns at once; tasks that run go on.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.with(|locked| {
            drop(locked.handle(Event::Close));
            locked.wake_all();
        });
        self.names.close();
    }

    /// One hold of the lock. Returns true beside the result if the scheduler has left something undone.
    #[inline(always)]
    pub(super) fn hold<R>(
        &self,
        state: MutexGuard<'_, State<J>>,
        f: impl FnOnce(&mut Locked<'_, J>) -> R,
    ) -> (R, bool) {
        let mut hold = Hold { engine: self, after: None, whole: false };
        set_locked(true);
        let mut locked = Locked { engine: self, state, after: &mut hold.after };
        let answer = locked.guarded(|locked| {
            let result = f(locked);
            locked.look_for_urgency();
            locked.publish();
            locked.leave_the_rest();
            (result, locked.state.scheduler.has_more() && !self.is_broken())
        });
        drop(locked);
        set_locked(false);
        hold.whole = true;
        answer
    }
}

/// One hold of the lock, and what must wait until the lock is released. Dropping it does that, also
/// if the scheduler has panicked.
struct Hold<'a, J: Job + ?Sized> {
    engine: &'a Engine<J>,
    after: Option<After<J>>,
    whole: bool,
}

impl<J: Job + ?Sized> Drop for Hold<'_, J> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(after) = self.after.take() {
            after.carry_out(self.engine);
        }
        if !self.whole {
            set_locked(false);
            self.engine.names.close();
        }
    }
}

/// The most tasks that are submitted in one hold of the lock.
pub(super) const PORTION: usize = 128;
