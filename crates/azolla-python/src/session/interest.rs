//! What a client wants of the tasks that it shares with others. Cancelling drops this interest: the client's own futures
//! read cancelled and its waits end, and the task goes on for the other clients.

use crate::task::job::PyJob;
use azolla::runtime::{Job, Listen, Status};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What a cancel is to reach.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    /// Tasks that other clients want too.
    pub(crate) force: bool,
    /// What has grown from the tasks.
    pub(crate) subtree: bool,
    /// What runs is interrupted.
    pub(crate) interrupt: bool,
}

/// Says why this task, a call of an actor, is not interrupted.
pub(crate) fn not_interrupted(key: &str) -> String {
    format!(
        "{key}: a call of an actor is not interrupted, as its state would be left half changed: cancel it without interrupt"
    )
}

/// The jobs in which a client has dropped its interest while others went on wanting them.
///
/// The client may ask for such a job again, and its new futures are whole. So each future carries the epoch in which it
/// was made, and dropping an interest begins another: it covers the futures of the epochs before.
#[derive(Default)]
pub(super) struct Dropped {
    epoch: AtomicU32,
    /// The jobs by their addresses, each with the epoch that began when the interest was dropped. The weak reference
    /// keeps another job from getting the address.
    jobs: Mutex<HashMap<usize, (Weak<PyJob>, u32)>>,
}

impl Dropped {
    /// Returns the epoch of a future that is made now.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns true if the interest in this job was dropped after a future of this epoch was made.
    pub(super) fn covers(&self, job: &Arc<PyJob>, epoch: u32) -> bool {
        if self.epoch() == epoch {
            return false;
        }
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(&Arc::as_ptr(job).addr()).is_some_and(|(_, since)| epoch < *since)
    }

    pub(super) fn add(&self, job: &Arc<PyJob>) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() == jobs.capacity() {
            jobs.retain(|_, (job, _)| job.strong_count() > 0);
            // So the next look comes when there are twice as many.
            let left = jobs.len();
            jobs.reserve(left);
        }
        let epoch = self.epoch.load(Ordering::Relaxed) + 1;
        jobs.insert(Arc::as_ptr(job).addr(), (Arc::downgrade(job), epoch));
        self.epoch.store(epoch, Ordering::Release);
    }
}

/// The listeners that are told when the client leaves, or drops its interest in the job that they listen to.
pub(super) struct Waits(Mutex<Option<Vec<Waiting>>>);

struct Waiting {
    who: Weak<dyn Listen>,
    token: usize,
    /// The address of the job. `None` for a listener that waits for something else.
    job: Option<usize>,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }

    /// Has `who` told when the wait is over, or at once if the client has left.
    pub(super) fn add(&self, who: &Arc<dyn Listen>, token: usize, job: Option<&PyJob>) {
        let mut locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = &mut *locked {
            if waiting.len() == waiting.capacity() {
                waiting.retain(|one| one.who.strong_count() > 0);
                let left = waiting.len();
                waiting.reserve(left);
            }
            let job = job.map(|job| std::ptr::from_ref(job).addr());
            waiting.push(Waiting { who: Arc::downgrade(who), token, job });
        } else {
            drop(locked);
            who.settled(token, Status::Cancelled);
        }
    }

    /// Ends the waits for one job.
    pub(super) fn end_those_for(&self, job: &Arc<PyJob>) {
        let place = Some(Arc::as_ptr(job).addr());
        let mut over = Vec::new();
        if let Some(waiting) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            over.extend(waiting.extract_if(.., |one| one.job == place));
        }
        for (who, token) in over.into_iter().filter_map(Waiting::alive) {
            // It is told once: not again when the job settles for the other clients.
            job.header().unlisten(&who);
            who.settled(token, Status::Cancelled);
        }
    }

    /// Ends all waits, and those that are added later.
    pub(super) fn end(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        for (who, token) in all.into_iter().flatten().filter_map(Waiting::alive) {
            who.settled(token, Status::Cancelled);
        }
    }
}

impl Waiting {
    /// Returns the listener, unless it is gone, and its token.
    fn alive(self) -> Option<(Arc<dyn Listen>, usize)> {
        Some((self.who.upgrade()?, self.token))
    }
}
