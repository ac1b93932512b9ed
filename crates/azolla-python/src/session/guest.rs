//! A client that leaves before its cluster ends. When it leaves, it releases the jobs that its futures
//! hold.

use super::interest::Dropped;
use crate::task::job::PyJob;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The jobs and the waits of a client that may leave before its cluster ends. Its futures may be anywhere
/// in the program, so the jobs that they hold are counted here.
pub(super) struct Guest {
    left: AtomicBool,
    /// The jobs by their addresses, each with the number of the client's futures on it; `None` once the
    /// client has left. No Python object is touched while this is locked.
    held: Mutex<Option<HashMap<usize, Held>>>,
}

pub(super) struct Held {
    pub(super) job: Arc<PyJob>,
    pub(super) futures: u32,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self { left: AtomicBool::new(false), held: Mutex::new(Some(HashMap::new())) }
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Counts one more future on a job. Returns the epoch of that future, or `None` if the client has left.
    pub(super) fn remember(&self, job: &Arc<PyJob>, dropped: &Dropped) -> Option<u32> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_mut()?;
        let place = Arc::as_ptr(job).addr();
        held.entry(place).or_insert_with(|| Held { job: Arc::clone(job), futures: 0 }).futures += 1;
        Some(dropped.epoch())
    }

    /// Counts one future fewer on a job. After the last one, `last` gets the entry, which the caller drops
    /// when nothing is locked. Returns false if the client has counted the future off already, because it
    /// has left, or has dropped its interest in the job.
    pub(super) fn let_go(
        &self,
        job: &Arc<PyJob>,
        epoch: u32,
        dropped: &Dropped,
        last: &mut Option<Held>,
    ) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = &mut *held else { return false };
        if dropped.covers(job, epoch) {
            return false;
        }
        let place = Arc::as_ptr(job).addr();
        if let Some(here) = held.get_mut(&place) {
            here.futures -= 1;
            if here.futures == 0 {
                *last = held.remove(&place);
            }
        }
        true
    }

    /// Returns the number of the client's futures on a job.
    pub(super) fn holds(&self, job: &Arc<PyJob>) -> u32 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::as_ptr(job).addr();
        held.as_ref().and_then(|held| held.get(&place)).map_or(0, |here| here.futures)
    }

    /// Marks the interest in a job as dropped, and returns what the client's futures held of it.
    pub(super) fn drop_interest(&self, job: &Arc<PyJob>, dropped: &Dropped) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_mut()?;
        dropped.add(job);
        held.remove(&Arc::as_ptr(job).addr())
    }

    /// Marks the client as gone, and returns the jobs that its futures held. The caller then ends the waits.
    pub(super) fn leave(&self) -> impl Iterator<Item = Held> + use<> {
        self.left.store(true, Ordering::Release);
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.into_iter().flat_map(HashMap::into_values)
    }
}
