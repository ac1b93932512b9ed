//! The state machine: one way in, and nothing but dispatch.

use crate::calls::Calls;
use crate::constraint::Group;
use crate::effect::Effect;
use crate::event::Event;
use crate::growth::Growth;
use crate::holds::Workerless;
use crate::id::TaskId;
use crate::kinds::Kinds;
use crate::ready::ReadyQueue;
use crate::sets::Sets;
use crate::tasks::Tasks;
use crate::todo::Todo;
use crate::totals::Totals;
use crate::waits::Waits;
use crate::workers::Workers;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Decides which task runs when and where. `P` is what the driver needs to run a task: the
/// scheduler keeps it, clones it into effects, and never looks inside.
pub struct Scheduler<P> {
    pub(crate) tasks: Tasks<P>,
    /// Tasks without a constraint that are ready.
    pub(crate) ready: ReadyQueue,
    /// Constraints, and the ready tasks that have one.
    pub(crate) sets: Sets,
    pub(crate) workerless: Workerless,
    pub(crate) workers: Workers,
    pub(crate) waits: Waits,
    pub(crate) kinds: Kinds,
    pub(crate) growth: Growth,
    pub(crate) calls: Calls,
    /// What is left to do of events already handled.
    pub(crate) todo: VecDeque<Todo<P>>,
    /// Failed tasks to run again, once nothing else is left to do: no old news may reach them.
    pub(crate) retries: VecDeque<TaskId>,
    pub(crate) totals: Totals,
    pub(crate) closing: bool,
    pub(crate) observing: bool,
    /// The most transitions that one call makes.
    pub(crate) transitions: usize,
}

/// The most transitions that one call makes, but in tests that want fewer.
const TRANSITIONS: usize = 256;

impl<P: Clone> Scheduler<P> {
    /// A scheduler that lets `slots` tasks run at once, all in one group.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self::with_groups(&[Group::of_slots(slots)])
    }

    /// A scheduler for these groups; they are numbered in this order.
    #[must_use]
    pub fn with_groups(groups: &[Group]) -> Self {
        Self::with_parked_cap(groups, crate::waits::PARKED_CAP)
    }

    /// As [`with_groups`](Self::with_groups), with another bound on the number of parked tasks than
    /// 256. At the bound only tasks that a parked one needs are begun, until nothing else can go on.
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
            todo: VecDeque::new(),
            retries: VecDeque::new(),
            totals: Totals::default(),
            closing: false,
            observing: false,
            transitions: TRANSITIONS,
        }
    }

    /// Takes in what happened, and adds what is to be done to `effects`. Where
    /// [`has_more`](Self::has_more) then holds, the driver goes on with [`Event::Continue`], and
    /// may let others in between.
    // Inlined, so that where the event is known nothing of it is copied, and no other looked at.
    #[inline(always)]
    pub fn handle(&mut self, event: Event<P>, effects: &mut Vec<Effect<P>>) {
        // Whether a slot may fall free with nothing in the queue for it.
        let may_idle = matches!(
            event,
            Event::Pull(_) | Event::Park { .. } | Event::Secede(_) | Event::Leave(_)
        );
        match event {
            Event::Submit(submission) => self.on_submit(submission, effects),
            Event::Want(task) => self.on_want(task),
            Event::Release(task) => self.on_release(task, effects),
            Event::Keep(task) => self.on_keep(task),
            Event::Cancel(task) => self.on_cancel(task, effects),
            Event::Retry(task) => self.on_retry(task),
            Event::Join(group) => self.on_join(group, effects),
            Event::Leave(worker) => self.on_leave(worker),
            Event::Pull(worker) => self.on_pull(worker, effects),
            Event::Finish { worker, task, outcome, took } => {
                self.on_finish(worker, task, outcome, took, effects);
            }
            Event::Unclaim(task) => self.on_unclaim(task, effects),
            Event::Begun { worker, task } => self.on_begun(worker, task),
            Event::Detach { worker, task } => self.on_detach(worker, task),
            Event::Wake { task, yields } => self.on_wake(task, yields, effects),
            Event::Park { worker, wait } => self.on_park(worker, wait, effects),
            Event::Nest { worker, wait } => self.on_nest(worker, wait, effects),
            Event::RunNested { worker, at } => self.on_run_nested(worker, at, effects),
            Event::Unnest(worker) => self.on_unnest(worker),
            Event::Secede(worker) => self.on_secede(worker, effects),
            Event::Resume(worker) => self.on_resume(worker, effects),
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

    /// Whether the last event left something undone, for [`Event::Continue`].
    #[inline]
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.todo.is_empty() || !self.retries.is_empty()
    }

    /// Whether to report by [`Effect::Ready`] when tasks become ready.
    pub fn observe(&mut self, observing: bool) {
        self.observing = observing;
    }
}
