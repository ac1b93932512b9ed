//! What a client must let go of when it leaves before its cluster ends: the jobs that its futures
//! hold, wherever they are, and the waits for those.

use crate::task::job::PyJob;
use azolla::runtime::{Listen, Status};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A client that leaves before its cluster ends must let go of what its futures hold, wherever they
/// are.
pub(super) struct Guest {
    left: AtomicBool,
    /// The jobs by their places in memory, and how many futures of the client there are on each;
    /// `None` once it has left. Nothing of Python is touched while this is locked.
    held: Mutex<Option<HashMap<usize, Held>>>,
    /// Who waits for the ends of jobs, and is told when the client leaves; `None` once it has left.
    listeners: Mutex<Option<Vec<Listener>>>,
}

/// Somebody who waits, and what to tell them.
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

    /// There is one more future on a job. False if the client has left.
    pub(super) fn remember(&self, job: &Arc<PyJob>) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = &mut *held else { return false };
        let place = Arc::as_ptr(job).addr();
        held.entry(place).or_insert_with(|| Held { job: Arc::clone(job), futures: 0 }).futures += 1;
        true
    }

    /// There is one future less on a job; `last` gets what was held for it, if there is none any more.
    /// False if the client has left, and with it all its futures.
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

    /// Has `who` told when the client leaves: at once if it has.
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

    /// Leaves the cluster, and returns what the client's futures have held until now.
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
