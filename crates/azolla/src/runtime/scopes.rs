//! Scopes, and waits until all that has grown from a task has ended.
//!
//! For the engine each is a task that runs nowhere, a *gate*, whose job the front end brings. Its cell holds a result already,
//! which shows when the gate passes. So threads, event loops and tasks wait for it as they wait for any task.
//!
//! While a gate may pass soon, workers tell every end at once: a wait is not to last until a worker has several to tell of.

use super::engine::Engine;
use super::header::Status;
use super::job::{Job, Submission};
use super::locked::{Locked, State};
use crate::primitives::atomic::Ordering;
use azolla_core::{Event, Input, Kind, Outcome, Tally, TaskId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The scopes that the front end has not [ended](Engine::end_scope), each with whether the first failure cancels the rest.
#[derive(Default)]
pub(super) struct Scopes(FxHashMap<TaskId, bool>);

impl Scopes {
    /// The gates of these scopes. Some may be gone.
    pub(super) fn open(&self) -> impl Iterator<Item = TaskId> {
        self.0.keys().copied()
    }

    /// A task of this scope has failed. `at_once`: it counts even if somebody has seen that. Returns what the scheduler is to be
    /// told.
    pub(super) fn failed<J: Job + ?Sized>(
        &self,
        scope: &J,
        job: &J,
        at_once: bool,
    ) -> Option<Event<Arc<J>>> {
        let of = scope.header().id().and_then(|id| Some((id, self.0.get(&id)?)));
        match of {
            Some((id, cancels)) if !job.header().see_failure() || at_once => {
                cancels.then_some(Event::CancelGrown { task: id, interrupt: false })
            }
            _ => job.header().id().map(Event::Disregard),
        }
    }
}

impl<J: Job + ?Sized> Engine<J> {
    /// Opens a scope with this gate. `cancels`: its first failure cancels the rest. What is submitted with the gate as its
    /// parent belongs to the scope.
    pub fn open_scope(&self, gate: &Arc<J>, parent: Option<TaskId>, cancels: bool) {
        self.with(|locked| {
            let scope = Submission { parent, ..Submission::new(Arc::clone(gate), 0) };
            let scope = scope.of_kind(Kind(0));
            if let Some(task) = locked.add_gate(gate, Event::OpenScope(scope)) {
                let State { scopes: Scopes(scopes), scheduler, .. } = &mut *locked.state;
                if scopes.len() == scopes.capacity() {
                    // Nobody has ended those that were never left.
                    scopes.retain(|scope, _| scheduler.state(*scope).is_some());
                }
                scopes.insert(task, cancels);
            }
        });
    }

    /// Nothing more is submitted in this scope itself. Its gate passes when all that belongs to it has ended.
    pub fn close_scope(&self, gate: &J) {
        self.about(gate, Event::CloseScope);
    }

    /// The scope has ended, or nobody waits for it any more: failures do not cancel it.
    pub fn end_scope(&self, gate: &J) {
        if let Some(task) = gate.header().id() {
            self.with(|locked| locked.state.scopes.0.remove(&task));
        }
    }

    /// The tasks that have failed in this scope until now, in their order, each with one more future on it. The scope keeps
    /// them as long as there is a future on the gate.
    #[must_use]
    pub fn failed_in(&self, gate: &J) -> Vec<Arc<J>> {
        let Some(scope) = gate.header().id() else { return Vec::new() };
        self.with(|locked| {
            let failed = locked.state.scheduler.failures(scope);
            let failed = failed.into_iter().filter(|task| {
                let job = locked.state.scheduler.payload(*task);
                job.is_some_and(|job| job.header().status() == Status::Failed)
            });
            let failed: Vec<TaskId> = failed.collect();
            failed.into_iter().filter_map(|task| locked.add_future(task)).collect()
        })
    }

    /// How many tasks of this scope are live, and how many have ended how, with those of the scopes within it.
    #[must_use]
    pub fn tally(&self, gate: &J) -> Tally {
        let task = gate.header().id();
        let tally = |task| self.with(|locked| locked.state.scheduler.tally(task));
        task.and_then(tally).unwrap_or_default()
    }

    /// Cancels what has grown from this task, or in this scope, as far as nobody outside wants it, and what grows there from
    /// now on. With `interrupt` what runs is [interrupted](super::Runner::interrupt) too.
    pub fn cancel_grown(&self, job: &J, interrupt: bool) {
        self.about(job, |task| Event::CancelGrown { task, interrupt });
    }

    /// Cancels this task, and what has grown from it, as [`cancel_grown`](Self::cancel_grown) does.
    pub fn cancel_subtree(&self, job: &J) {
        self.cancel_all(job, None, true);
    }

    /// Cancels this task, and with `subtree` what has grown from it. What runs of that is [interrupted](super::Runner::interrupt).
    pub fn cancel_interrupting(&self, job: &Arc<J>, subtree: bool) {
        self.cancel_all(job, Some(job), subtree);
    }

    fn cancel_all(&self, job: &J, interrupted: Option<&Arc<J>>, subtree: bool) {
        let Some(task) = job.header().id() else { return };
        // At once: a task that is woken since one was cancelled that it waits for finds that it is cancelled itself.
        self.with(|locked| {
            let interrupt = interrupted.is_some();
            if subtree {
                drop(locked.handle(Event::CancelGrown { task, interrupt }));
            }
            if let Some(job) = interrupted {
                locked.state.after.interrupt(Arc::clone(job));
            }
            drop(locked.handle(Event::Cancel(task)));
        });
    }

    /// Has the gate pass when this task, and all that has grown from it, has ended.
    pub fn watch_growth(&self, gate: &Arc<J>, of: &J) {
        self.with(|locked| {
            let Some(of) = of.header().id_in(self.number) else {
                // The engine does not know it, so it has ended.
                gate.header().settle(false);
                return;
            };
            let inputs = [Input { task: of, there: false }].into_iter().collect();
            let watch = Submission { inputs, ..Submission::new(Arc::clone(gate), 0) };
            locked.add_gate(gate, Event::WatchGrowth(watch.of_kind(Kind(0))));
        });
    }
}

impl<J: Job + ?Sized> Locked<'_, J> {
    fn add_gate(&mut self, gate: &Arc<J>, event: Event<Arc<J>>) -> Option<TaskId> {
        if self.engine.is_closing() {
            self.turn_away(Arc::clone(gate));
            return None;
        }
        self.feed(event);
        let task = self.submitted()?;
        gate.header().set_id(task, self.engine.number);
        self.carry_out();
        Some(task)
    }

    /// If the end of a task may end what somebody waits for, and might not have before: workers tell each end at once from now
    /// on, and what they have kept until now is told for them.
    #[inline]
    pub(super) fn look_for_urgency(&mut self) {
        if self.state.scheduler.is_urgent() != self.engine.is_urgent.load(Ordering::Relaxed) {
            self.change_urgency();
        }
    }

    #[cold]
    fn change_urgency(&mut self) {
        let is_urgent = self.state.scheduler.is_urgent();
        self.engine.is_urgent.store(is_urgent, Ordering::SeqCst);
        if !is_urgent || self.engine.is_broken() {
            return;
        }
        for (worker, task) in self.state.scheduler.in_hand() {
            let job = self.state.scheduler.payload(task);
            if job.is_some_and(|job| job.header().has_finished()) {
                let (by, outcome) = (Some(worker), Outcome::Done);
                drop(self.handle(Event::Finish { worker: by, task, outcome, took: 0 }));
                self.let_others_run(worker);
            }
        }
    }
}
