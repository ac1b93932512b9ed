//! Waiting for tasks, inside a task and outside.
//!
//! A thread outside tasks sleeps until its latch opens. Inside a task, the worker first lends its
//! slot to another worker (`Event::Park`). The thread that opens the latch asks the engine for a
//! slot (`Event::Resume`), and the engine wakes the waiting worker once, when it grants the slot.
//! So the worker is not woken twice. [README.md](README.md) tells the protocol step by step.

use super::engine::Engine;
use super::header::Status;
use super::job::Job;
use super::listeners::Listen;
use super::locked::Locked;
use super::observe::What;
use super::parker::Parker;
use super::worker::Worker;
use crate::primitives::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitives::{has_passed, now};
use azolla_core::{Event, Refusal, TaskId, Wait, WorkerId};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a wait gives up.
pub struct Patience<'a, E> {
    /// The wait ends at this time.
    pub deadline: Option<Instant>,
    /// Called about every 50 ms; an error ends the wait.
    pub interrupt: Option<&'a mut dyn FnMut() -> Result<(), E>>,
}

/// Why a wait ended without what it waited for.
#[derive(Debug)]
pub enum WaitError<E> {
    /// The deadline passed.
    TimedOut,
    /// The wait would never end: each of the tasks with these keys would wait for the next, and the
    /// last for the first.
    Cycle(Vec<String>),
    /// `interrupt` returned this error.
    Interrupted(E),
    /// The task that waits, which has this key, was cancelled.
    Cancelled(String),
    /// The engine is closing.
    Closed,
    /// The system has no thread for a worker that takes over the slot.
    NoThread(io::Error),
}

impl<E> WaitError<E> {
    /// The error for tasks that would wait for each other. Called with no lock held, since it asks
    /// for keys.
    pub(super) fn cycle<J: Job + ?Sized>(jobs: &[Arc<J>]) -> Self {
        Self::Cycle(jobs.iter().map(|job| job.key()).collect())
    }
}

impl WaitError<std::convert::Infallible> {
    /// The same error, as one of a wait that could be interrupted.
    #[must_use]
    pub fn never_interrupted<E>(self) -> WaitError<E> {
        match self {
            Self::TimedOut => WaitError::TimedOut,
            Self::Cycle(keys) => WaitError::Cycle(keys),
            Self::Interrupted(never) => match never {},
            Self::Cancelled(key) => WaitError::Cancelled(key),
            Self::Closed => WaitError::Closed,
            Self::NoThread(error) => WaitError::NoThread(error),
        }
    }
}

/// Which of several tasks a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until all tasks have ended.
    All,
    /// Until all tasks have ended, or one has ended without a result.
    AllOrFailure,
    /// Until one task has ended.
    First,
}

/// How long a thread sleeps between two calls of `interrupt`.
const SLICE: Duration = Duration::from_millis(50);

/// Waits for tasks. `worker` is the worker whose task waits, or `None` outside tasks.
///
/// # Errors
/// As [`WaitError`] says.
pub fn wait<J: Job + ?Sized + 'static, E>(
    worker: Option<&mut Worker<J>>,
    jobs: &[Arc<J>],
    until: Until,
    patience: Patience<'_, E>,
) -> Result<(), WaitError<E>> {
    let pending: Vec<&Arc<J>> =
        jobs.iter().filter(|job| job.header().status() == Status::Pending).collect();
    if is_over(jobs, pending.len(), until) {
        return Ok(());
    }
    let missing = if until == Until::First { 1 } else { pending.len() };
    let latch = Latch::new(worker.as_deref(), missing, until == Until::AllOrFailure);
    let result = match worker.filter(|worker| worker.current().is_some()) {
        Some(worker) => {
            let wait = wait_in(worker.engine.number, &pending, until);
            let listen = || latch.listen(&pending);
            worker.wait(&latch, wait, listen, patience)
        }
        None => {
            latch.listen(&pending);
            latch.sleep(patience)
        }
    };
    if result.is_err() || until != Until::All {
        latch.unlisten(&pending);
    }
    // A wait that has its tasks at the last moment succeeds. One that timed out does not: its
    // deadline came first.
    let pending = || jobs.iter().filter(|job| job.header().status() == Status::Pending).count();
    match result {
        Err(WaitError::Closed | WaitError::Cycle(_)) if is_over(jobs, pending(), until) => Ok(()),
        result => result,
    }
}

/// Returns the wait for these jobs, as far as the engine of this number knows them.
pub(super) fn wait_in<J: Job + ?Sized>(engine: u32, pending: &[&Arc<J>], until: Until) -> Wait {
    let mut tasks: Vec<_> = pending.iter().filter_map(|job| job.header().id_in(engine)).collect();
    // A wait for the first task must name all tasks or none: one that this engine does not
    // know may end the wait.
    if until == Until::First && tasks.len() < pending.len() {
        tasks.clear();
    }
    Wait { tasks: Arc::new(tasks), all: until != Until::First }
}

/// Returns true if a wait for these tasks, of which so many are pending, is over.
pub fn is_over<J: Job + ?Sized>(jobs: &[Arc<J>], pending: usize, until: Until) -> bool {
    let unsuccessful =
        |job: &Arc<J>| matches!(job.header().status(), Status::Failed | Status::Cancelled);
    match until {
        _ if pending == 0 => true,
        Until::All => false,
        Until::AllOrFailure => jobs.iter().any(unsuccessful),
        Until::First => pending < jobs.len(),
    }
}

/// A latch: one thread waits until another thread opens it. It starts closed and opens once, when
/// `missing` tasks have settled.
pub(crate) struct Latch<J: Job + ?Sized> {
    missing: AtomicUsize,
    /// A single task without a result opens the latch too.
    failure_opens: bool,
    opened: AtomicBool,
    sleeper: Sleeper<J>,
}

enum Sleeper<J: Job + ?Sized> {
    Thread(Arc<Parker>),
    Worker(Arc<Engine<J>>, WorkerId),
}

impl<J: Job + ?Sized + 'static> Latch<J> {
    pub(super) fn new(
        worker: Option<&Worker<J>>,
        missing: usize,
        failure_opens: bool,
    ) -> Arc<Self> {
        let sleeper = match worker.filter(|worker| worker.current().is_some()) {
            Some(worker) => Sleeper::Worker(Arc::clone(&worker.engine), worker.id),
            None => Sleeper::Thread(Arc::new(Parker::new())),
        };
        let (missing, opened) = (AtomicUsize::new(missing), AtomicBool::new(false));
        Arc::new(Self { missing, failure_opens, opened, sleeper })
    }

    fn listen(self: &Arc<Self>, jobs: &[&Arc<J>]) {
        let listener: Arc<dyn Listen> = Arc::<Self>::clone(self);
        for job in jobs {
            job.header().listen(&listener, 0);
        }
    }

    fn unlisten(self: &Arc<Self>, jobs: &[&Arc<J>]) {
        let listener: Arc<dyn Listen> = Arc::<Self>::clone(self);
        // A task that has settled has dropped its listeners already.
        for job in jobs.iter().filter(|job| job.header().status() == Status::Pending) {
            job.header().unlisten(&listener);
        }
    }

    pub(super) fn open(&self) {
        if self.opened.swap(true, Ordering::AcqRel) {
            return;
        }
        match &self.sleeper {
            Sleeper::Thread(parker) => parker.unpark(),
            Sleeper::Worker(engine, worker) => engine.with(|locked| {
                drop(locked.handle(Event::Resume(*worker)));
            }),
        }
    }

    /// Sleeps until the latch opens. For a thread outside tasks.
    pub(super) fn sleep<E>(&self, mut patience: Patience<'_, E>) -> Result<(), WaitError<E>> {
        let Sleeper::Thread(parker) = &self.sleeper else { return Ok(()) };
        loop {
            patience.park(parker);
            if self.opened.load(Ordering::Acquire) {
                return Ok(());
            }
            patience.check()?;
        }
    }
}

/// The token by which a latch listens to the task that waits: the end of that is its cancel.
const OWN: usize = usize::MAX;

impl<J: Job + ?Sized + 'static> Listen for Latch<J> {
    fn settled(&self, token: usize, status: Status) {
        if token == OWN {
            return self.open();
        }
        let failed = self.failure_opens && status != Status::Finished;
        if failed || self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open();
        }
    }
}

impl<E> Patience<'_, E> {
    /// Never gives up.
    #[must_use]
    pub fn endless() -> Self {
        Self { deadline: None, interrupt: None }
    }

    /// Sleeps until there is a token, or until it is time to [`check`](Self::check). Returns true
    /// if it took a token.
    fn park(&self, parker: &Parker) -> bool {
        let slice = self.interrupt.is_some().then(|| now() + SLICE);
        match (self.deadline, slice) {
            (None, None) => {
                parker.park();
                true
            }
            (Some(deadline), None) | (None, Some(deadline)) => parker.park_until(deadline),
            (Some(deadline), Some(slice)) => parker.park_until(deadline.min(slice)),
        }
    }

    fn check(&mut self) -> Result<(), WaitError<E>> {
        if let Some(interrupt) = &mut self.interrupt {
            interrupt().map_err(WaitError::Interrupted)?;
        }
        match self.deadline {
            Some(deadline) if has_passed(deadline) => Err(WaitError::TimedOut),
            _ => Ok(()),
        }
    }
}

/// The jobs of a cycle. The caller asks them for their keys after the lock is released.
pub(super) fn cycle<J: Job + ?Sized>(locked: &Locked<'_, J>, path: &[TaskId]) -> Vec<Arc<J>> {
    path.iter().filter_map(|task| locked.payload(*task)).collect()
}

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Lends the slot of the current task until the latch opens, or the task is cancelled. The
    /// caller's `listen` makes sure that another thread opens the latch. A task that has seceded has
    /// no slot to lend, and is woken without one.
    pub(super) fn wait<E>(
        &mut self,
        latch: &Arc<Latch<J>>,
        wait: Wait,
        listen: impl FnOnce(),
        patience: Patience<'_, E>,
    ) -> Result<(), WaitError<E>> {
        self.check_cancelled()?;
        let lent = self.set_loan_aside();
        let result = self.wait_with_slot(latch, wait, listen, patience);
        if let Some(lent) = lent {
            self.go_on_with_loan(lent);
        }
        result
    }

    fn wait_with_slot<E>(
        &mut self,
        latch: &Arc<Latch<J>>,
        wait: Wait,
        listen: impl FnOnce(),
        patience: Patience<'_, E>,
    ) -> Result<(), WaitError<E>> {
        // The time is taken now: once the slot is lent, another task may begin.
        let at = self.moment();
        self.lend_slot(|worker| Event::Park { worker, wait: wait.clone() })?;
        self.note_at(at, What::Parked { worker: self.id.0 });
        listen();
        let Some(own) = self.job().filter(|_| !self.is_shielded()).map(Arc::clone) else {
            return self.sleep_without_slot(latch, patience);
        };
        let listener: Arc<dyn Listen> = Arc::<Latch<J>>::clone(latch);
        own.header().listen(&listener, OWN);
        let result = self.sleep_without_slot(latch, patience);
        own.header().unlisten(&listener);
        result.and_then(|()| self.check_cancelled())
    }

    fn sleep_without_slot<E>(
        &mut self,
        latch: &Latch<J>,
        mut patience: Patience<'_, E>,
    ) -> Result<(), WaitError<E>> {
        loop {
            // A token means that the engine has granted the slot. Without one, the latch is still
            // closed, or the thread that opened it has not finished asking for the slot.
            if patience.park(&self.parker) {
                debug_assert!(
                    latch.opened.load(Ordering::Acquire)
                        || self.engine.is_closing()
                        || self.engine.is_broken(),
                    "a token that no grant stands behind has ended this wait"
                );
                return self.woken();
            }
            if let Err(error) = patience.check() {
                let opened = latch.opened.swap(true, Ordering::AcqRel);
                if !opened {
                    let resume = Event::Resume(self.id);
                    self.engine.with(|locked| drop(locked.handle(resume)));
                }
                self.parker.park();
                return if opened { self.woken() } else { self.woken().and(Err(error)) };
            }
        }
    }

    /// Gives up the slot by this event. If no other worker is there to take the slot, starts one
    /// and tries again.
    pub(super) fn lend_slot<E>(
        &mut self,
        event: impl Fn(WorkerId) -> Event<Arc<J>>,
    ) -> Result<(), WaitError<E>> {
        loop {
            if self.engine.is_closing() {
                return Err(WaitError::Closed);
            }
            let took = self.hand.took();
            let refused = self.engine.with_hand(&mut self.hand, true, |locked, hand| {
                hand.tell(locked, self.id, took);
                hand.give_back(locked);
                hand.say_begun(locked, self.id);
                let answer = locked.handle(event(self.id));
                hand.take_back(answer.take_back, locked);
                match answer.refused {
                    Some(Refusal::Cycle(path)) => Some(Some(cycle(locked, &path))),
                    Some(Refusal::NoSpare) => Some(None),
                    Some(Refusal::HoldsResources) => unreachable!("it does not nest"),
                    None => None,
                }
            });
            match refused {
                None => return Ok(()),
                Some(Some(cycle)) => {
                    return Err(WaitError::cycle(&cycle));
                }
                Some(None) => {
                    self.engine.fill_vacancies();
                    self.engine.start_worker(self.group).map_err(WaitError::NoThread)?;
                }
            }
        }
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// The current task goes on after a wait, with a slot.
    pub(super) fn woken<E>(&mut self) -> Result<(), WaitError<E>> {
        self.hand.since = now();
        self.note(What::Resumed { worker: self.id.0 });
        if self.engine.is_closing() { Err(WaitError::Closed) } else { Ok(()) }
    }
}
