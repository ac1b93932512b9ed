//! The state machine. `handle` is its only way in, and does nothing but dispatch.

use crate::calls::Calls;
use crate::constraint::Group;
use crate::effect::Effect;
use crate::event::{Event, Wait};
use crate::growth::Growth;
use crate::holds::Workerless;
use crate::id::TaskId;
use crate::kinds::Kinds;
use crate::lingering::Lingering;
use crate::on::retry::Reviving;
use crate::ready::ReadyQueue;
use crate::sets::Sets;
use crate::tasks::Tasks;
use crate::todo::Todo;
use crate::totals::Totals;
use crate::waits::Waits;
use crate::workers::Workers;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// Decides which task runs when and where. `P` is what the driver needs to run a task: the
/// scheduler keeps it, clones it into effects, and never looks inside.
pub struct Scheduler<P> {
    pub(crate) tasks: Tasks<P>,
    /// The ready tasks without a constraint.
    pub(crate) ready: ReadyQueue,
    /// The constraints, and the ready tasks that have one.
    pub(crate) sets: Sets,
    pub(crate) workerless: Workerless,
    pub(crate) workers: Workers,
    pub(crate) waits: Waits,
    pub(crate) kinds: Kinds,
    pub(crate) growth: Growth,
    pub(crate) calls: Calls,
    /// Cancelled tasks that still run, of those that belong to families.
    pub(crate) lingering: HashMap<TaskId, Lingering, FxBuildHasher>,
    /// What tasks without a slot await, by the task.
    pub(crate) awaits: HashMap<TaskId, Wait, FxBuildHasher>,
    /// What is left to do for events that were handled already (see `todo.rs`).
    pub(crate) todo: VecDeque<Todo<P>>,
    /// Failed tasks to run again. They wait until `todo` is empty, so that no old news reaches
    /// them.
    pub(crate) retries: VecDeque<TaskId>,
    /// How far the first of these has come.
    pub(crate) reviving: Reviving,
    pub(crate) totals: Totals,
    pub(crate) closing: bool,
    pub(crate) observing: bool,
    /// After how many transitions one call stops. Tests use fewer than `TRANSITIONS`.
    pub(crate) transitions: usize,
}

/// After how many transitions one call stops.
const TRANSITIONS: usize = 256;

impl<P: Clone> Scheduler<P> {
    /// Returns a scheduler that lets `slots` tasks run at once, all in one group.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self::with_groups(&[Group::of_slots(slots)])
    }

    /// Returns a scheduler for these groups, which are numbered in this order.
    #[must_use]
    pub fn with_groups(groups: &[Group]) -> Self {
        Self::with_parked_cap(groups, crate::waits::PARKED_CAP)
    }

    /// As [`with_groups`](Self::with_groups), with another cap on parked tasks than 256. At the cap
    /// only tasks that a parked task needs begin, until nothing else can go on.
    #[must_use]
    pub fn with_parked_cap(groups: &[Group], parked_cap: usize) -> Self {
        Self {
            tasks: Tasks::new(),
            ready: ReadyQueue::new(),
            sets: Sets::new(),
            workerless: Workerless::default(),
            workers: Workers::new(groups),
            waits: Waits::new(parked_cap),
            kinds: Kinds::new(),
            growth: Growth::new(),
            calls: Calls::default(),
            lingering: HashMap::default(),
            awaits: HashMap::default(),
            todo: VecDeque::new(),
            retries: VecDeque::new(),
            reviving: Reviving::default(),
            totals: Totals::default(),
            closing: false,
            observing: false,
            transitions: TRANSITIONS,
        }
    }

    /// Handles an event, and appends what the driver is to do to `effects`. If
    /// [`has_more`](Self::has_more) is true afterwards, the driver must send [`Event::Continue`]
    /// until it is false. It may send other events in between.
    // Inlined: a caller that knows the event copies nothing of it, and has no other case in its
    // code.
    #[inline(always)]
    pub fn handle(&mut self, event: Event<P>, effects: &mut Vec<Effect<P>>) {
        // These events may leave a slot idle for which the queue holds nothing.
        let may_idle = matches!(
            event,
            Event::Pull(_)
                | Event::Park { .. }
                | Event::Secede(_)
                | Event::Join(_)
                | Event::Leave(_)
                | Event::RetireGroup(_)
        );
        match event {
            Event::Submit(submission) => self.on_submit(submission, effects),
            Event::Want(task) => self.on_want(task),
            Event::Release { task, there } => self.on_release(task, there, effects),
            Event::Keep(task) => self.on_keep(task),
            Event::Cancel(task) => self.on_cancel(task, effects),
            Event::CancelGrown { task, interrupt } => {
                self.on_cancel_grown(task, interrupt, effects)
            }
            Event::CancelEach { tasks, interrupt } => self.on_cancel_each(tasks, interrupt),
            Event::Retry(task) => self.on_retry(task),
            Event::OpenScope(scope) => self.on_open_scope(scope, effects),
            Event::Disregard(task) => self.on_disregard(task),
            Event::CloseScope(scope) => self.on_close_scope(scope),
            Event::WatchGrowth(gate) => self.on_watch_growth(gate, effects),
            Event::AddGroup(group) => self.on_add_group(&group),
            Event::RetireGroup(group) => self.on_retire_group(group, effects),
            Event::Join(group) => self.on_join(group, effects),
            Event::Leave(worker) => self.on_leave(worker, effects),
            Event::Pull(worker) => self.on_pull(worker, effects),
            Event::Finish { worker, task, outcome, took } => {
                self.on_finish(worker, task, outcome, took, effects);
            }
            Event::Unclaim(task) => self.on_unclaim(task, effects),
            Event::Begun { worker, task } => self.on_begun(worker, task),
            Event::Detach { worker, task } => self.on_detach(worker, task),
            Event::Await { task, wait } => self.on_await(task, wait, effects),
            Event::Wake { task, yields } => self.on_wake(task, yields, effects),
            Event::Park { worker, wait } => self.on_park(worker, wait, effects),
            Event::Nest { worker, wait } => self.on_nest(worker, wait, effects),
            Event::RunNested { worker, at } => self.on_run_nested(worker, at, effects),
            Event::Unnest(worker) => self.on_unnest(worker),
            Event::Secede(worker) => self.on_secede(worker, effects),
            Event::Resume(worker) => self.on_resume(worker, effects),
            Event::Rouse(group) => self.on_rouse(group, effects),
            Event::Stalled(worker) => self.on_stalled(worker),
            Event::Continue => {}
            Event::Close => self.on_close(),
        }
        self.work_off(effects);
        self.fill_slots(effects);
        if may_idle {
            self.take_back_claims(effects);
        }
    }

    /// Returns whether something is left to do, for [`Event::Continue`].
    #[inline]
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.todo.is_empty() || !self.retries.is_empty()
    }

    /// Says which tasks are short, of which a worker may pull several at once: those of functions that take less than so
    /// many nanoseconds on average. By default 20,000.
    pub fn set_short(&mut self, nanoseconds: u64) {
        self.kinds.short = nanoseconds;
    }

    /// Turns [`Effect::Ready`] on or off, which reports when tasks become ready.
    pub fn observe(&mut self, observing: bool) {
        self.observing = observing;
    }
}
