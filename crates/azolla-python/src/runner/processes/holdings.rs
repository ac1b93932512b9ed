//! What a worker process holds of the client's: the tasks of its futures, the functions that its tasks have submitted, the
//! queues, locks and so on that they use, and the tasks whose coroutines it runs.

use super::completing::Completing;
use super::frame::Sent;
use super::rare::AtHand;
use crate::task::job::PyJob;
use crate::task::kept::let_go;
use crate::task::packed::PackedFunction;
use azolla::runtime::{Engine, Job, dropping};
use azolla_process::message::{FUNCTION_BYTES, FUNCTIONS};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// What one process holds, from its start to its end. Dropping this lets go of all.
pub(super) struct Holdings {
    engine: Weak<Engine<PyJob>>,
    held: Mutex<Held>,
    /// The queues, locks and so on by the numbers that the process has given them, in a dictionary of Python's.
    shared: Mutex<Option<Py<PyDict>>>,
}

#[derive(Default)]
struct Held {
    /// The tasks by their numbers, and how often each is held. The job counts a future for each time.
    tasks: FxHashMap<u64, (Arc<PyJob>, u32)>,
    functions: FxHashMap<u128, Arc<PackedFunction>>,
    function_bytes: u64,
    sets: FxHashMap<u64, Arc<Completing>>,
    coroutines: FxHashMap<u64, Coroutine>,
    /// The process has ended.
    is_over: bool,
}

/// A task that runs on in the process without a thread.
pub(super) struct Coroutine {
    pub(super) sent: Sent,
    /// The number of the worker on which it began.
    pub(super) worker: u32,
    /// The recording that its run belongs to.
    pub(super) recording: Option<u64>,
    pub(super) since: Instant,
    pub(super) at_hand: AtHand,
}

impl Holdings {
    pub(super) fn new(engine: &Arc<Engine<PyJob>>) -> Self {
        Self { engine: Arc::downgrade(engine), held: Mutex::default(), shared: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a task once more, whose job has counted that. Returns the task's number; 0 if the engine has none for it,
    /// since it is closing.
    pub(super) fn hold(&self, job: Arc<PyJob>) -> u64 {
        let Some(task) = job.header().id().map(|id| id.to_bits()) else { return 0 };
        self.held().tasks.entry(task).or_insert_with(|| (job, 0)).1 += 1;
        task
    }

    /// Lets go of these tasks, of each as often as it is named.
    pub(super) fn release(&self, tasks: &[u64]) {
        let mut gone = Vec::new();
        {
            let mut held = self.held();
            for task in tasks {
                let Some((job, holds)) = held.tasks.get_mut(task) else { continue };
                *holds -= 1;
                gone.push(Arc::clone(job));
                if *holds == 0 {
                    held.tasks.remove(task);
                }
            }
        }
        self.let_go(gone);
    }

    /// The jobs of these tasks. `None` if one of them is not held.
    pub(super) fn jobs(&self, tasks: &[u64]) -> Option<Vec<Arc<PyJob>>> {
        let held = self.held();
        tasks.iter().map(|task| held.tasks.get(task).map(|(job, _)| Arc::clone(job))).collect()
    }

    /// Adds functions that tasks of the process submit.
    pub(super) fn learn(&self, functions: Vec<Arc<PackedFunction>>) {
        let mut held = self.held();
        let held = &mut *held;
        if held.functions.len() >= FUNCTIONS || held.function_bytes >= FUNCTION_BYTES {
            held.functions.clear();
            held.function_bytes = 0;
        }
        for function in functions {
            held.function_bytes += function.packed.size();
            held.functions.insert(function.digest, function);
        }
    }

    pub(super) fn function(&self, digest: u128) -> Option<Arc<PackedFunction>> {
        self.held().functions.get(&digest).map(Arc::clone)
    }

    /// The tasks of this number together, of which the process wants to hear as they end.
    pub(super) fn set(&self, number: u64) -> Arc<Completing> {
        Arc::clone(self.held().sets.entry(number).or_default())
    }

    pub(super) fn forget_set(&self, number: u64) {
        let set = self.held().sets.remove(&number);
        drop(set);
    }

    /// A task goes on without a thread. Gives it back if the process has ended.
    pub(super) fn begin(&self, task: u64, coroutine: Coroutine) -> Result<(), Coroutine> {
        let mut held = self.held();
        if held.is_over {
            return Err(coroutine);
        }
        held.coroutines.insert(task, coroutine);
        Ok(())
    }

    /// The task whose coroutine this is.
    pub(super) fn coroutine(&self, task: u64) -> Option<Arc<PyJob>> {
        self.held().coroutines.get(&task).map(|coroutine| Arc::clone(&coroutine.sent.job))
    }

    /// What that task has at hand is this from now on. Gives it back if it has ended.
    pub(super) fn hand(&self, task: u64, at_hand: AtHand) -> Result<(), AtHand> {
        match self.held().coroutines.get_mut(&task) {
            Some(coroutine) => {
                coroutine.at_hand = at_hand;
                Ok(())
            }
            None => Err(at_hand),
        }
    }

    /// Takes what that task has at hand.
    pub(super) fn take_at_hand(&self, task: u64) -> Option<AtHand> {
        self.held().coroutines.get_mut(&task).map(|it| std::mem::take(&mut it.at_hand))
    }

    /// How many coroutines run there.
    pub(super) fn coroutines(&self) -> usize {
        self.held().coroutines.len()
    }

    /// The coroutine of a task has ended.
    pub(super) fn end(&self, task: u64) -> Option<Coroutine> {
        self.held().coroutines.remove(&task)
    }

    /// The process has ended. Returns the tasks whose coroutines ran there.
    pub(super) fn end_all(&self) -> Vec<Coroutine> {
        let mut held = self.held();
        held.is_over = true;
        std::mem::take(&mut held.coroutines).into_values().collect()
    }

    /// The queues, locks and so on that the process uses.
    pub(super) fn shared<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        // The lock is held for a moment, and by threads that need no GIL for it.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.get_or_insert_with(|| PyDict::new(py).unbind()).bind(py).clone()
    }

    /// The process has these queues, locks and so on no more. What they have acquired is free again.
    pub(super) fn forget_shared(&self, numbers: &[u64]) {
        if numbers.is_empty() {
            return;
        }
        let _ = Python::try_attach(|py| {
            let shared = self.shared(py);
            for number in numbers {
                // What is dropped may be the user's, and its destructor runs here.
                let _ = shared.del_item(number);
            }
        });
    }

    /// Lets go of everything: the process has ended.
    pub(super) fn clear(&self) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(shared) = shared {
            let _ = Python::try_attach(|py| drop(shared.into_bound(py)));
        }
        let mut held = self.held();
        held.functions.clear();
        let (tasks, sets) = (std::mem::take(&mut held.tasks), std::mem::take(&mut held.sets));
        drop(held);
        drop(sets);
        let each = |(job, holds): (Arc<PyJob>, u32)| (0..holds).map(move |_| Arc::clone(&job));
        self.let_go(tasks.into_values().flat_map(each).collect());
    }

    fn let_go(&self, jobs: Vec<Arc<PyJob>>) {
        if !jobs.is_empty() {
            let engine = self.engine.upgrade();
            dropping(move || jobs.iter().for_each(|job| let_go(engine.as_ref(), job)));
        }
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        self.clear();
    }
}
