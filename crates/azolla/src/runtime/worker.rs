//! A worker: it pulls tasks from the engine, reports how they ended, and sleeps when there is
//! nothing to do.
//!
//! Short tasks come several at once. The worker begins the first; the others are claims, which the
//! engine can take back until the worker begins them. Between two tasks the worker loads one atomic
//! (`best_ready`) to see whether a more urgent task is ready. It reports ends in bulk, except where
//! another task depends on one. [README.md](README.md) tells more of claims.

use super::engine::Engine;
use super::job::Job;
use super::locked::{Locked, Run};
use super::observe::{Observer, Origin, What};
use super::parker::Parker;
use crate::primitives::atomic::{AtomicI64, Ordering};
use crate::primitives::now;
use azolla_core::{Event, GroupId, Outcome, Priority, TaskId, WorkerId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker, which belongs to one thread of a runner.
pub struct Worker<J: Job + ?Sized> {
    pub(super) engine: Arc<Engine<J>>,
    pub(super) id: WorkerId,
    pub(super) group: GroupId,
    pub(super) parker: Arc<Parker>,
    pub(super) hand: Hand<J>,
}

/// What a worker has in hand: the task that it runs, its claims, and what it has not reported yet.
pub(super) struct Hand<J: ?Sized> {
    pub(super) claims: VecDeque<Run<J>>,
    /// The highest priority that is ready for the group.
    best_ready: Arc<AtomicI64>,
    /// The tasks that were begun before their turn (see `ahead.rs`).
    pub(super) ahead: VecDeque<Run<J>>,
    pub(super) current: Option<Current<J>>,
    /// The thread drops what has gone (see `garbage.rs`). `current`, if there is one, has not begun.
    pub(super) drops: bool,
    /// The tasks that wait below the current one on this stack, the lowest first, each with the
    /// nanoseconds that it had held the slot.
    pub(super) below: Vec<(Current<J>, u64)>,
    pub(super) finished: Vec<(TaskId, Outcome)>,
    /// The engine must hear of `finished` before anything else begins.
    tell_now: bool,
    /// When the first task of `finished` began, or when the current task went on after a wait.
    pub(super) since: Instant,
    /// How long the current task had held its slot before that wait, in nanoseconds.
    pub(super) spent: u64,
    /// The current task has lent its slot for futures that its thread polls.
    pub(super) lent: Option<super::lend::Lent>,
    /// The worker has not been woken yet: it joins asleep, without a slot.
    pub(super) new: bool,
    /// The engine has forgotten the worker, and may have given its number to another.
    pub(super) retired: bool,
    /// Claims that are no longer this worker's: one reference on each is to go.
    pub(super) gone: Vec<Arc<J>>,
    /// Tasks that nothing refers to any more (see `garbage.rs`).
    pub(super) garbage: Vec<Arc<J>>,
}

pub(super) struct Current<J: ?Sized> {
    pub(super) task: TaskId,
    pub(super) job: Arc<J>,
    /// The engine knows that the task has begun.
    pub(super) told: bool,
    /// The task runs without a slot.
    pub(super) seceded: bool,
    /// How many shields it is under.
    pub(super) shields: u32,
    /// Set if the task is observed: what its first observation says of it.
    pub(super) seen: Option<Box<Origin>>,
}

/// What a worker does next.
pub enum Next<J: Job + ?Sized> {
    /// Run the current task, then call [`finish`](Worker::finish). If there is something that
    /// [has gone](Worker::has_gone), drop that first.
    Run,
    /// There is nothing to do for now: sleep, then ask again.
    Sleep(Sleeper<J>),
    /// The worker's thread ends.
    End,
}

impl<J: Job + ?Sized> Worker<J> {
    pub(super) fn new(
        engine: Arc<Engine<J>>,
        id: WorkerId,
        group: GroupId,
        parker: Arc<Parker>,
        best_ready: Arc<AtomicI64>,
    ) -> Self {
        let hand = Hand {
            claims: VecDeque::new(),
            best_ready,
            ahead: VecDeque::new(),
            current: None,
            drops: false,
            below: Vec::new(),
            finished: Vec::new(),
            tell_now: false,
            since: now(),
            spent: 0,
            lent: None,
            new: true,
            retired: false,
            gone: Vec::new(),
            garbage: Vec::new(),
        };
        Self { engine, id, group, parker, hand }
    }

    /// The engine that the worker works for.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine<J>> {
        &self.engine
    }

    /// The worker's number: small, and no other living worker of this engine has it.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.id.0
    }

    /// The group whose slots the worker takes. Users call the group a worker.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The task that the worker runs.
    #[must_use]
    pub fn current(&self) -> Option<TaskId> {
        self.hand.current.as_ref().filter(|_| !self.hand.drops).map(|current| current.task)
    }

    /// The job of the task that the worker runs.
    #[must_use]
    pub fn job(&self) -> Option<&Arc<J>> {
        self.hand.current.as_ref().filter(|_| !self.hand.drops).map(|current| &current.job)
    }

    /// Finds out what to do next, and begins a task if there is one.
    pub fn next_task(&mut self) -> Next<J> {
        if std::mem::take(&mut self.hand.new) && !self.engine.is_closing() {
            return self.sleeper(false);
        }
        if self.hand.retired {
            return Next::End;
        }
        loop {
            if self.hand.current.is_none() {
                self.hand.begin_next(self.id);
            }
            if self.hand.current.is_some() {
                // What has gone is dropped before the task begins.
                if !self.has_gone() {
                    self.note_begun();
                }
                return Next::Run;
            }
            if self.engine.is_closing() {
                return Next::End;
            }
            let took = self.hand.took();
            let (worker, group) = (self.id, self.group);
            let pulled = self.engine.with_hand(&mut self.hand, false, |locked, hand| {
                hand.pull(locked, worker, group, took)
            });
            match pulled {
                Pulled::Some => {}
                Pulled::Nothing { doze } => return self.sleeper(doze),
                Pulled::Retired => {
                    self.hand.retired = true;
                    return Next::End;
                }
            }
        }
    }

    fn sleeper(&self, doze: bool) -> Next<J> {
        let (engine, parker) = (Arc::clone(&self.engine), Arc::clone(&self.parker));
        Next::Sleep(Sleeper { engine, worker: self.id, parker, doze })
    }

    /// Ends the current task, whose cell holds the result or error. With [`Outcome::Again`] the
    /// cell holds neither, and the task runs again. With [`Outcome::Suspended`] the task runs again
    /// once [`Engine::wake`] is called, or at once if that has happened meanwhile. Returns the job, to be dropped
    /// when the worker is not borrowed: that may run the user's destructors, which may wait.
    pub fn finish(&mut self, outcome: Outcome) -> Option<Arc<J>> {
        self.end_loan();
        let Current { task, job, seen, .. } = self.hand.current.take()?;
        let header = job.header();
        self.hand.finished.push((task, outcome));
        if seen.is_some() {
            // The note comes first, so that a thread that sees the end finds the note.
            let worker = self.id.0;
            let observer = &self.engine.observer;
            match outcome {
                Outcome::Again | Outcome::Elsewhere(_) => {
                    observer.note(task, What::Again { worker });
                }
                Outcome::Suspended => observer.note(task, What::Detached { worker }),
                Outcome::Done => observer.note_end(task, Some(worker), header, false),
                Outcome::Failed => observer.note_end(task, Some(worker), header, true),
            }
        }
        match outcome {
            Outcome::Done => {
                self.hand.tell_now |= header.settle(false);
                self.hand.tell_now |= self.engine.is_urgent.load(Ordering::SeqCst);
            }
            // A failure shows only when the engine has heard of it, since the engine may retry the
            // task at once.
            Outcome::Failed => {
                let (took, in_task) = (self.hand.took(), !self.hand.below.is_empty());
                self.engine.with_hand(&mut self.hand, in_task, |locked, hand| {
                    locked.fail(&job);
                    hand.tell(locked, self.id, took);
                });
            }
            Outcome::Again | Outcome::Elsewhere(_) => {
                header.unbegin();
                self.hand.tell_now = true;
            }
            Outcome::Suspended => self.hand.tell_now = true,
        }
        if outcome == Outcome::Failed && self.engine.observer.is_on() {
            self.engine.show_failure(&job);
        }
        Some(job)
    }

    /// Notes that the current task begins, if it is observed.
    pub(super) fn note_begun(&self) {
        if let Some(current) = &self.hand.current
            && let Some(origin) = &current.seen
        {
            let what = What::Begun { worker: self.id.0, origin: **origin };
            self.engine.observer.note(current.task, what);
        }
    }

    /// Notes what happens to the current task, if it is observed.
    pub(super) fn note(&self, what: What) {
        self.hand.note(&self.engine.observer, what);
    }

    /// The time now, if the current task is observed. For [`note_at`](Self::note_at).
    pub(super) fn moment(&self) -> Option<Duration> {
        let seen = self.hand.current.as_ref().is_some_and(|current| current.seen.is_some());
        seen.then(|| self.engine.observer.elapsed())
    }

    /// Notes what happened to the current task at that time.
    pub(super) fn note_at(&self, at: Option<Duration>, what: What) {
        if let Some((at, current)) = at.zip(self.hand.current.as_ref()) {
            self.engine.observer.note_at(at, current.task, what);
        }
    }

    /// Detaches the current task: it goes on elsewhere, and ends by
    pub fn detach(&mut self) -> Option<Arc<J>> {
        self.end_loan();
        self.engine.with_hand(&mut self.hand, true, |locked, hand| {
            hand.say_begun(locked, self.id);
            if let Some(Current { task, .. }) = hand.current {
                drop(locked.handle(Event::Detach { worker: self.id, task }));
            }
        });
        self.note(What::Detached { worker: self.id.0 });
        // The thread that goes on with the task reports how long all of it took, so that time must
        // not count for the worker's next task.
        (self.hand.since, self.hand.spent) = (now(), 0);
        self.hand.current.take().map(|current| current.job)
    }
}

/// Where a worker sleeps when it has nothing to do. It borrows nothing from the worker, so the
/// thread can let go of the worker while it sleeps.
pub struct Sleeper<J: Job + ?Sized> {
    engine: Arc<Engine<J>>,
    worker: WorkerId,
    parker: Arc<Parker>,
    /// The worker dozes: after a while it says `Stalled`, unless it was woken.
    doze: bool,
}

/// How long a worker dozes before it says `Stalled`.
const WHILE: Duration = Duration::from_millis(20);

impl<J: Job + ?Sized> Sleeper<J> {
    /// Sleeps until there may be something to do.
    pub fn sleep(self) {
        self.engine.fill_vacancies();
        if self.doze && !self.parker.park_until(Instant::now() + WHILE) {
            self.engine.with(|locked| drop(locked.handle(Event::Stalled(self.worker))));
        } else if self.doze {
            return;
        }
        self.parker.park();
    }
}

enum Pulled {
    Some,
    Nothing { doze: bool },
    Retired,
}

impl<J: Job + ?Sized> Hand<J> {
    /// Begins the next claim without the lock, unless the worker must report something first, or
    /// something more urgent is ready.
    fn begin_next(&mut self, worker: WorkerId) {
        if !self.tell_now {
            let next = self.ahead.pop_front();
            let next = next.or_else(|| self.begin_claim(worker));
            self.current = next.map(Current::from);
        }
    }

    /// Begins the next claim, unless something more urgent is ready.
    #[inline]
    pub(super) fn begin_claim(&mut self, worker: WorkerId) -> Option<Run<J>> {
        while let Some(claim) = self.claims.front()
            && self.best_ready() <= claim.priority
            && let Some(run) = self.claims.pop_front()
        {
            if run.job.header().begin(worker) {
                return Some(run);
            }
            self.gone.push(run.job);
        }
        None
    }

    #[inline]
    fn best_ready(&self) -> Priority {
        Priority::from_bits(self.best_ready.load(Ordering::Relaxed))
    }

    /// Reports what has finished, and asks for more.
    fn pull(
        &mut self,
        locked: &mut Locked<'_, J>,
        worker: WorkerId,
        group: GroupId,
        took: u64,
    ) -> Pulled {
        self.tell(locked, worker, took);
        let best = locked.best_ready(group);
        if self.claims.front().is_some_and(|claim| claim.priority < best) {
            self.give_back(locked);
        }
        if self.current.is_some() || !self.claims.is_empty() || !self.ahead.is_empty() {
            return Pulled::Some;
        }
        let answer = locked.handle(Event::Pull(worker));
        if answer.retired {
            return Pulled::Retired;
        }
        self.take(locked);
        self.take_back(answer.take_back, locked);
        let doze = answer.doze;
        if self.current.is_some() { Pulled::Some } else { Pulled::Nothing { doze } }
    }

    /// The average time of the tasks in `finished`, in nanoseconds, for [`tell`](Self::tell). If none
    /// has finished and one is in the middle of running, returns 0 and keeps its time in `spent`. It
    /// asks the clock, so it is called before the lock is taken.
    pub(super) fn took(&mut self) -> u64 {
        let now = now();
        // A test moves workers by hand: its tasks count as short, however busy the machine is.
        let elapsed =
            if cfg!(test) { 1_000 } else { now.duration_since(self.since).as_nanos() as u64 };
        self.since = now;
        self.spent += elapsed;
        match self.finished.len() {
            0 if self.current.is_some() => 0,
            // 0 would say that it was not measured.
            several => (std::mem::take(&mut self.spent) / several.max(1) as u64).max(1),
        }
    }

    /// Reports what has finished, and takes what the engine hands over.
    pub(super) fn tell(&mut self, locked: &mut Locked<'_, J>, worker: WorkerId, took: u64) {
        self.tell_now = false;
        if self.finished.is_empty() && self.current.is_some() {
            return;
        }
        let mut finished = std::mem::take(&mut self.finished);
        for (task, outcome) in finished.drain(..) {
            locked.feed(Event::Finish { worker: Some(worker), task, outcome, took });
            if outcome == Outcome::Suspended {
                locked.suspended(task);
            }
        }
        self.finished = finished;
        locked.carry_out();
        if self.current.is_none() && self.ahead.is_empty() {
            self.take(locked);
            return;
        }
        // The worker has begun another task, so another worker runs the next task of the chain.
        while let Some(Run { task, job, .. }) = locked.state.runs.pop() {
            self.let_another_run(locked, worker, task, job);
        }
    }

    /// Gives back a task that counts as begun and has not: another worker runs it.
    pub(super) fn let_another_run(
        &mut self,
        locked: &mut Locked<'_, J>,
        worker: WorkerId,
        task: TaskId,
        job: Arc<J>,
    ) {
        job.header().unbegin();
        self.gone.push(job);
        let outcome = Outcome::Again;
        drop(locked.handle(Event::Finish { worker: Some(worker), task, outcome, took: 0 }));
    }

    /// Notes what happens to the current task, if it is observed.
    pub(super) fn note(&self, observer: &Observer, what: What) {
        if let Some(current) = self.current.as_ref().filter(|current| current.seen.is_some()) {
            observer.note(current.task, what);
        }
    }

    /// Lays the current task below the tasks that run next on this stack.
    pub(super) fn lay_below(&mut self) {
        if let Some(current) = self.current.take() {
            self.below.push((current, std::mem::take(&mut self.spent)));
        }
    }

    /// Makes the topmost waiting task the current one again.
    pub(super) fn lift(&mut self) {
        if let Some((current, spent)) = self.below.pop() {
            (self.current, self.spent) = (Some(current), spent);
        }
    }

    /// Takes the tasks that the engine has given to this worker: one to run, the others as claims.
    pub(super) fn take(&mut self, locked: &mut Locked<'_, J>) {
        for run in locked.state.runs.drain(..) {
            if run.begun {
                self.current = Some(run.into());
            } else {
                self.claims.push_back(run);
            }
        }
    }

    /// Does what [`Locked::take_back`] says.
    pub(super) fn take_back(&mut self, claimed: Vec<(TaskId, Arc<J>)>, locked: &mut Locked<'_, J>) {
        locked.take_back(&claimed);
        self.gone.extend(claimed.into_iter().map(|(_, job)| job));
    }

    /// Gives back the claims that are still this worker's.
    pub(super) fn give_back(&mut self, locked: &mut Locked<'_, J>) {
        for Run { task, job, .. } in self.claims.drain(..) {
            if job.header().take_back() {
                drop(locked.handle(Event::Unclaim(task)));
            }
            self.gone.push(job);
        }
    }

    /// Makes sure that the engine knows that the current task has begun.
    pub(super) fn say_begun(&mut self, locked: &mut Locked<'_, J>, worker: WorkerId) {
        if let Some(current) = &mut self.current
            && !std::mem::replace(&mut current.told, true)
        {
            drop(locked.handle(Event::Begun { worker, task: current.task }));
        }
    }
}
