//! Interrupting what worker processes run: a process is told which task is to stop soon, and replaced if the task does not.

use super::Common;
use crate::interpreter::interrupting::Interrupt;
use azolla_core::TaskId;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a task may take to stop. Then its process is replaced.
const GRACE: Duration = Duration::from_secs(5);

/// What each thread of the processes runs, as far as its proxy has heard.
#[derive(Default)]
pub(super) struct InFlight(Mutex<Vec<(usize, Weak<Current>)>>);

/// The task that one thread runs; 0 if it runs none.
#[derive(Default)]
pub(super) struct Current(AtomicU64);

impl Current {
    pub(super) fn set(&self, task: Option<TaskId>) {
        self.0.store(task.map_or(0, TaskId::to_bits), Ordering::Release);
    }
}

impl InFlight {
    /// There is one more thread, of this process.
    pub(super) fn add(&self, process: usize) -> Arc<Current> {
        let new = Arc::default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, one)| one.strong_count() > 0);
        all.push((process, Arc::downgrade(&new)));
        new
    }

    /// Returns the process that runs this task.
    fn process_of(&self, task: TaskId) -> Option<usize> {
        let is_it = |one: &Weak<Current>| {
            one.upgrade().is_some_and(|one| one.0.load(Ordering::Acquire) == task.to_bits())
        };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(_, one)| is_it(one)).map(|(process, _)| *process)
    }
}

/// A task that was cancelled and is to stop soon.
pub(super) struct Away {
    common: Weak<Common>,
    task: TaskId,
    /// When it is given up that the task comes, or when the process is replaced in which it is.
    until: Instant,
    /// Its process, which was told.
    told: Option<usize>,
}

impl Away {
    pub(super) fn new(common: &Arc<Common>, task: TaskId) -> Self {
        Self { common: Arc::downgrade(common), task, until: Instant::now() + GRACE, told: None }
    }
}

impl Interrupt for Away {
    fn is_over(&mut self, _: Python<'_>) -> bool {
        let Some(common) = self.common.upgrade() else { return true };
        let process = common.in_flight.process_of(self.task);
        match (self.told, process) {
            (Some(told), Some(process)) if told == process => {
                let is_late = Instant::now() >= self.until;
                if is_late {
                    common.orders.replace(process);
                }
                is_late
            }
            // It has ended.
            (Some(_), _) => true,
            (None, Some(process)) => {
                common.orders.interrupt(process, self.task.to_bits());
                (self.told, self.until) = (Some(process), Instant::now() + GRACE);
                false
            }
            // It may be one of those that were begun ahead.
            (None, None) => Instant::now() >= self.until,
        }
    }
}
