//! The engine while it is locked: a [`Locked`] feeds events to the scheduler and carries out the
//! effects that only touch headers. The rest of the effects it collects in [`After`], to be carried
//! out when the lock is released.

use super::engine::Engine;
use super::garbage::let_go;
use super::groups::Groups;
use super::header::{Begun, Status};
use super::job::{Job, Submission};
use super::kind_names::Kinds;
use super::listeners::Listeners;
use super::observe::{Origin, What};
use super::parker::Parker;
use super::scopes::Scopes;
use crate::primitives::MutexGuard;
use crate::primitives::atomic::{AtomicI64, Ordering};
#[cfg(debug_assertions)]
use crate::primitives::per_thread;
use azolla_core::{
    Effect, Event, GroupId, Kind, Outcome, Priority, Refusal, Scheduler, TaskId, WorkerId,
};
use smallvec::SmallVec;
#[cfg(debug_assertions)]
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What the lock guards.
pub(crate) struct State<J: Job + ?Sized> {
    pub(super) scheduler: Scheduler<Arc<J>>,
    pub(super) groups: Arc<Groups>,
    /// The highest priority that is ready, by group. Workers read it without the lock.
    pub(super) best_ready: Vec<(GroupId, Arc<AtomicI64>)>,
    parkers: Vec<Arc<Parker>>,
    kinds: Kinds,
    effects: Vec<Effect<Arc<J>>>,
    /// The tasks that the last event gave to the worker that asked.
    pub(super) runs: Vec<Run<J>>,
    pub(super) after: After<J>,
    pub(super) scopes: Scopes,
    /// What the scheduler is to be told once its effects are carried out.
    next: Vec<Event<Arc<J>>>,
    /// Tasks that went while a thread helped another one: for that one to drop (see `garbage.rs`).
    pub(super) left: Vec<Arc<J>>,
    /// Tasks that went on a worker in the middle of a task: for workers between two tasks.
    pub(super) orphans: Vec<Arc<J>>,
}

impl<J: Job + ?Sized> State<J> {
    pub(super) fn new(groups: Groups, short: Option<Duration>) -> Self {
        let mut scheduler = Scheduler::with_groups(groups.as_core());
        if let Some(short) = short {
            scheduler.set_short(u64::try_from(short.as_nanos()).unwrap_or(u64::MAX));
        }
        Self {
            scheduler,
            best_ready: groups.all().map(|group| (group, unready())).collect(),
            groups: Arc::new(groups),
            parkers: Vec::new(),
            kinds: Kinds::default(),
            effects: Vec::new(),
            runs: Vec::new(),
            after: After::new(),
            scopes: Scopes::default(),
            next: Vec::new(),
            left: Vec::new(),
            orphans: Vec::new(),
        }
    }
}

/// What says that nothing is ready.
pub(super) fn unready() -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(Priority::MIN.to_bits()))
}

/// The engine while it is locked.
pub(crate) struct Locked<'a, J: Job + ?Sized> {
    pub(super) engine: &'a Engine<J>,
    pub(super) state: MutexGuard<'a, State<J>>,
    pub(super) after: &'a mut Option<After<J>>,
}

/// What must wait until the lock is released.
pub(super) struct After<J: ?Sized> {
    wake: SmallVec<[Arc<Parker>; 2]>,
    /// The listeners of cancelled tasks that another thread drops.
    pub(super) told: Vec<Listeners>,
    pub(super) settled: SmallVec<[Arc<J>; 2]>,
    pub(super) trash: SmallVec<[Arc<J>; 2]>,
    /// What is to be interrupted.
    interrupted: Vec<Arc<J>>,
    /// Jobs of kinds that have no name yet.
    unnamed: Vec<(Kind, Arc<J>)>,
}

/// The scheduler's answer to an event.
pub(crate) struct Answer<J: ?Sized> {
    pub(crate) joined: Option<WorkerId>,
    pub(crate) refused: Option<Refusal>,
    pub(crate) doze: bool,
    pub(crate) retired: bool,
    pub(crate) take_back: Vec<(TaskId, Arc<J>)>,
}

/// A task given to a worker.
pub(crate) struct Run<J: ?Sized> {
    pub(crate) task: TaskId,
    pub(crate) job: Arc<J>,
    pub(crate) priority: Priority,
    pub(crate) begun: bool,
    /// Set if the task is observed: what its first observation says of it.
    pub(crate) seen: Option<Box<Origin>>,
}

#[cfg(debug_assertions)]
per_thread! {
    static LOCKED: Cell<bool> = const { Cell::new(false) };
}

/// Panics in debug builds if this thread holds an engine's lock. A front end calls it before it
/// does what must not be done under the lock.
pub fn assert_unlocked() {
    #[cfg(debug_assertions)]
    LOCKED.with(|locked| assert!(!locked.get(), "user code while the engine is locked"));
}

pub(super) fn set_locked(_locked: bool) {
    #[cfg(debug_assertions)]
    LOCKED.with(|locked| locked.set(_locked));
}

impl<J: Job + ?Sized> Locked<'_, J> {
    /// Feeds an event to the scheduler, and carries out the effects.
    // Inlined together with what it calls: where the caller's event is known, the compiler keeps
    // only the code that this event needs.
    #[inline(always)]
    pub(crate) fn handle(&mut self, event: Event<Arc<J>>) -> Answer<J> {
        self.feed(event);
        self.carry_out()
    }

    /// Feeds an event to the scheduler. The effects stay, to be carried out with those of other
    /// events.
    #[inline(always)]
    pub(super) fn feed(&mut self, event: Event<Arc<J>>) {
        if !self.engine.is_broken() {
            let state = &mut *self.state;
            state.scheduler.handle(event, &mut state.effects);
        }
    }

    /// Carries out the effects that the scheduler has left.
    #[inline]
    pub(super) fn carry_out(&mut self) -> Answer<J> {
        let mut answer = Answer::new();
        if !self.state.effects.is_empty() {
            self.carry_out_effects(&mut answer);
            while let Some(next) = self.state.next.pop() {
                self.feed(next);
                self.carry_out_effects(&mut answer);
            }
        }
        answer
    }

    fn carry_out_effects(&mut self, answer: &mut Answer<J>) {
        let state = &mut *self.state;
        for effect in state.effects.drain(..) {
            match effect {
                // `submit` has handled it.
                Effect::Submitted(_) | Effect::Existing(_) => {}
                Effect::Run { worker, task, payload, priority, begun } => {
                    payload.header().set_claim(worker, begun);
                    let seen = self
                        .engine
                        .observer
                        .is_on()
                        .then(|| self.engine.observer.look_at(&state.scheduler, task));
                    let seen = seen.flatten();
                    state.runs.push(Run { task, job: payload, priority, begun, seen });
                }
                Effect::Grant(worker) | Effect::Summon(worker) => {
                    state.after.wake.push(Arc::clone(&state.parkers[worker.0 as usize]));
                }
                Effect::Gone(group) => state.best_ready.retain(|(other, _)| *other != group),
                Effect::Doze(_) => answer.doze = true,
                Effect::Retire(_) => answer.retired = true,
                Effect::Joined(worker) => {
                    let at = worker.0 as usize;
                    if at == state.parkers.len() {
                        state.parkers.push(Arc::new(Parker::of_worker()));
                    } else {
                        state.parkers[at] = Arc::new(Parker::of_worker());
                    }
                    answer.joined = Some(worker);
                }
                Effect::Refused(refusal) => answer.refused = Some(refusal),
                Effect::TakeBack { task, payload } => answer.take_back.push((task, payload)),
                Effect::Inherit { payload, cause } => {
                    if let Some(failure) = cause.failure() {
                        payload.fail(failure);
                    }
                    // The first dependent carries the failure on: of each failure the runner hears
                    // once at most.
                    if cause.header().see_failure() {
                        payload.header().see_failure();
                    }
                    payload.header().settle_quietly(Status::Failed);
                    note_end(self.engine, &*payload);
                    state.after.settled.push(payload);
                }
                // The scheduler may not have heard of an end that a future shows already. Closing
                // takes no result away.
                Effect::Cancelled(payload) if self.engine.is_closing() => {
                    if payload.header().cancel_pending() {
                        note_end(self.engine, &*payload);
                    }
                    state.after.settled.push(payload);
                }
                Effect::Endless { payload, .. } => {
                    payload.fail_as_endless();
                    payload.header().settle_quietly(Status::Failed);
                    note_end(self.engine, &*payload);
                    state.after.settled.push(payload);
                }
                Effect::GrowthEnded(gate) => {
                    gate.header().settle_quietly(Status::Finished);
                    state.after.settled.push(gate);
                }
                Effect::FailedInScope { payload, scope, at_once } => {
                    state.next.extend(state.scopes.failed(&*scope, &*payload, at_once));
                    // The scheduler keeps both, so nothing is dropped here.
                }
                Effect::Doomed { tasks, interrupt } => {
                    let mut told = Vec::with_capacity(tasks.len());
                    for (task, job) in tasks {
                        told.push((task, job.header().status() == Status::Finished));
                        // The scheduler keeps it, so nothing is dropped here.
                        drop(job);
                    }
                    state.next.push(Event::CancelEach { tasks: told, interrupt });
                }
                Effect::Interrupted(payload) => state.after.interrupt(payload),
                Effect::Cancelled(payload) => {
                    let begun = payload.header().settle_quietly(Status::Cancelled);
                    if begun == Begun::NotByItsWorker {
                        state.next.extend(payload.header().id().map(Event::Unclaim));
                    }
                    note_end(self.engine, &*payload);
                    state.after.settled.push(payload);
                }
                Effect::Reset(payload) => {
                    // The header is reset first: a task that shows as failed must have an error to
                    // show.
                    payload.header().reset();
                    payload.reset();
                    note(self.engine, &*payload, What::Retried);
                }
                Effect::Drop(payload) => {
                    note(self.engine, &*payload, What::Dropped);
                    state.after.trash.push(payload);
                }
                Effect::Ready(task) => self.engine.observer.note_all(task, What::Ready),
            }
        }
    }

    /// Does the work of [`Engine::submit`].
    pub(super) fn submit(&mut self, submission: Submission<J>) -> Option<Arc<J>> {
        if self.engine.is_closing() {
            self.turn_away(submission.payload);
            return None;
        }
        debug_assert!(self.state.effects.is_empty(), "effects not carried out");
        let kind = self.kind(submission.kind, &submission.payload);
        let Submission { key, parent, call, .. } = submission;
        let actor = submission.inputs.first().map(|actor| actor.task);
        let parent = if call { actor } else { parent };
        if call {
            submission.payload.header().set_call();
        }
        self.feed(Event::Submit(submission.of_kind(kind)));
        // The first effect says which task it is. Mostly there is no other.
        match *self.state.effects.first()? {
            Effect::Submitted(task) => {
                let job = self.state.scheduler.payload(task);
                job?.header().set_id(task, self.engine.number);
                self.engine.observer.note_all(task, What::Submitted { parent, key });
                if self.state.effects.len() == 1 {
                    self.state.effects.clear();
                } else {
                    self.carry_out();
                }
                None
            }
            Effect::Existing(task) => {
                self.carry_out();
                let existing = self.payload(task)?;
                existing.header().add_future();
                Some(existing)
            }
            _ => unreachable!("a submission is answered by the task that it is"),
        }
    }

    /// Ends a task that is submitted to an engine that is closing.
    pub(super) fn turn_away(&mut self, job: Arc<J>) {
        if self.engine.is_broken() {
            job.fail_by_engine(BROKEN);
            job.header().settle_quietly(Status::Failed);
        } else {
            job.header().settle_quietly(Status::Cancelled);
        }
        self.state.after.settled.push(job);
    }

    /// Returns the task that the last event, a submission, has made.
    pub(super) fn submitted(&self) -> Option<TaskId> {
        match self.state.effects.first()? {
            Effect::Submitted(task) => Some(*task),
            _ => None,
        }
    }

    /// What the last event has given to this worker others are to run.
    pub(super) fn let_others_run(&mut self, worker: WorkerId) {
        while let Some(Run { task, job, .. }) = self.state.runs.pop() {
            job.header().unbegin();
            self.state.after.trash.push(job);
            let (worker, outcome) = (Some(worker), Outcome::Again);
            drop(self.handle(Event::Finish { worker, task, outcome, took: 0 }));
        }
    }

    /// Makes a task show the failure that its cell holds.
    pub(super) fn fail(&mut self, job: &Arc<J>) {
        job.header().settle_quietly(Status::Failed);
        self.state.after.settled.push(Arc::clone(job));
    }

    /// Records that a poll has left the task suspended; the scheduler knows already. If the task
    /// was woken meanwhile, queues it again.
    pub(super) fn suspended(&mut self, task: TaskId) {
        let woken = self.state.scheduler.payload(task).map(|job| job.header().suspend());
        if let Some(yields) = woken.flatten() {
            self.feed(Event::Wake { task, yields });
        }
    }

    /// The kind with the front end's number `of`. `job` is of this kind.
    #[inline(always)]
    fn kind(&mut self, of: u64, job: &Arc<J>) -> Kind {
        let state = &mut *self.state;
        let (kind, is_new) = state.kinds.of(of);
        if is_new {
            state.after.unnamed.push((kind, Arc::clone(job)));
        }
        kind
    }

    /// Puts one more future on a task that is kept.
    pub(super) fn add_future(&mut self, task: TaskId) -> Option<Arc<J>> {
        let job = self.payload(task)?;
        job.header().add_future();
        drop(self.handle(Event::Want(task)));
        Some(job)
    }

    pub(crate) fn payload(&self, task: TaskId) -> Option<Arc<J>> {
        self.state.scheduler.payload(task).map(Arc::clone)
    }

    pub(crate) fn best_ready(&self, group: GroupId) -> Priority {
        self.state.scheduler.best_ready(group)
    }

    /// Takes back up to half of the claims of other workers, so that idle workers can pull them. `claimed` lists the claims;
    /// one that has begun is skipped.
    pub(super) fn take_back(&mut self, claimed: &[(TaskId, Arc<J>)]) {
        let most = claimed.len().div_ceil(2);
        let unbegun = claimed.iter().filter(|(_, job)| job.header().take_back());
        for (task, _) in unbegun.take(most) {
            drop(self.handle(Event::Unclaim(*task)));
        }
    }

    /// As [`take_back`](Self::take_back), for a thread that is no worker.
    pub(super) fn take_back_here(&mut self, claimed: Vec<(TaskId, Arc<J>)>) {
        self.take_back(&claimed);
        self.state.after.trash.extend(claimed.into_iter().map(|(_, job)| job));
    }

    pub(super) fn parker(&self, worker: WorkerId) -> Arc<Parker> {
        Arc::clone(&self.state.parkers[worker.0 as usize])
    }

    pub(super) fn wake_all(&mut self) {
        let state = &mut *self.state;
        state.after.wake.extend(state.parkers.iter().map(Arc::clone));
    }

    /// Tells the scheduler that a task's last future is gone, unless there is a future again. If the only
    /// effect is that the task goes, which is the common case, returns its job, to be dropped when nothing
    /// is locked.
    #[inline(always)]
    pub(super) fn release(&mut self, task: TaskId) -> Option<Arc<J>> {
        let header = self.state.scheduler.payload(task)?.header();
        if header.has_future() {
            return None;
        }
        let there = header.status() == Status::Finished;
        self.feed(Event::Release { task, there });
        if let [Effect::Drop(_)] = self.state.effects[..]
            && let Some(Effect::Drop(job)) = self.state.effects.pop()
        {
            self.engine.observer.note_all(task, What::Dropped);
            return Some(job);
        }
        self.carry_out();
        None
    }

    /// Calls `f`. If it panics, the engine breaks down.
    #[inline(always)]
    pub(super) fn guarded<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        struct OnPanic<'l, 'a, J: Job + ?Sized>(&'l mut Locked<'a, J>);
        impl<J: Job + ?Sized> Drop for OnPanic<'_, '_, J> {
            fn drop(&mut self) {
                self.0.break_down();
            }
        }
        let guard = OnPanic(self);
        let result = f(&mut *guard.0);
        std::mem::forget(guard);
        result
    }

    pub(super) fn publish(&self) {
        if self.engine.is_broken() {
            return;
        }
        for (group, published) in &self.state.best_ready {
            let best = self.state.scheduler.best_ready(*group).to_bits();
            if published.load(Ordering::Relaxed) != best {
                published.store(best, Ordering::Relaxed);
            }
        }
    }

    /// Fails every task that the scheduler holds, so that every wait ends. Called when the
    /// scheduler has panicked and nothing that it says can be trusted.
    pub(super) fn break_down(&mut self) {
        self.engine.broken.store(true, Ordering::Release);
        self.engine.closing.store(true, Ordering::Release);
        let state = &mut *self.state;
        // The last event may have let go of tasks that the scheduler no longer holds: they fail
        // too.
        let let_go = state.effects.drain(..).filter_map(|effect| match effect {
            Effect::Run { payload, .. }
            | Effect::TakeBack { payload, .. }
            | Effect::Inherit { payload, .. }
            | Effect::Endless { payload, .. }
            | Effect::GrowthEnded(payload)
            | Effect::FailedInScope { payload, .. }
            | Effect::Interrupted(payload)
            | Effect::Cancelled(payload)
            | Effect::Reset(payload)
            | Effect::Drop(payload) => Some(payload),
            _ => None,
        });
        state.after.trash.extend(let_go);
        for job in state.scheduler.payloads().chain(&state.after.trash) {
            if job.header().status() == Status::Pending {
                job.fail_by_engine(BROKEN);
                job.header().settle_quietly(Status::Failed);
                state.after.settled.push(Arc::clone(job));
            }
        }
        self.wake_all();
        self.leave_the_rest();
    }

    /// Ends a hold of the lock: takes out what must wait until the lock is released, if anything
    /// must.
    #[inline(always)]
    pub(super) fn leave_the_rest(&mut self) {
        if !self.state.after.is_empty() {
            *self.after = Some(std::mem::replace(&mut self.state.after, After::new()));
        }
    }
}

/// Notes the end of a task that did not run to its end.
fn note_end<J: Job + ?Sized>(engine: &Engine<J>, job: &J) {
    note(engine, job, What::Ended { worker: None, status: job.header().status() });
}

fn note<J: Job + ?Sized>(engine: &Engine<J>, job: &J, what: What) {
    if engine.observer.is_on()
        && let Some(task) = job.header().id()
    {
        engine.observer.note_all(task, what);
    }
}

pub(crate) const BROKEN: &str =
    "azolla's engine has broken down; this is a bug in azolla, please report it";

impl<J: Job + ?Sized> After<J> {
    fn new() -> Self {
        Self {
            wake: SmallVec::new(),
            told: Vec::new(),
            settled: SmallVec::new(),
            trash: SmallVec::new(),
            interrupted: Vec::new(),
            unnamed: Vec::new(),
        }
    }

    /// This task, which is about to be cancelled, is to stop soon.
    pub(super) fn interrupt(&mut self, job: Arc<J>) {
        job.header().interrupt();
        self.interrupted.push(job);
    }

    fn is_empty(&self) -> bool {
        let Self { wake, told, interrupted, unnamed, .. } = self;
        let nothing_rare = told.is_empty() && interrupted.is_empty() && unnamed.is_empty();
        wake.is_empty() && self.drops_nothing() && nothing_rare
    }

    pub(super) fn drops_nothing(&self) -> bool {
        self.settled.is_empty() && self.trash.is_empty()
    }

    /// Does what must wait until the lock is released. That may run user code, and a panic in it
    /// must not end the worker.
    pub(super) fn carry_out(mut self, engine: &Engine<J>) {
        for (kind, job) in self.unnamed.drain(..) {
            engine.kind_names.name(kind, job.name());
        }
        for parker in self.wake.drain(..) {
            parker.unpark();
        }
        if !self.interrupted.is_empty() {
            engine.runner.interrupt(std::mem::take(&mut self.interrupted));
        }
        for listeners in self.told.drain(..) {
            listeners.tell(Status::Cancelled);
        }
        for job in self.settled.drain(..) {
            job.header().tell_listeners();
            if job.header().status() == Status::Cancelled {
                caught(|| job.discard());
            }
            caught(|| drop(job));
        }
        self.trash.drain(..).for_each(|job| let_go(Some(engine), job));
    }
}

/// Calls `f`, which may run user code, and swallows a panic in it.
pub(crate) fn caught(f: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
        // The panic's payload may panic when it is dropped. A second payload is leaked.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
    }
}

impl<J: ?Sized> Answer<J> {
    fn new() -> Self {
        Self { joined: None, refused: None, doze: false, retired: false, take_back: Vec::new() }
    }
}
