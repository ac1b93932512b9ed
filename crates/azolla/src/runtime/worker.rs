//! One worker: it pulls tasks, says how they ended, and sleeps when there is nothing to do.
//!
//! Short tasks come several at once. Those not begun are claims, which the engine can take back;
//! between tasks the worker looks at one number to see whether something more urgent has come up.
//! Ends are told in bulk, except where somebody depends on them.

use super::engine::Engine;
use super::job::Job;
use super::locked::{Locked, Run, caught};
use super::observe::{Observer, Origin, What};
use super::parker::Parker;
use crate::primitives::now;
use azolla_core::{Event, GroupId, Outcome, TaskId, WorkerId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The worker of one thread of a runner.
pub struct Worker<J: Job + ?Sized> {
    pub(super) engine: Arc<Engine<J>>,
    pub(super) id: WorkerId,
    pub(super) group: GroupId,
    pub(super) parker: Arc<Parker>,
    pub(super) hand: Hand<J>,
}

/// What a worker has in hand.
pub(super) struct Hand<J: ?Sized> {
    claims: VecDeque<Run<J>>,
    pub(super) current: Option<Current<J>>,
    /// What waits below that one on this stack, and how long it had held the slot; the lowest first.
    pub(super) below: Vec<(Current<J>, u64)>,
    finished: Vec<(TaskId, Outcome)>,
    /// The engine must hear of what has finished before anything else begins.
    tell_now: bool,
    /// When the tasks in `finished` began, or the one that has waited went on.
    pub(super) since: Instant,
    /// How long that one had held its slot before.
    spent: u64,
    /// It has not been woken yet: a worker holds no slot when it joins.
    new: bool,
    /// The engine has forgotten it, and may have given its number to another.
    retired: bool,
    /// What to let go of once the engine is not locked.
    gone: Vec<Arc<J>>,
}

pub(super) struct Current<J: ?Sized> {
    pub(super) task: TaskId,
    pub(super) job: Arc<J>,
    /// The engine knows that it has begun.
    told: bool,
    /// It runs without a slot.
    pub(super) seceded: bool,
    /// If somebody observes it: what the first observation tells of it.
    seen: Option<Box<Origin>>,
}

/// What a worker is to do next.
pub enum Next<J: Job + ?Sized> {
    /// Run the current task, then say how it ended.
    Run,
    /// Nothing for now: sleep, then ask again.
    Sleep(Sleeper<J>),
    /// Come to an end.
    End,
}

impl<J: Job + ?Sized> Worker<J> {
    pub(super) fn new(
        engine: Arc<Engine<J>>,
        id: WorkerId,
        group: GroupId,
        parker: Arc<Parker>,
    ) -> Self {
        let hand = Hand {
            claims: VecDeque::new(),
            current: None,
            below: Vec::new(),
            finished: Vec::new(),
            tell_now: false,
            since: now(),
            spent: 0,
            new: true,
            retired: false,
            gone: Vec::new(),
        };
        Self { engine, id, group, parker, hand }
    }

    /// The engine that it works for.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine<J>> {
        &self.engine
    }

    /// A small number that no other living worker of this engine has.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.id.0
    }

    /// The group whose slots it takes: what users call their worker.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The task that it runs.
    #[must_use]
    pub fn current(&self) -> Option<TaskId> {
        self.hand.current.as_ref().map(|current| current.task)
    }

    /// The job of the task that it runs.
    #[must_use]
    pub fn job(&self) -> Option<&Arc<J>> {
        self.hand.current.as_ref().map(|current| &current.job)
    }

    /// What to do next.
    pub fn next_task(&mut self) -> Next<J> {
        if std::mem::take(&mut self.hand.new) && !self.engine.is_closing() {
            return self.sleeper(false);
        }
        loop {
            if self.hand.current.is_none() {
                self.hand.begin_next(&self.engine, self.id, self.group);
            }
            if self.begins() {
                return Next::Run;
            }
            if self.engine.is_closing() {
                return Next::End;
            }
            let took = self.hand.took();
            let (worker, group) = (self.id, self.group);
            let pulled = self.engine.with(|locked| self.hand.pull(locked, worker, group, took));
            self.hand.let_go();
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

    /// The current task has ended, and its cell holds the result or error. For
    /// [`Outcome::Again`] the cell holds nothing, and the task will be run again; after
    /// [`Outcome::Suspended`] once [`Engine::wake`] is called, if it has not been meanwhile.
    pub fn finish(&mut self, outcome: Outcome) {
        let Some(current) = self.hand.current.take() else { return };
        let Current { task, job, seen, .. } = current;
        let header = job.header();
        self.hand.finished.push((task, outcome));
        if seen.is_some() {
            // First, so that whoever sees the end finds it noted.
            let worker = self.id.0;
            let observer = &self.engine.observer;
            match outcome {
                Outcome::Again => observer.note(task, What::Again { worker }),
                Outcome::Suspended => observer.note(task, What::Detached { worker }),
                Outcome::Done => observer.note_end(task, Some(worker), header, false),
                Outcome::Failed => observer.note_end(task, Some(worker), header, true),
            }
        }
        match outcome {
            Outcome::Done => self.hand.tell_now |= header.settle(false),
            // A failure shows when the engine has heard of it: it may be retried at once.
            Outcome::Failed => {
                let took = self.hand.took();
                self.engine.with(|locked| {
                    locked.fail(&job);
                    self.hand.tell(locked, self.id, took);
                });
            }
            Outcome::Again | Outcome::Suspended => self.hand.tell_now = true,
        }
        if outcome == Outcome::Failed && self.engine.observer.is_on() {
            self.engine.show_failure(&job);
        }
        caught(|| drop(job));
    }

    /// Whether there is a current task; takes note of its beginning.
    pub(super) fn begins(&self) -> bool {
        if let Some(current) = &self.hand.current
            && let Some(origin) = &current.seen
        {
            let what = What::Begun { worker: self.id.0, origin: **origin };
            self.engine.observer.note(current.task, what);
        }
        self.hand.current.is_some()
    }

    /// Takes note of what happens to the current task, if it is observed.
    pub(super) fn note(&self, what: What) {
        self.hand.note(&self.engine.observer, what);
    }

    /// Now, if the current task is observed: for [`note_at`](Self::note_at).
    pub(super) fn moment(&self) -> Option<Duration> {
        let seen = self.hand.current.as_ref().is_some_and(|current| current.seen.is_some());
        seen.then(|| self.engine.observer.elapsed())
    }

    /// As [`note`](Self::note), of what happened then.
    pub(super) fn note_at(&self, at: Option<Duration>, what: What) {
        if let Some((at, current)) = at.zip(self.hand.current.as_ref()) {
            self.engine.observer.note_at(at, current.task, what);
        }
    }

    /// The current task goes on elsewhere and will end by
    /// [`Engine::finish_detached`](Engine::finish_detached).
    pub fn detach(&mut self) -> Option<Arc<J>> {
        self.engine.with(|locked| {
            self.hand.say_begun(locked, self.id);
            if let Some(Current { task, .. }) = self.hand.current {
                drop(locked.handle(Event::Detach { worker: self.id, task }));
            }
        });
        self.note(What::Detached { worker: self.id.0 });
        // Whoever goes on with it says how long all of it took: it is not the next one's time.
        (self.hand.since, self.hand.spent) = (now(), 0);
        self.hand.current.take().map(|current| current.job)
    }
}

/// Where a worker sleeps when it has nothing to do; it holds nothing of the worker's meanwhile.
pub struct Sleeper<J: Job + ?Sized> {
    engine: Arc<Engine<J>>,
    worker: WorkerId,
    parker: Arc<Parker>,
    /// It is to come back after a while though nobody has woken it.
    doze: bool,
}

/// How long a worker dozes.
const WHILE: Duration = Duration::from_millis(20);

impl<J: Job + ?Sized> Sleeper<J> {
    /// Sleeps until there may be something to do.
    pub fn sleep(self) {
        if self.doze && !self.parker.park_until(Instant::now() + WHILE) {
            self.engine.with(|locked| drop(locked.handle(Event::Stalled(self.worker))));
        } else if self.doze {
            return;
        }
        self.parker.park();
    }
}

impl<J: Job + ?Sized> Drop for Worker<J> {
    fn drop(&mut self) {
        while let Some(job) = self.job() {
            job.fail_by_engine("the thread that ran this task has ended in the middle of it");
            self.finish(Outcome::Failed);
            self.hand.lift();
        }
        let took = self.hand.took();
        self.engine.with(|locked| {
            self.hand.tell(locked, self.id, took);
            // The next of a chain, handed over only now, has not begun: another worker runs it.
            while let Some(Current { task, job, .. }) = self.hand.current.take() {
                self.hand.gone.push(job);
                self.hand.finished.push((task, Outcome::Again));
                self.hand.tell(locked, self.id, 0);
            }
            self.hand.give_back(locked);
            if !self.hand.retired {
                let answer = locked.handle(Event::Leave(self.id));
                self.hand.take_back(answer.take_back, locked);
            }
        });
        self.hand.let_go();
        self.parker.end();
    }
}

enum Pulled {
    Some,
    Nothing { doze: bool },
    Retired,
}

impl<J: Job + ?Sized> Hand<J> {
    /// Begins the next claim without the lock, unless something must be told or asked first.
    fn begin_next(&mut self, engine: &Engine<J>, worker: WorkerId, group: GroupId) {
        while !self.tell_now
            && let Some(claim) = self.claims.front()
            && engine.best_ready(group) <= claim.priority
            && let Some(Run { task, job, seen, .. }) = self.claims.pop_front()
        {
            if job.header().begin(worker) {
                self.current = Some(Current { task, job, told: false, seceded: false, seen });
                return;
            }
            self.gone.push(job);
        }
    }

    /// Tells what has finished and asks for more.
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
        if self.current.is_some() || !self.claims.is_empty() {
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

    /// How long each of what has finished took, in nanoseconds; what is in the middle of running is
    /// measured in parts. For [`tell`](Self::tell), and before the lock: it has to ask the clock.
    pub(super) fn took(&mut self) -> u64 {
        let now = now();
        // Where a test moves workers by hand, tasks are short however busy the machine is.
        let elapsed = if cfg!(test) { 0 } else { now.duration_since(self.since).as_nanos() as u64 };
        self.since = now;
        self.spent += elapsed;
        match self.finished.len() {
            0 if self.current.is_some() => 0,
            several => std::mem::take(&mut self.spent) / several.max(1) as u64,
        }
    }

    /// Tells what has finished, and takes what the engine hands over.
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
        if self.current.is_none() {
            self.take(locked);
            return;
        }
        // Told in the middle of another task: the next of the chain goes to somebody else.
        while let Some(Run { task, job, .. }) = locked.state.runs.pop() {
            self.gone.push(job);
            let outcome = Outcome::Again;
            drop(locked.handle(Event::Finish { worker: Some(worker), task, outcome, took: 0 }));
        }
    }

    /// Takes note of what happens to the current task, if it is observed.
    pub(super) fn note(&self, observer: &Observer, what: What) {
        if let Some(current) = self.current.as_ref().filter(|current| current.seen.is_some()) {
            observer.note(current.task, what);
        }
    }

    /// The current task waits below those that follow.
    pub(super) fn lay_below(&mut self) {
        if let Some(current) = self.current.take() {
            self.below.push((current, std::mem::take(&mut self.spent)));
        }
    }

    /// What waits topmost is the current task again.
    pub(super) fn lift(&mut self) {
        if let Some((current, spent)) = self.below.pop() {
            (self.current, self.spent) = (Some(current), spent);
        }
    }

    /// Takes what the engine has given to this worker.
    pub(super) fn take(&mut self, locked: &mut Locked<'_, J>) {
        for run in locked.state.runs.drain(..) {
            if run.begun {
                let Run { task, job, seen, .. } = run;
                self.current = Some(Current { task, job, told: true, seceded: false, seen });
            } else {
                self.claims.push_back(run);
            }
        }
    }

    /// Takes back half of what other workers have claimed and not begun, to be pulled anew.
    pub(super) fn take_back(&mut self, claimed: Vec<(TaskId, Arc<J>)>, locked: &mut Locked<'_, J>) {
        let most = claimed.len().div_ceil(2);
        let unbegun = claimed.iter().filter(|(_, job)| job.header().take_back());
        for (task, _) in unbegun.take(most) {
            drop(locked.handle(Event::Unclaim(*task)));
        }
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

    /// Makes sure that the engine knows what runs here.
    pub(super) fn say_begun(&mut self, locked: &mut Locked<'_, J>, worker: WorkerId) {
        if let Some(current) = &mut self.current
            && !std::mem::replace(&mut current.told, true)
        {
            drop(locked.handle(Event::Begun { worker, task: current.task }));
        }
    }

    pub(super) fn let_go(&mut self) {
        for job in self.gone.drain(..) {
            caught(|| drop(job));
        }
    }
}
