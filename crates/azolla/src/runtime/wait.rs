//! Waiting, inside tasks and outside.
//!
//! A thread outside tasks sleeps until its latch opens. A task's thread first lends its slot to
//! another worker, and goes on when the engine grants it a slot again: whoever opens the latch
//! asks for it, so the thread is woken once, with the slot.

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

/// How long a wait goes on.
pub struct Patience<'a, E> {
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Asked every 50 ms whether to break off.
    pub interrupt: Option<&'a mut dyn FnMut() -> Result<(), E>>,
}

/// Why a wait ended without what it was for.
#[derive(Debug)]
pub enum WaitError<E> {
    /// The deadline passed.
    TimedOut,
    /// Each of the tasks with these keys would wait for the next, and the last for the first.
    Cycle(Vec<String>),
    /// `interrupt` said so.
    Interrupted(E),
    /// The engine is closing.
    Closed,
    /// There is no thread to take over the slot.
    NoThread(io::Error),
}

impl<E> WaitError<E> {
    /// These tasks would wait for each other. Called with nothing locked.
    pub(super) fn cycle<J: Job + ?Sized>(jobs: &[Arc<J>]) -> Self {
        Self::Cycle(jobs.iter().map(|job| job.key()).collect())
    }
}

impl WaitError<std::convert::Infallible> {
    /// The same error, of a wait that could have been interrupted.
    #[must_use]
    pub fn never_interrupted<E>(self) -> WaitError<E> {
        match self {
            Self::TimedOut => WaitError::TimedOut,
            Self::Cycle(keys) => WaitError::Cycle(keys),
            Self::Interrupted(never) => match never {},
            Self::Closed => WaitError::Closed,
            Self::NoThread(error) => WaitError::NoThread(error),
        }
    }
}

/// What is waited for among several tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// All have ended.
    All,
    /// All have ended, or one has ended without a result.
    AllOrFailure,
    /// One has ended.
    First,
}

/// How often `interrupt` is asked.
const SLICE: Duration = Duration::from_millis(50);

/// Waits for tasks. `worker` is the one whose task waits, or `None` outside tasks.
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
            let number = worker.engine.number;
            let mut tasks: Vec<_> =
                pending.iter().filter_map(|job| job.header().id_in(number)).collect();
            // A wait for the first is not one for those that this engine knows.
            if until == Until::First && tasks.len() < pending.len() {
                tasks.clear();
            }
            let wait = Wait { tasks: Arc::new(tasks), all: until != Until::First };
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
    // What has come in the last moment counts, but for a deadline: that has passed before.
    let pending = || jobs.iter().filter(|job| job.header().status() == Status::Pending).count();
    match result {
        Err(WaitError::Closed | WaitError::Cycle(_)) if is_over(jobs, pending(), until) => Ok(()),
        result => result,
    }
}

fn is_over<J: Job + ?Sized>(jobs: &[Arc<J>], pending: usize, until: Until) -> bool {
    let unsuccessful =
        |job: &Arc<J>| matches!(job.header().status(), Status::Failed | Status::Cancelled);
    match until {
        _ if pending == 0 => true,
        Until::All => false,
        Until::AllOrFailure => jobs.iter().any(unsuccessful),
        Until::First => pending < jobs.len(),
    }
}

/// Something that one thread waits for, and that any other may open, once.
pub(crate) struct Latch<J: Job + ?Sized> {
    missing: AtomicUsize,
    /// A task without a result opens it too.
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
        // Those that have settled have let go of their listeners.
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

    /// Sleeps until the latch opens, outside tasks.
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

impl<J: Job + ?Sized + 'static> Listen for Latch<J> {
    fn settled(&self, _token: usize, status: Status) {
        let failed = self.failure_opens && status != Status::Finished;
        if failed || self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open();
        }
    }
}

impl<E> Patience<'_, E> {
    /// For as long as it takes.
    #[must_use]
    pub fn endless() -> Self {
        Self { deadline: None, interrupt: None }
    }

    /// Sleeps until unparked, or until it is time to [`check`](Self::check).
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

/// The jobs of a cycle, to be asked for their keys when nothing is locked.
pub(super) fn cycle<J: Job + ?Sized>(locked: &Locked<'_, J>, path: &[TaskId]) -> Vec<Arc<J>> {
    path.iter().filter_map(|task| locked.payload(*task)).collect()
}

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Lends the slot of the current task until the latch opens. `listen` is what may open it.
    pub(super) fn wait<E>(
        &mut self,
        latch: &Latch<J>,
        wait: Wait,
        listen: impl FnOnce(),
        mut patience: Patience<'_, E>,
    ) -> Result<(), WaitError<E>> {
        // As of now: once the slot is lent another may begin.
        let at = self.moment();
        self.lend_slot(|worker| Event::Park { worker, wait: wait.clone() })?;
        self.note_at(at, What::Parked { worker: self.id.0 });
        listen();
        loop {
            // Woken means: with a slot. Otherwise nobody has opened the latch, or its opening is
            // under way.
            if patience.park(&self.parker) {
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

    fn woken<E>(&mut self) -> Result<(), WaitError<E>> {
        self.hand.since = now();
        self.note(What::Resumed { worker: self.id.0 });
        if self.engine.is_closing() { Err(WaitError::Closed) } else { Ok(()) }
    }

    /// Gives up the slot, with another worker there to take it.
    fn lend_slot<E>(
        &mut self,
        event: impl Fn(WorkerId) -> Event<Arc<J>>,
    ) -> Result<(), WaitError<E>> {
        loop {
            if self.engine.is_closing() {
                return Err(WaitError::Closed);
            }
            let took = self.hand.took();
            let refused = self.engine.with(|locked| {
                self.hand.tell(locked, self.id, took);
                self.hand.give_back(locked);
                self.hand.say_begun(locked, self.id);
                let answer = locked.handle(event(self.id));
                self.hand.take_back(answer.take_back, locked);
                match answer.refused {
                    Some(Refusal::Cycle(path)) => Some(Some(cycle(locked, &path))),
                    Some(Refusal::NoSpare) => Some(None),
                    Some(Refusal::HoldsResources) => unreachable!("it does not nest"),
                    None => None,
                }
            });
            self.hand.let_go();
            match refused {
                None => return Ok(()),
                Some(Some(cycle)) => {
                    return Err(WaitError::cycle(&cycle));
                }
                Some(None) => self.engine.start_worker(self.group).map_err(WaitError::NoThread)?,
            }
        }
    }

    /// Lets the current task run on without a slot; a second time does nothing. Whether it had one.
    ///
    /// # Errors
    /// If the engine is closing, or there is no thread to take over the slot.
    pub fn secede(&mut self) -> Result<bool, WaitError<std::convert::Infallible>> {
        let had_slot = self.hand.current.as_ref().is_some_and(|current| !current.seceded);
        if had_slot {
            let at = self.moment();
            self.lend_slot(Event::Secede)?;
            self.note_at(at, What::Seceded { worker: self.id.0 });
            if let Some(current) = &mut self.hand.current {
                current.seceded = true;
            }
        }
        Ok(had_slot)
    }

    /// Waits for a slot for a current task that has seceded, and first for the resources that it takes;
    /// for any other does nothing.
    ///
    /// # Errors
    /// If the engine is closing, or the resources are kept by tasks that wait for this one.
    pub fn rejoin(&mut self) -> Result<(), WaitError<std::convert::Infallible>> {
        if let Some(current) = &mut self.hand.current
            && std::mem::take(&mut current.seceded)
        {
            // Nobody grants a slot after the end; a close that comes from now on wakes all.
            if !self.engine.is_closing() {
                let refused = self.engine.with(|locked| {
                    let answer = locked.handle(Event::Resume(self.id));
                    match answer.refused {
                        Some(Refusal::Cycle(path)) => Some(cycle(locked, &path)),
                        _ => None,
                    }
                });
                if let Some(jobs) = refused {
                    if let Some(current) = &mut self.hand.current {
                        current.seceded = true;
                    }
                    return Err(WaitError::cycle(&jobs));
                }
                self.parker.park();
            }
            return self.woken();
        }
        Ok(())
    }
}
