//! The tasks of a client in another process to whose ends this worker process listens.

use super::away::{Answered, Ended, end};
use crate::child::aside;
use crate::child::upstream::Read;
use crate::task::job::PyJob;
use azolla::runtime::{Job, Status};
use azolla_process::request::Answer;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// By the tasks' numbers, their jobs here. The client tells of each task once that it has ended.
static LISTENING: Mutex<Option<FxHashMap<u64, Vec<Weak<PyJob>>>>> = Mutex::new(None);

fn listening() -> MutexGuard<'static, Option<FxHashMap<u64, Vec<Weak<PyJob>>>>> {
    LISTENING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has these jobs end when the client's tasks do. Jobs of this process alone are left as they are.
pub(crate) fn listen<'a>(
    py: Python<'_>,
    jobs: impl IntoIterator<Item = &'a Arc<PyJob>>,
) -> PyResult<()> {
    let jobs = jobs.into_iter().filter(|job| job.header().status() == Status::Pending);
    let mut jobs = jobs.filter_map(|job| Some((job.away()?, job))).peekable();
    if jobs.peek().is_none() {
        return Ok(());
    }
    let mut new = Vec::new();
    let mut listening = listening();
    let all = listening.get_or_insert_default();
    for (task, job) in jobs {
        let known = all.entry(task).or_default();
        if known.is_empty() {
            new.push(task);
        }
        if !known.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(job))) {
            known.push(Arc::downgrade(job));
        }
    }
    drop(listening);
    if new.is_empty() { Ok(()) } else { aside::listen(py, new) }
}

/// The client tells how tasks have ended. This thread does not hold the GIL.
pub(super) fn heard(answer: Answer<'_>, read: &Read<'_>) {
    let Ok(Answered::Ends(ends)) = Answered::of(answer, read) else { return };
    let known: Vec<(Ended, Vec<Weak<PyJob>>)> = {
        let mut listening = listening();
        let mut take = |task: &u64| listening.as_mut().and_then(|all| all.remove(task));
        ends.into_iter().map(|(task, ended)| (ended, take(&task).unwrap_or_default())).collect()
    };
    Python::attach(|py| {
        for (ended, jobs) in known {
            for job in jobs.iter().filter_map(Weak::upgrade) {
                end(py, &job, ended.share());
            }
        }
    });
}
