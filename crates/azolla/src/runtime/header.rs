//! The part of a task that lives outside the engine's lock: the claim (has it begun?), the status
//! flags, the number of futures, and the listeners.
//!
//! A thread sees that a task has settled, and then reads the result, without a lock. The scheduler
//! may hear of the end later. Two flags make that safe:
//!
//! - `WATCHED`: another task depends on this one, so the worker must tell the engine of the end
//!   before it begins anything else. The worker stores the result, then sets `SETTLED` and learns
//!   from the same instruction whether `WATCHED` was set. The submitting thread sets `WATCHED` and
//!   learns from the same instruction whether `SETTLED` was set. Both are read-modify-writes of one
//!   atomic, so one of the two comes second and sees the other's flag.
//! - `LISTENED`: a listener wants to be called when the task settles. The protocol is the same.
//!
//! Three more flags serve tasks that are polled. A worker clears all three before it polls. A waker
//! sets `WOKEN`; a task that wakes itself while it is polled sets `YIELDS`. When the engine has
//! heard that the poll left the task suspended, it sets `SUSPENDED`. The thread that sets its flag
//! second finds the other flag set and queues the task again, so exactly one thread does.
//!
//! [README.md](README.md) tells the protocols step by step.

use super::listeners::{Listen, Listener, Listeners};
use crate::primitives::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::primitives::pause;
use azolla_core::{TaskId, WorkerId};
use std::cell::UnsafeCell;
use std::sync::Arc;

const SETTLED: u32 = 1;
const FAILED: u32 = 2;
const CANCELLED: u32 = 4;
const WATCHED: u32 = 8;
const LISTENED: u32 = 16;
const SUSPENDED: u32 = 32;
const WOKEN: u32 = 64;
const YIELDS: u32 = 128;
/// A thread is reading or changing the listeners.
const LOCKED: u32 = 256;
/// A caller has seen that the task failed, or another task passes it on.
const SEEN: u32 = 512;

/// The task is a call of an actor.
const CALL: u32 = 1024;
/// The task runs and is to stop soon, and does not know it yet.
const INTERRUPTED: u32 = 2048;

/// More than one client has submitted the task: set beside the number of the first.
const SEVERAL_CLIENTS: u32 = 1 << 31;

/// The claim of a task that has begun, has ended, or was cancelled: no worker can begin it.
const BEGUN: u32 = u32::MAX;

/// The status that a future shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The task has not ended, and perhaps not begun.
    Pending,
    /// The task has ended with a result.
    Finished,
    /// The task has ended with an error, its own or that of an input.
    Failed,
    /// The task was cancelled and will have no result.
    Cancelled,
}

/// What a task's end says of its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It had begun, or no worker had claimed it.
    Known,
    /// A worker had claimed it, and will not begin it.
    NotByItsWorker,
}

/// The part of a task that the engine touches, the same for every type of task.
pub struct Header {
    id: AtomicU64,
    /// 0 (no worker has claimed the task), the number + 1 of the worker that has, or `BEGUN`.
    claim: AtomicU32,
    flags: AtomicU32,
    futures: AtomicU32,
    /// The number of the engine that `id` belongs to.
    engine: AtomicU32,
    /// The number of the client that submitted the task first, and `SEVERAL_CLIENTS`.
    client: AtomicU32,
    /// The retries that are left, and in the lowest `SLOT_BITS` bits the state of the
    /// [`Slot`](super::Slot).
    retries_and_slot: AtomicU32,
    /// Only the thread that has set `LOCKED` may touch the listeners.
    listeners: UnsafeCell<Listeners>,
}

// A million tasks take a million times this.
#[cfg(all(target_pointer_width = "64", not(azolla_shuttle)))]
const _: () = assert!(size_of::<Header>() == 56);

// SAFETY: `listeners` holds values that are `Send`, and only the thread that has set `LOCKED`
// touches it, one thread at a time. Every other field is atomic.
unsafe impl Sync for Header {}

const SLOT_BITS: u32 = 3;
const SLOT: u32 = (1 << SLOT_BITS) - 1;

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header").field("id", &self.id()).field("status", &self.status()).finish()
    }
}

impl Default for Header {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    /// A header for a task that is not submitted yet, with one future on it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_retries(0)
    }

    /// A header for a task that runs again up to `retries` times if it fails; half a billion at
    /// most.
    #[must_use]
    pub fn with_retries(retries: u32) -> Self {
        Self::with_slot(retries, 0)
    }

    /// A header that also holds the first state of the slot.
    pub(crate) fn with_slot(retries: u32, slot: u32) -> Self {
        let retries = retries.min(u32::MAX >> SLOT_BITS);
        Self {
            id: AtomicU64::new(0),
            claim: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            futures: AtomicU32::new(1),
            engine: AtomicU32::new(0),
            client: AtomicU32::new(0),
            retries_and_slot: AtomicU32::new(retries << SLOT_BITS | slot),
            listeners: UnsafeCell::new(Listeners::new()),
        }
    }

    /// Uses up one retry. Returns false if none is left. The worker that runs the task calls it.
    pub fn take_retry(&self) -> bool {
        let one_less = |word: u32| word.checked_sub(1 << SLOT_BITS);
        self.retries_and_slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// The state of the slot. Only `slot.rs` reads and changes it.
    pub(crate) fn slot(&self) -> u32 {
        self.retries_and_slot.load(Ordering::Acquire) & SLOT
    }

    /// Changes the state of the slot if it is `from`. Returns true if it was.
    pub(crate) fn change_slot(&self, from: u32, to: u32) -> bool {
        let change = |word: u32| (word & SLOT == from).then_some(word & !SLOT | to);
        let word = &self.retries_and_slot;
        word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }

    /// Changes the state of the slot, which the caller knows to be `from`.
    pub(crate) fn set_slot(&self, from: u32, to: u32) {
        self.retries_and_slot.fetch_xor(from ^ to, Ordering::Release);
    }

    /// The task's id; `None` before it is submitted.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        TaskId::from_bits(self.id.load(Ordering::Acquire))
    }

    /// The task's id if it belongs to the engine with this number. To another engine the id means
    /// nothing.
    pub(crate) fn id_in(&self, engine: u32) -> Option<TaskId> {
        self.id().filter(|_| self.engine() == engine)
    }

    /// The number of the engine that the task was submitted to; 0 before that.
    #[must_use]
    pub fn engine(&self) -> u32 {
        self.engine.load(Ordering::Relaxed)
    }

    pub(crate) fn set_id(&self, id: TaskId, engine: u32) {
        self.engine.store(engine, Ordering::Relaxed);
        self.id.store(id.to_bits(), Ordering::Release);
    }

    /// Sets the client that submits the task, by the number that the front end gave that client.
    /// Called before the task is submitted.
    pub fn set_client(&self, client: u32) {
        self.client.store(client, Ordering::Relaxed);
    }

    /// Records that this client has submitted the task too.
    pub(crate) fn add_client(&self, client: u32) {
        if self.client() != client {
            self.client.fetch_or(SEVERAL_CLIENTS, Ordering::Relaxed);
        }
    }

    /// The number of the client that submitted the task first.
    #[must_use]
    pub fn client(&self) -> u32 {
        self.client.load(Ordering::Relaxed) & !SEVERAL_CLIENTS
    }

    /// Returns true if no other client has submitted the task.
    pub(crate) fn is_only_of(&self, client: u32) -> bool {
        self.client.load(Ordering::Relaxed) == client
    }

    /// The status that a future on this task shows now.
    #[must_use]
    pub fn status(&self) -> Status {
        status(self.flags.load(Ordering::Acquire))
    }

    /// Returns true if the task has ended.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.status() != Status::Pending
    }

    /// Returns true if the task has ended with a result, in one order with the changes of `Engine::is_urgent`.
    pub(super) fn has_finished(&self) -> bool {
        status(self.flags.load(Ordering::SeqCst)) == Status::Finished
    }

    /// Returns true if the task has begun and not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.claim.load(Ordering::Acquire) == BEGUN && self.status() == Status::Pending
    }

    /// Counts one more future.
    pub fn add_future(&self) {
        self.futures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one future less. Returns true if it was the last: the caller must then tell the
    /// engine.
    #[must_use]
    pub fn remove_future(&self) -> bool {
        self.futures.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// The number of futures.
    #[must_use]
    pub fn futures(&self) -> u32 {
        self.futures.load(Ordering::Acquire)
    }

    /// Returns true if there is exactly one future.
    #[must_use]
    pub fn has_one_future(&self) -> bool {
        self.futures.load(Ordering::Acquire) == 1
    }

    pub(crate) fn has_future(&self) -> bool {
        self.futures.load(Ordering::Acquire) > 0
    }

    /// Settles the task with what its cell holds, and calls the listeners. Returns true if the task
    /// was watched.
    pub(crate) fn settle(&self, failed: bool) -> bool {
        let flag = SETTLED | if failed { FAILED } else { 0 };
        // In one order with the looks at `Engine::is_urgent`.
        let before = self.flags.fetch_or(flag, Ordering::SeqCst);
        if before & LISTENED != 0 && before & SETTLED == 0 {
            self.tell_listeners();
        }
        before & WATCHED != 0
    }

    /// Settles the task under the engine's lock. The listeners are called after the lock is
    /// released, by [`tell_listeners`](Self::tell_listeners).
    pub(crate) fn settle_quietly(&self, how: Status) -> Begun {
        let flag = match how {
            Status::Failed => FAILED,
            Status::Cancelled => CANCELLED,
            _ => 0,
        };
        self.flags.fetch_or(SETTLED | flag, Ordering::AcqRel);
        match self.claim.swap(BEGUN, Ordering::AcqRel) {
            0 | BEGUN => Begun::Known,
            _ => Begun::NotByItsWorker,
        }
    }

    /// Cancels the task as [`settle_quietly`](Self::settle_quietly) does, unless it has ended: a
    /// task that has shown a result keeps it. Returns true if the task was pending.
    pub(crate) fn cancel_pending(&self) -> bool {
        let cancelled = |flags| (flags & SETTLED == 0).then_some(flags | SETTLED | CANCELLED);
        let was_pending =
            self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, cancelled).is_ok();
        self.claim.store(BEGUN, Ordering::Release);
        was_pending
    }

    /// Makes a failed task pending again.
    pub(crate) fn reset(&self) {
        self.unbegin();
        self.flags.fetch_and(!(SETTLED | FAILED | SEEN), Ordering::AcqRel);
    }

    /// Records that a caller has seen the failure, or need not. Returns true if that was known.
    pub fn see_failure(&self) -> bool {
        // Mostly it is set, and a load costs less than an exchange.
        self.flags.load(Ordering::Relaxed) & SEEN != 0
            || self.flags.fetch_or(SEEN, Ordering::Relaxed) & SEEN != 0
    }

    /// Returns true if the task has failed and no caller has seen that.
    pub(crate) fn failed_unseen(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (CANCELLED | FAILED | SEEN) == FAILED
    }

    /// The task is a call of an actor from now on.
    pub(super) fn set_call(&self) {
        self.flags.fetch_or(CALL, Ordering::Relaxed);
    }

    /// Returns true if the task is a call of an actor.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CALL != 0
    }

    /// The task is to stop soon. A call of an actor is not interrupted: its state would be left half changed.
    pub(super) fn interrupt(&self) {
        if !self.is_call() {
            self.flags.fetch_or(INTERRUPTED, Ordering::AcqRel);
        }
    }

    /// Returns true if the task is to stop soon, and does not know it yet.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.flags.load(Ordering::Acquire) & INTERRUPTED != 0
    }

    /// The task is told now that it is to stop. Returns false if it knows, or need not stop.
    pub fn take_interrupt(&self) -> bool {
        self.is_interrupted()
            && self.flags.fetch_and(!INTERRUPTED, Ordering::AcqRel) & INTERRUPTED != 0
    }

    /// Marks the task as watched. Returns the status from before.
    pub fn watch(&self) -> Status {
        status(self.flags.fetch_or(WATCHED, Ordering::AcqRel))
    }

    /// Records that the task waits in the queue again, for another attempt.
    pub(crate) fn unbegin(&self) {
        self.claim.store(0, Ordering::Release);
    }

    pub(crate) fn set_claim(&self, worker: WorkerId, begun: bool) {
        let claim = if begun { BEGUN } else { worker.0 + 1 };
        self.claim.store(claim, Ordering::Release);
    }

    /// Begins a task that this worker has claimed. Returns false if the task was taken back or
    /// settled.
    pub(crate) fn begin(&self, worker: WorkerId) -> bool {
        let (mine, begun) = (worker.0 + 1, BEGUN);
        self.claim.compare_exchange(mine, begun, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes back a task that a worker has claimed. Returns false if it has begun or is not
    /// claimed.
    pub(crate) fn take_back(&self) -> bool {
        let claim = self.claim.load(Ordering::Acquire);
        claim != BEGUN
            && claim != 0
            && self.claim.compare_exchange(claim, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Marks the beginning of a poll: a wake-up from now on leads to another one.
    pub(crate) fn begin_poll(&self) {
        self.flags.fetch_and(!(SUSPENDED | WOKEN | YIELDS), Ordering::AcqRel);
    }

    /// Wakes the task. Returns true if the caller must tell the engine.
    pub(crate) fn wake(&self) -> bool {
        let before = self.flags.fetch_or(WOKEN, Ordering::AcqRel);
        before & (SUSPENDED | WOKEN | YIELDS | SETTLED) == SUSPENDED
    }

    /// Records that the task has woken itself while it is polled, to let other tasks go first.
    pub(crate) fn yields(&self) {
        self.flags.fetch_or(YIELDS, Ordering::AcqRel);
    }

    /// Records that the poll has left the task suspended and that the engine knows. If the task was
    /// woken meanwhile, returns `Some`: true if only the task itself has woken it.
    pub(crate) fn suspend(&self) -> Option<bool> {
        let before = self.flags.fetch_or(SUSPENDED, Ordering::AcqRel);
        (before & (WOKEN | YIELDS) != 0).then_some(before & WOKEN == 0)
    }

    /// Has `who` called when the task settles: at once if it has settled.
    pub fn listen(&self, who: &Arc<dyn Listen>, token: usize) {
        let before = self.with_listeners(LISTENED, |listeners, before| {
            if before & SETTLED == 0 {
                listeners.push(Listener { who: Arc::clone(who), token });
            }
            before
        });
        if before & SETTLED != 0 {
            who.settled(token, status(before));
        }
    }

    /// Removes `who` from the listeners.
    pub fn unlisten(&self, who: &Arc<dyn Listen>) {
        self.with_listeners(0, |listeners, _| listeners.remove(who));
    }

    pub(crate) fn tell_listeners(&self) {
        self.take_listeners().tell(self.status());
    }

    /// Takes the listeners out, to be told later.
    pub(super) fn take_listeners(&self) -> Listeners {
        self.with_listeners(0, |listeners, _| std::mem::take(listeners))
    }

    /// Sets a flag and calls `f` with the listeners and with the flags from before. No other thread
    /// touches the listeners meanwhile, so `f` must be short and must not run user code.
    fn with_listeners<R>(&self, flag: u32, f: impl FnOnce(&mut Listeners, u32) -> R) -> R {
        let mut times = 0;
        let before = loop {
            let before = self.flags.fetch_or(LOCKED | flag, Ordering::AcqRel);
            if before & LOCKED == 0 {
                break before;
            }
            pause(times);
            times += 1;
        };
        // SAFETY: this thread has set `LOCKED`, and clears it only after `f` has returned. If `f`
        // panics the flag stays set, so no thread ever reaches the listeners again.
        let result = f(unsafe { &mut *self.listeners.get() }, before);
        self.flags.fetch_and(!LOCKED, Ordering::Release);
        result
    }
}

fn status(flags: u32) -> Status {
    if flags & SETTLED == 0 {
        Status::Pending
    } else if flags & CANCELLED != 0 {
        Status::Cancelled
    } else if flags & FAILED != 0 {
        Status::Failed
    } else {
        Status::Finished
    }
}
