//! Some tasks of which a worker process wants to hear as they end: the client's half of an `as_completed` over there.

use crate::task::job::PyJob;
use azolla::runtime::{Completions, Job, Listen, WaitError, Worker};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub(super) struct Completing {
    completions: Arc<Completions<PyJob>>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// The tokens are counted from 1.
    added: usize,
    by_token: FxHashMap<usize, Arc<PyJob>>,
}

impl Default for Completing {
    fn default() -> Self {
        Self { completions: Completions::new(), tasks: Mutex::default() }
    }
}

impl Completing {
    pub(super) fn add(&self, jobs: Vec<Arc<PyJob>>) {
        for job in jobs {
            let token = {
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                tasks.added += 1;
                let token = tasks.added;
                tasks.by_token.insert(token, Arc::clone(&job));
                token
            };
            self.completions.add(&job, token);
        }
    }

    /// Waits for the next task that ends, and returns all that have ended.
    pub(super) fn next<E>(
        &self,
        worker: &mut Worker<PyJob>,
        deadline: Option<Instant>,
        interrupt: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Vec<Arc<PyJob>>, WaitError<E>> {
        let first = self.completions.next(Some(worker), deadline, Some(interrupt))?;
        let tokens =
            std::iter::once(first).chain(std::iter::from_fn(|| self.completions.try_next()));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tokens.filter_map(|token| tasks.by_token.remove(&token)).collect())
    }
}

impl Drop for Completing {
    fn drop(&mut self) {
        // A long task would otherwise remember every iterator that it was ever in.
        let listener: Arc<dyn Listen> = Arc::<Completions<PyJob>>::clone(&self.completions);
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        for job in tasks.by_token.values() {
            job.header().unlisten(&listener);
        }
    }
}
