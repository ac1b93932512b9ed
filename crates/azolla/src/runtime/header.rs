//! What every task has outside the engine's lock: whether it has been begun, how it ended, how
//! many futures there are on it, and who is to be told.
//!
//! A settled task is recognised, and its result read, without any lock. Two flags make that safe
//! beside the engine's own knowledge, which may lag behind:
//!
//! - `WATCHED`: the engine must hear of the end before the worker begins anything else, because
//!   another task depends on it. The worker stores the result and then reads the flag; whoever
//!   watches sets the flag and then looks for the result. Both are one read-modify-write on the
//!   same atomic, so one of them sees the other.
//! - `LISTENED`: somebody is to be told directly. It goes the same way.
//!
//! Three more are for tasks that are polled. A turn begins by clearing them; whoever wakes the task
//! sets `WOKEN`, or `YIELDS` from within the turn itself. When the engine has heard that the turn
//! has left the task suspended, `SUSPENDED` is set. Whoever finds the one when setting the other
//! has the task queued again: exactly one of them does.

use super::listeners::{Listen, Listener, Listeners};
use super::locked::caught;
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
/// Somebody is at the listeners.
const LOCKED: u32 = 256;

/// More than one client has submitted the task.
const SHARED: u32 = 1 << 31;

/// The claim of a task that has begun, or cannot begin any more.
const BEGUN: u32 = u32::MAX;

/// What a future shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not ended yet, perhaps not begun.
    Pending,
    /// Ended with a result.
    Finished,
    /// Ended with an error, its own or an input's.
    Failed,
    /// Will have no result.
    Cancelled,
}

/// The part of a task that is the same for all, and that the engine touches.
pub struct Header {
    id: AtomicU64,
    /// 0, or which worker may begin it (its number + 1), or `BEGUN`.
    claim: AtomicU32,
    flags: AtomicU32,
    futures: AtomicU32,
    /// The number of the engine that `id` belongs to.
    engine: AtomicU32,
    /// Which of the engine's clients has submitted it, and whether another has too (`SHARED`).
    client: AtomicU32,
    /// How often the task may be run again, and below that `SLOT_BITS` that `slot.rs` has.
    retries_and_slot: AtomicU32,
    /// Belongs to whoever has set `LOCKED`.
    listeners: UnsafeCell<Listeners>,
}

// What a task takes is what a million of them take.
#[cfg(all(target_pointer_width = "64", not(azolla_shuttle)))]
const _: () = assert!(size_of::<Header>() == 56);

// SAFETY: the listeners, which may be sent, are touched by one thread at a time, the one that has set
// `LOCKED`; all else is atomic.
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
    /// The header of a task that is to be submitted, with one future on it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_retries(0)
    }

    /// The same, of one that is to be run again so often if it fails; half a billion times at the most.
    #[must_use]
    pub fn with_retries(retries: u32) -> Self {
        Self::with_slot(retries, 0)
    }

    /// The same, with the bits that `slot.rs` has.
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

    /// Uses up one retry, if there is one left. For whoever runs the task.
    pub fn take_retry(&self) -> bool {
        let one_less = |word: u32| word.checked_sub(1 << SLOT_BITS);
        self.retries_and_slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// The bits that `slot.rs` has, and nobody else.
    pub(crate) fn slot(&self) -> u32 {
        self.retries_and_slot.load(Ordering::Acquire) & SLOT
    }

    /// Changes these bits if they are as they are taken to be. Whether they were.
    pub(crate) fn change_slot(&self, from: u32, to: u32) -> bool {
        let change = |word: u32| (word & SLOT == from).then_some(word & !SLOT | to);
        let word = &self.retries_and_slot;
        word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }

    /// Changes these bits, which are known to be `from`.
    pub(crate) fn set_slot(&self, from: u32, to: u32) {
        self.retries_and_slot.fetch_xor(from ^ to, Ordering::Release);
    }

    /// The task's id; `None` before it is submitted.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        TaskId::from_bits(self.id.load(Ordering::Acquire))
    }

    /// The task's id if it belongs to the engine with this number: to others it means nothing.
    pub(crate) fn id_in(&self, engine: u32) -> Option<TaskId> {
        self.id().filter(|_| self.engine() == engine)
    }

    /// The number of the engine that it was submitted to; 0 before.
    #[must_use]
    pub fn engine(&self) -> u32 {
        self.engine.load(Ordering::Relaxed)
    }

    pub(crate) fn set_id(&self, id: TaskId, engine: u32) {
        self.engine.store(engine, Ordering::Relaxed);
        self.id.store(id.to_bits(), Ordering::Release);
    }

    /// Before it is submitted: by which client, by a number that the front end gives it.
    pub fn set_client(&self, client: u32) {
        self.client.store(client, Ordering::Relaxed);
    }

    /// This client has submitted it again.
    pub(crate) fn add_client(&self, client: u32) {
        if self.client() != client {
            self.client.fetch_or(SHARED, Ordering::Relaxed);
        }
    }

    /// The client that has submitted it first.
    #[must_use]
    pub fn client(&self) -> u32 {
        self.client.load(Ordering::Relaxed) & !SHARED
    }

    /// Whether nobody but this client has submitted it.
    pub(crate) fn is_only_of(&self, client: u32) -> bool {
        self.client.load(Ordering::Relaxed) == client
    }

    /// What a future on this task shows now.
    #[must_use]
    pub fn status(&self) -> Status {
        status(self.flags.load(Ordering::Acquire))
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.status() != Status::Pending
    }

    /// Whether the task has begun and not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.claim.load(Ordering::Acquire) == BEGUN && self.status() == Status::Pending
    }

    /// One more future.
    pub fn add_future(&self) {
        self.futures.fetch_add(1, Ordering::Relaxed);
    }

    /// One future fewer. Whether it was the last: then the engine must be told.
    #[must_use]
    pub fn remove_future(&self) -> bool {
        self.futures.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether there is exactly one future.
    #[must_use]
    pub fn has_one_future(&self) -> bool {
        self.futures.load(Ordering::Acquire) == 1
    }

    pub(crate) fn has_future(&self) -> bool {
        self.futures.load(Ordering::Acquire) > 0
    }

    /// Marks the task as ended with what its cell now holds. Whether it was watched.
    pub(crate) fn settle(&self, failed: bool) -> bool {
        let flag = SETTLED | if failed { FAILED } else { 0 };
        let before = self.flags.fetch_or(flag, Ordering::AcqRel);
        if before & LISTENED != 0 && before & SETTLED == 0 {
            self.tell_listeners();
        }
        before & WATCHED != 0
    }

    /// As [`settle`](Self::settle), under the engine's lock: listeners are told later.
    pub(crate) fn settle_quietly(&self, how: Status) {
        let flag = match how {
            Status::Failed => FAILED,
            Status::Cancelled => CANCELLED,
            _ => 0,
        };
        self.flags.fetch_or(SETTLED | flag, Ordering::AcqRel);
        self.claim.store(BEGUN, Ordering::Release);
    }

    /// As [`settle_quietly`](Self::settle_quietly) does, cancels the task unless it has ended: what
    /// has been seen to have a result keeps it. Whether it was pending.
    pub(crate) fn cancel_pending(&self) -> bool {
        let cancelled = |flags| (flags & SETTLED == 0).then_some(flags | SETTLED | CANCELLED);
        let was_pending =
            self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, cancelled).is_ok();
        self.claim.store(BEGUN, Ordering::Release);
        was_pending
    }

    /// Makes a failed task pending again.
    pub(crate) fn reset(&self) {
        self.flags.fetch_and(!(SETTLED | FAILED), Ordering::AcqRel);
    }

    /// Marks the task as watched. What it showed at that moment.
    pub(crate) fn watch(&self) -> Status {
        status(self.flags.fetch_or(WATCHED, Ordering::AcqRel))
    }

    pub(crate) fn set_claim(&self, worker: WorkerId, begun: bool) {
        let claim = if begun { BEGUN } else { worker.0 + 1 };
        self.claim.store(claim, Ordering::Release);
    }

    /// Begins a claimed task; false if it was taken back or settled meanwhile.
    pub(crate) fn begin(&self, worker: WorkerId) -> bool {
        let (mine, begun) = (worker.0 + 1, BEGUN);
        self.claim.compare_exchange(mine, begun, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes back a claimed task; false if it has begun.
    pub(crate) fn take_back(&self) -> bool {
        let claim = self.claim.load(Ordering::Acquire);
        claim != BEGUN
            && claim != 0
            && self.claim.compare_exchange(claim, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// A turn of a task that is polled begins: what wakes it from now on makes for another.
    pub(crate) fn begin_turn(&self) {
        self.flags.fetch_and(!(SUSPENDED | WOKEN | YIELDS), Ordering::AcqRel);
    }

    /// Somebody wakes the task. Whether the engine must be told.
    pub(crate) fn wake(&self) -> bool {
        let before = self.flags.fetch_or(WOKEN, Ordering::AcqRel);
        before & (SUSPENDED | WOKEN | YIELDS | SETTLED) == SUSPENDED
    }

    /// The task wakes itself while it is polled, as those do that let others go first.
    pub(crate) fn yields(&self) {
        self.flags.fetch_or(YIELDS, Ordering::AcqRel);
    }

    /// The turn has left the task suspended, and the engine knows. If it has been woken already:
    /// whether only by itself.
    pub(crate) fn suspend(&self) -> Option<bool> {
        let before = self.flags.fetch_or(SUSPENDED, Ordering::AcqRel);
        (before & (WOKEN | YIELDS) != 0).then_some(before & WOKEN == 0)
    }

    /// Has `who` told when the task settles: at once if it has.
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

    /// No longer has `who` told.
    pub fn unlisten(&self, who: &Arc<dyn Listen>) {
        self.with_listeners(0, |listeners, _| listeners.remove(who));
    }

    pub(crate) fn tell_listeners(&self) {
        let listeners = self.with_listeners(0, |listeners, _| std::mem::take(listeners));
        let status = self.status();
        listeners.each(|Listener { who, token }| {
            // One that panics keeps no other from being told.
            caught(|| who.settled(token, status));
            caught(|| drop(who));
        });
    }

    /// Sets a flag, and does this with the listeners, which nobody else touches meanwhile: something
    /// short, and no user's code. It is given the flags as they were.
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
        // SAFETY: this thread has set `LOCKED`, and clears it only when `f` has come back; a panic in
        // between leaves it set, so that nobody ever comes here again.
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
