//! Tasks that nothing refers to any more: which thread drops them, and when.
//!
//! To drop a task is to run its user's destructors, those of its closure or of its result. So it
//! happens with nothing locked, and it happens where the user expects it: on the thread that dropped
//! the last future or cancelled the task, or on a worker between two tasks. A thread that submits, waits
//! or asks drops no task of others: it may hold a lock of the user's that a destructor takes.
//!
//! - One event may settle many tasks, in several holds of the lock (see `todo.rs` of the core). A
//!   thread that takes the lock in between helps to finish that, and leaves the tasks that go in
//!   `State::left`. The thread whose event it was comes back for them.
//! - A worker in the middle of a task reports the ends of earlier tasks when that task waits. It leaves what
//!   goes there in `State::orphans`, and wakes an idle worker. Workers take the orphans when they pull.
//! - A worker between two tasks puts what goes into its hand. Its thread drops that when the worker is not
//!   borrowed, so that a destructor may wait there (`Worker::step_aside`).
//!
//! A destructor may drop the last future on another task, whose destructor may do the same. Up to
//! `DEEPEST` of these nest. What is dropped below that waits in the thread's list until the level above has
//! returned, so a chain of any length takes little stack, whatever engines its tasks belong to.

use super::engine::Engine;
use super::header::Status;
use super::job::Job;
use super::locked::{After, Locked, State, caught};
use super::worker::{Hand, Worker};
use crate::primitives::{MutexGuard, per_thread};
use azolla_core::{Event, GroupId};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// How many drops of tasks nest on one stack.
const DEEPEST: u32 = 16;

per_thread! {
    /// How many drops of tasks nest on this thread's stack.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The drops that must wait until the deepest one has returned.
    static LATER: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f`, which lets go of a task and so may run its user's destructors: now, or, where such calls nest
/// too deep, soon after.
#[inline]
pub fn dropping(f: impl FnOnce() + 'static) {
    let depth = DEPTH.with(Cell::get);
    if depth >= DEEPEST {
        return later(f);
    }
    DEPTH.with(|own| own.set(depth + 1));
    let _level = Level(depth + 1);
    f();
}

/// One of the nested drops. It ends also when a destructor panics.
struct Level(u32);

impl Drop for Level {
    #[inline]
    fn drop(&mut self) {
        if self.0 == DEEPEST {
            drop_what_waits();
        }
        DEPTH.with(|own| own.set(self.0 - 1));
    }
}

#[cold]
fn later(f: impl FnOnce() + 'static) {
    let mut f = Some(f);
    let pushed = LATER.try_with(|list| {
        let f = f.take().expect("it is taken once");
        list.borrow_mut().push(Box::new(f));
    });
    // The thread is ending and has no list any more.
    if pushed.is_err()
        && let Some(f) = f
    {
        f();
    }
}

#[cold]
fn drop_what_waits() {
    let next = || LATER.try_with(|list| list.borrow_mut().pop()).ok().flatten();
    while let Some(f) = next() {
        caught(f);
    }
}

/// Drops a task that the scheduler has let go of, or that was cancelled. Called with nothing locked.
pub fn let_go<J: Job + ?Sized>(engine: Option<&Engine<J>>, job: Arc<J>) {
    caught(|| {
        // A task with a result has no work left.
        if job.header().status() != Status::Finished {
            if let Some(engine) = engine
                && job.header().failed_unseen()
                && !engine.is_broken()
            {
                caught(|| engine.runner().unseen(&job));
            }
            job.discard();
        }
        drop(job);
    });
}

impl<J: Job + ?Sized> Engine<J> {
    /// Has an idle worker of this group ask for work, if there is one: its runner has something for it to do.
    pub fn rouse(&self, group: GroupId) {
        self.with(|locked| drop(locked.handle(Event::Rouse(Some(group)))));
    }

    /// Calls `f` with the engine locked, then does what must not be done under the lock. The only tasks
    /// that this drops are those that `f` has the scheduler let go of.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Locked<'_, J>) -> R) -> R {
        let (result, more) = self.hold(self.lock(), f);
        if more {
            self.go_on(|_| ());
        }
        result
    }

    /// Calls `f` as [`with`](Self::with) does, for a worker. The tasks that go are put into the worker's
    /// hand if it is between two tasks, and are left for other workers if it is in the middle of one.
    #[inline]
    pub(super) fn with_hand<R>(
        &self,
        hand: &mut Hand<J>,
        in_task: bool,
        f: impl FnOnce(&mut Locked<'_, J>, &mut Hand<J>) -> R,
    ) -> R {
        let (result, more) = self.hold(self.lock(), |locked| {
            let result = f(locked, hand);
            locked.set_aside(hand, in_task);
            result
        });
        if more {
            self.go_on(|locked| locked.set_aside(hand, in_task));
        }
        result
    }

    /// Has the scheduler do what it has left undone, in several holds of the lock, each of bounded
    /// length. Other threads may take the lock in between, and then do a part of it.
    #[cold]
    fn go_on(&self, mut f: impl FnMut(&mut Locked<'_, J>)) {
        loop {
            self.runner().breathe();
            let more = self.hold(self.state.lock_soon(), |locked| {
                drop(locked.handle(Event::Continue));
                locked.take_left();
                f(locked);
            });
            if !more.1 {
                return;
            }
        }
    }

    /// Locks the engine. If the scheduler has left something undone for another thread's event, it does that
    /// first, and the tasks that go meanwhile are left for that thread.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        let state = self.state.lock_soon();
        if state.scheduler.has_more() { self.help(state) } else { state }
    }

    #[cold]
    fn help<'a>(&'a self, mut state: MutexGuard<'a, State<J>>) -> MutexGuard<'a, State<J>> {
        while state.scheduler.has_more() && !self.is_broken() {
            self.hold(state, |locked| {
                drop(locked.handle(Event::Continue));
                let going = locked.going();
                locked.state.left.extend(going);
            });
            self.runner().breathe();
            state = self.state.lock_soon();
        }
        state
    }
}

impl<J: Job + ?Sized> Locked<'_, J> {
    /// Takes over what other threads have left for this one.
    fn take_left(&mut self) {
        let state = &mut *self.state;
        state.after.trash.extend(state.left.drain(..));
    }

    /// Does for a worker what [`Engine::with_hand`] says.
    #[inline]
    fn set_aside(&mut self, hand: &mut Hand<J>, in_task: bool) {
        let state = &*self.state;
        if !state.after.drops_nothing() || !state.orphans.is_empty() {
            self.set_some_aside(hand, in_task);
        }
    }

    fn set_some_aside(&mut self, hand: &mut Hand<J>, in_task: bool) {
        let going = self.going();
        if !in_task {
            hand.garbage.extend(going);
            hand.garbage.append(&mut self.state.orphans);
        } else if !going.is_empty() {
            self.state.orphans.extend(going);
            // A worker that is awake comes by itself. A sleeping one is granted a slot: a token that no grant
            // stands behind would end a wait of that worker which begins meanwhile.
            drop(self.handle(Event::Rouse(None)));
            // The event may have gone on with what others have left undone.
            let more = self.going();
            self.state.orphans.extend(more);
        }
    }

    /// Takes the tasks that go out of what is done after the lock is released. The listeners of those that
    /// were cancelled are still told then.
    fn going(&mut self) -> Vec<Arc<J>> {
        let After { settled, trash, told, .. } = &mut self.state.after;
        let mut going = Vec::new();
        settled.retain(|job| {
            let is_cancelled = job.header().status() == Status::Cancelled;
            if is_cancelled {
                told.push(job.header().take_listeners());
                going.push(Arc::clone(job));
            }
            !is_cancelled
        });
        going.extend(trash.drain(..));
        going
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// Returns true if there is something for [`next_gone`](Self::next_gone) to return.
    #[must_use]
    pub fn has_gone(&self) -> bool {
        !self.hand.gone.is_empty() || !self.hand.garbage.is_empty()
    }

    /// Takes out one of the tasks that are to be dropped when the worker is not borrowed. Until it
    /// has returned `None`, no task is current: a destructor that waits does not wait in the next task. That is the current one
    /// then, unless the worker has [stepped aside](Self::step_aside) meanwhile, so that another worker runs it.
    pub fn next_gone(&mut self) -> Option<Gone<J>> {
        let claim = self.hand.gone.pop().map(|job| (job, false));
        let Some((job, whole)) = claim.or_else(|| Some((self.hand.garbage.pop()?, true))) else {
            if std::mem::take(&mut self.hand.drops) {
                self.note_begun();
            }
            return None;
        };
        self.hand.drops = true;
        let is_told = whole && job.header().failed_unseen();
        let engine = is_told.then(|| Arc::clone(self.engine()));
        Some(Gone { job: Some(job), whole, engine })
    }
}

/// A task of which a worker lets go. Dropping this may run the user's destructors.
pub struct Gone<J: Job + ?Sized> {
    job: Option<Arc<J>>,
    /// The scheduler has let go of the task too.
    whole: bool,
    /// The engine, if its runner is to be told that the task failed.
    engine: Option<Arc<Engine<J>>>,
}

impl<J: Job + ?Sized> Drop for Gone<J> {
    fn drop(&mut self) {
        match self.job.take() {
            Some(job) if self.whole => let_go(self.engine.as_deref(), job),
            job => caught(|| drop(job)),
        }
    }
}
