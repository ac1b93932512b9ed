//! The state machine behind its lock.
//!
//! Every use of the scheduler goes through [`Engine::with`]: under the lock, events are handled
//! and those effects carried out that only touch headers; once it is released, sleepers are woken,
//! listeners told and payloads dropped. No user code runs, no value is dropped and nobody is
//! woken while the lock is held.

use super::groups::Groups;
use super::header::{Header, Status};
use super::job::{Job, Runner, Submission};
use super::kind_names::KindNames;
use super::locked::{After, Locked, State, is_dropping, let_go, set_dropping, set_locked};
use super::names::Names;
use super::observe::{Keeps, Observations, Observer, What};
use super::worker::Worker;
use crate::primitives::atomic::{AtomicBool, AtomicI64, Ordering, fence};
use crate::primitives::{Mutex, MutexGuard};
use azolla_core::{Counts, Event, GroupId, Key, Outcome, Priority, TaskId, TaskView, WorkerId};
use crossbeam_queue::{ArrayQueue, SegQueue};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// A scheduler and the workers that it feeds.
pub struct Engine<J: Job + ?Sized> {
    state: Mutex<State<J>>,
    /// Tasks whose last future has gone, not yet told to the scheduler.
    pub(super) released: SegQueue<TaskId>,
    /// By group.
    pub(super) best_ready: Box<[AtomicI64]>,
    pub(super) closing: AtomicBool,
    pub(super) broken: AtomicBool,
    pub(super) observer: Observer,
    pub(super) kind_names: KindNames,
    /// Tasks that have failed while somebody observes, to be asked for their errors.
    pub(super) failures: ArrayQueue<Arc<J>>,
    /// No other engine of this process has it.
    pub(super) number: u32,
    names: Names,
    groups: Groups,
    runner: Box<dyn Runner<J>>,
}

/// How many failed tasks wait to be looked at.
const FAILURES: usize = 64;

/// How many engines there have been.
static ENGINES: AtomicU32 = AtomicU32::new(0);

impl<J: Job + ?Sized> Engine<J> {
    /// An engine that lets a task run on each slot of these groups, with as many workers started.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(groups: Groups, runner: Box<dyn Runner<J>>) -> io::Result<Arc<Self>> {
        let best_ready = || AtomicI64::new(Priority::MIN.to_bits());
        let best_ready = (0..groups.len()).map(|_| best_ready()).collect();
        let engine = Arc::new(Self {
            state: Mutex::new(State::new(groups.as_core())),
            released: SegQueue::new(),
            best_ready,
            closing: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            observer: Observer::new(),
            kind_names: KindNames::default(),
            failures: ArrayQueue::new(FAILURES),
            number: ENGINES.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            names: Names::new(),
            groups,
            runner,
        });
        for group in engine.groups.all() {
            for _ in 0..engine.groups.slots_of(group) {
                if let Err(error) = engine.start_worker(group) {
                    engine.close();
                    return Err(error);
                }
            }
        }
        Ok(engine)
    }

    /// Its number among the engines of this process, counted from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How many tasks may run at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.groups.slots()
    }

    /// The groups that the slots are in.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The group of the worker that has this number, if there is one.
    #[must_use]
    pub fn group_of(&self, worker: u32) -> Option<GroupId> {
        self.with(|locked| locked.state.scheduler.group_of(WorkerId(worker)))
    }

    /// What is found by name in this engine.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The runner that it was started with.
    #[must_use]
    pub fn runner(&self) -> &dyn Runner<J> {
        &*self.runner
    }

    /// Whether nothing is begun any more, because it was closed or has broken.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether a bug in the engine has ended it.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Has one more worker of a group join, and its thread started; not when the engine is closing.
    pub(crate) fn start_worker(self: &Arc<Self>, group: GroupId) -> io::Result<()> {
        let joined = self.with(|locked| {
            // Those that join before the end are woken by it; nobody would wake a later one.
            if self.is_closing() {
                return None;
            }
            let id = locked.handle(Event::Join(group)).joined?;
            Some((id, locked.parker(id)))
        });
        match joined {
            // A runner that has no thread for a worker drops it, and so it leaves.
            Some((id, parker)) => {
                self.runner.start(Worker::new(Arc::clone(self), id, group, parker))
            }
            None => Ok(()),
        }
    }

    /// Submits a task. Where another one has the key already, that is returned, with one more
    /// future on it, and the one given is dropped. On an engine that is closing the task is
    /// cancelled.
    pub fn submit(&self, submission: Submission<J>) -> Option<Arc<J>> {
        if submission.call {
            // The next call waits for its end.
            submission.payload.header().watch();
        }
        self.with(|locked| locked.submit(submission))
    }

    /// Takes in a job whose cell holds its result already. As [`submit`](Self::submit), returns
    /// the job that has the key, if there is one.
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

    /// Submits many tasks, several a lock. Returns those that have a key already, each with the
    /// place of the submission that has the same key.
    pub fn submit_all(
        &self,
        submissions: impl IntoIterator<Item = Submission<J>>,
    ) -> Vec<(usize, Arc<J>)> {
        let mut submissions = submissions.into_iter();
        let mut existing = Vec::new();
        let mut portion: Vec<Submission<J>> = Vec::new();
        let mut place = 0;
        loop {
            // The caller's code makes the submissions: it runs before the lock is taken.
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

    /// The last future on this task is gone. Never waits.
    pub fn release(&self, header: &Header) {
        let Some(task) = header.id() else { return };
        // Where the engine is free, past the queue.
        let state = if is_dropping(self.number) { None } else { self.state.try_lock() };
        match state {
            Some(state) => {
                let (gone, more) = self.hold(state, |locked| locked.release_one(task));
                if let Some(job) = gone {
                    let before = set_dropping(self.number);
                    let_go(job);
                    set_dropping(before);
                }
                self.go_on(more);
            }
            None => self.released.push(task),
        }
        self.drain_released();
    }

    /// Runs the task to its end even if no future is left.
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

    fn about(&self, job: &J, event: fn(TaskId) -> Event<Arc<J>>) {
        if let Some(task) = job.header().id() {
            self.with(|locked| drop(locked.handle(event(task))));
        }
    }

    /// The job that has this key, with one more future on it.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<Arc<J>> {
        self.with(|locked| {
            let task = locked.state.scheduler.find(key)?;
            locked.add_future(task)
        })
    }

    /// The task that has this key.
    #[must_use]
    pub fn task_of(&self, key: Key) -> Option<TaskId> {
        self.with(|locked| locked.state.scheduler.find(key))
    }

    /// Since the engine was started: what observations count from.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.observer.elapsed()
    }

    /// The job of this task if it is still kept, with one more future on it.
    #[must_use]
    pub fn find_task(&self, task: TaskId) -> Option<Arc<J>> {
        self.with(|locked| locked.add_future(task))
    }

    /// Tells of a task that ended without a worker, and whose cell holds the result or error: how
    /// long it took, with what it did on its worker.
    pub fn finish_detached(&self, job: &J, failed: bool, took: Duration) {
        let header = job.header();
        let Some(task) = header.id() else { return };
        let outcome = if failed { Outcome::Failed } else { Outcome::Done };
        // First, so that whoever sees the end finds it noted.
        self.observer.note_end(task, None, header, failed);
        let took = took.as_nanos() as u64;
        if !failed {
            header.settle(false);
        }
        self.with(|locked| {
            // As with workers, a failure shows when the scheduler has heard of it.
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

    /// What is known of a task that is kept.
    #[must_use]
    pub fn view(&self, task: TaskId) -> Option<TaskView> {
        self.with(|locked| locked.state.scheduler.task(task))
    }

    pub(super) fn payload(&self, task: TaskId) -> Option<Arc<J>> {
        self.with(|locked| locked.payload(task))
    }

    /// Puts a task that ran without a worker back into the queue, for another attempt.
    pub fn again_detached(&self, job: &J) {
        let outcome = Outcome::Again;
        if let Some(task) = job.header().id() {
            self.with(|locked| {
                drop(locked.handle(Event::Finish { worker: None, task, outcome, took: 0 }));
            });
        }
    }

    /// A task that is polled can go on; one that is not suspended is not affected. Never blocks for
    /// long, wherever it is called.
    pub fn wake(&self, header: &Header) {
        if header.wake()
            && let Some(task) = header.id()
        {
            let wake = Event::Wake { task, yields: false };
            self.with(|locked| drop(locked.handle(wake)));
        }
    }

    /// Begins to observe what happens: up to `capacity` observations are kept until they are taken,
    /// and those beyond that are dropped and counted.
    #[must_use]
    pub fn observe(&self, capacity: usize) -> Observations {
        self.observe_all(capacity, Keeps::First)
    }

    pub(super) fn observe_all(&self, capacity: usize, keeps: Keeps) -> Observations {
        let observations = self.observer.begin(capacity, true, keeps);
        self.with(|locked| locked.state.scheduler.observe(true));
        observations
    }

    /// The tasks that are kept, and how they stand: looked at in portions, while they come and go.
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
                    tasks.extend(job.zip(scheduler.task(id)));
                }
                Some(next)
            });
        }
        tasks
    }

    /// As [`observe`](Self::observe), but for little cost: only how tasks run is observed, and of
    /// functions that take less than some 20 µs only one task of 64.
    #[must_use]
    pub fn observe_runs(&self, capacity: usize) -> Observations {
        self.observer.begin(capacity, false, Keeps::First)
    }

    /// The tasks that have failed lately while somebody observed: 64 at the most, until taken.
    pub fn take_failures(&self) -> Vec<Arc<J>> {
        std::iter::from_fn(|| self.failures.pop()).collect()
    }

    /// Puts a failed task among those that [`take_failures`](Self::take_failures) gives.
    pub fn show_failure(&self, job: &Arc<J>) {
        // What does not fit is dropped: nobody reads so many errors.
        drop(self.failures.push(Arc::clone(job)));
    }

    /// How many of what there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|locked| locked.state.scheduler.counts())
    }

    /// Checks every invariant of the scheduler; for tests.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.with(|locked| locked.state.scheduler.check())
    }

    /// Cancels what has not ended, begins nothing any more, and wakes all workers so that they
    /// end. Returns at once; what runs goes on.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.with(|locked| {
            drop(locked.handle(Event::Close));
            locked.wake_all();
        });
        self.names.close();
    }

    pub(crate) fn best_ready(&self, group: GroupId) -> Priority {
        Priority::from_bits(self.best_ready[usize::from(group.0)].load(Ordering::Relaxed))
    }

    /// Locks, and afterwards does what must not be done under the lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Locked<'_, J>) -> R) -> R {
        let (result, more) = self.hold(self.state.lock_soon(), f);
        self.go_on(more);
        self.drain_released();
        result
    }

    /// Has the scheduler do what it has left undone. Others may come in between: no hold is longer
    /// than its bound.
    fn go_on(&self, mut more: bool) {
        while more {
            more =
                self.hold(self.state.lock_soon(), |locked| drop(locked.handle(Event::Continue))).1;
        }
    }

    /// Every release of the lock looks at the queue again, so that nothing is left lying that was
    /// pushed while somebody else held it.
    ///
    /// Dropping a task may drop the last future on another one, and so on: what is pushed while
    /// this thread drops things is left to the loop below, so that no chain of tasks is too long.
    fn drain_released(&self) {
        if is_dropping(self.number) {
            return;
        }
        loop {
            // Unlocking, or pushing, comes before this look at the queue in every thread's eyes.
            fence(Ordering::SeqCst);
            if self.released.is_empty() {
                return;
            }
            let Some(state) = self.state.try_lock() else { return };
            let more = self.hold(state, |_| ()).1;
            self.go_on(more);
        }
    }

    #[inline(always)]
    fn hold<R>(
        &self,
        state: MutexGuard<'_, State<J>>,
        f: impl FnOnce(&mut Locked<'_, J>) -> R,
    ) -> (R, bool) {
        let mut hold = Hold { engine: self, after: None, whole: false };
        set_locked(true);
        let mut locked = Locked { engine: self, state, after: &mut hold.after };
        let answer = locked.guarded(|locked| {
            let result = f(locked);
            locked.tell_released();
            locked.publish();
            locked.leave_the_rest();
            (result, locked.state.scheduler.has_more())
        });
        drop(locked);
        set_locked(false);
        hold.whole = true;
        answer
    }
}

/// One hold of the lock, and what is left for afterwards: done also where the core has panicked.
struct Hold<'a, J: Job + ?Sized> {
    engine: &'a Engine<J>,
    after: Option<After<J>>,
    whole: bool,
}

impl<J: Job + ?Sized> Drop for Hold<'_, J> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(after) = self.after.take() {
            let before = set_dropping(self.engine.number);
            after.carry_out(self.engine);
            set_dropping(before);
        }
        if !self.whole {
            set_locked(false);
            self.engine.names.close();
        }
    }
}

/// The most tasks that are submitted or released in one hold of the lock.
pub(super) const PORTION: usize = 128;
