//! A client that leaves before its cluster ends. When it leaves, it releases the jobs that its futures
//! hold, and ends the waits for them.

use crate::task::job::PyJob;
use azolla::runtime::{Listen, Status};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The jobs and the waits of a client that may leave before its cluster ends. Its futures may be anywhere
/// in the program, so the jobs that they hold are counted here.
pub(super) struct Guest {
    left: AtomicBool,
    /// The jobs by their addresses, each with the number of the client's futures on it; `None` once the
    /// client has left. No Python object is touched while this is locked.
    held: Mutex<Option<HashMap<usize, Held>>>,
    /// The listeners that are told when the client leaves; `None` once it has left.
    listeners: Mutex<Option<Vec<Listener>>>,
}

/// A listener, and the token that it gets.
type Listener = (Weak<dyn Listen>, usize);

pub(super) struct Held {
    pub(super) job: Arc<PyJob>,
    pub(super) futures: u32,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self {
            left: AtomicBool::new(false),
            held: Mutex::new(Some(HashMap::new())),
            listeners: Mutex::new(Some(Vec::new())),
        }
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Counts one more future on a job. Returns false if the client has left.
    pub(super) fn remember(&self, job: &Arc<PyJob>) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = &mut *held else { return false };
        let place = Arc::as_ptr(job).addr();
        held.entry(place).or_insert_with(|| Held { job: Arc::clone(job), futures: 0 }).futures += 1;
        true
    }

    /// Counts one future fewer on a job. After the last one, `last` gets the entry, which the caller drops
    /// when nothing is locked. Returns false if the client has left, and has released all its futures.
    pub(super) fn let_go(&self, job: &Arc<PyJob>, last: &mut Option<Held>) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = &mut *held else { return false };
        let place = Arc::as_ptr(job).addr();
        if let Some(here) = held.get_mut(&place) {
            here.futures -= 1;
            if here.futures == 0 {
                *last = held.remove(&place);
            }
        }
        true
    }

    /// Has `who` told when the client leaves, or at once if it has left.
    pub(super) fn listen_for_leaving(&self, who: &Arc<dyn Listen>, token: usize) {
        let mut locked = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listeners) = &mut *locked {
            if listeners.len() == listeners.capacity() {
                listeners.retain(|(who, _)| who.strong_count() > 0);
            }
            listeners.push((Arc::downgrade(who), token));
        } else {
            drop(locked);
            who.settled(token, Status::Cancelled);
        }
    }

    /// Marks the client as gone, tells the listeners, and returns the jobs that its futures held.
    pub(super) fn leave(&self) -> impl Iterator<Item = Held> + use<> {
        self.left.store(true, Ordering::Release);
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).take();
        for (who, token) in listeners.into_iter().flatten() {
            if let Some(who) = who.upgrade() {
                who.settled(token, Status::Cancelled);
            }
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.into_iter().flat_map(HashMap::into_values)
    }
}
