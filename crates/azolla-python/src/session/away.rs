//! The tasks of a client in another process, as a worker process knows them.
//!
//! An engine without slots keeps them. A task there ends when the client says how it has ended. Its job tells the client
//! when nothing in this process refers to it any more.

use super::interest::Reach;
use super::listening;
pub(crate) use super::listening::listen;
use super::reasons::{self, Why};
use super::shared::{Cluster, Shared};
use super::thread::is_loop_thread;
use crate::child::aside;
use crate::child::upstream::{self, Read};
use crate::interpreter::blobs::Packed;
use crate::interpreter::imports::{error, python};
use crate::task::job::{Failure, PyJob};
use crate::task::key::Named;
use crate::task::named::Name;
use crate::task::packed::{Unread, Value};
use azolla::runtime::{Job, Status, Submission};
use azolla_core::Key;
use azolla_process::request::{Answer, How, Request};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// An answer of the client's, taken out of its message.
pub(crate) enum Answered {
    Tasks(Vec<u64>),
    Unknown,
    Ends(Vec<(u64, Ended)>),
    Done(bool),
    Loan(Option<u64>),
    Value(Packed),
    Raised(Packed),
    Told(String, String),
}

/// How a task has ended.
pub(crate) enum Ended {
    Done(Option<Packed>),
    Failed(Packed),
    Told(String, String),
    Cancelled(Option<String>, Option<String>),
}

impl Ended {
    /// The same end, for another job.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Done(packed) => Self::Done(packed.as_ref().map(Packed::share)),
            Self::Failed(packed) => Self::Failed(packed.share()),
            Self::Told(class, why) => Self::Told(class.clone(), why.clone()),
            Self::Cancelled(reason, msg) => Self::Cancelled(reason.clone(), msg.clone()),
        }
    }

    fn of(how: &How<'_>, read: &Read<'_>) -> io::Result<Self> {
        Ok(match how {
            How::Done(result) => Self::Done(result.as_ref().map(read).transpose()?),
            How::Failed(packed) => Self::Failed(read(packed)?),
            How::Told(class, why) => Self::Told((*class).into(), (*why).into()),
            How::Cancelled(reason, msg) => {
                Self::Cancelled(reason.map(Into::into), msg.map(Into::into))
            }
        })
    }
}

impl Answered {
    pub(crate) fn of(answer: Answer<'_>, read: &Read<'_>) -> io::Result<Self> {
        Ok(match answer {
            Answer::Tasks(tasks) => Self::Tasks(tasks),
            Answer::Unknown => Self::Unknown,
            Answer::Ends(ends) => {
                let ends = ends.iter().map(|(task, how)| Ok((*task, Ended::of(how, read)?)));
                Self::Ends(ends.collect::<io::Result<_>>()?)
            }
            Answer::Done(done) => Self::Done(done),
            Answer::Loan(loan) => Self::Loan(loan),
            Answer::Value(value) => Self::Value(read(&value)?),
            Answer::Raised(packed) => Self::Raised(read(&packed)?),
            Answer::Told(class, why) => Self::Told(class.into(), why.into()),
        })
    }
}

/// Asks the client.
///
/// # Errors
/// What the client answers instead, and if this thread runs no task.
pub(crate) fn asked(py: Python<'_>, request: Request<'_>) -> PyResult<Answered> {
    let hear = |answer: Answer<'_>, read: &Read<'_>| Answered::of(answer, read);
    let (answer, _) = upstream::ask(py, coroutine_here(py)?, request, hear)?;
    answer.or_raise(py)
}

/// Makes a call by a pickle that says which. Calls `f` with what comes of it. What was taken out of a queue, say, is this
/// process's when `f` has returned.
pub(crate) fn called<'py, R>(
    py: Python<'py>,
    what: &[u8],
    f: impl FnOnce(Packed) -> PyResult<R>,
) -> PyResult<R> {
    let hear = |answer: Answer<'_>, read: &Read<'_>| Answered::of(answer, read);
    let (answer, number) = upstream::ask(py, coroutine_here(py)?, Request::Call(what), hear)?;
    let result = match answer.or_raise(py) {
        Ok(Answered::Value(packed)) => f(packed),
        Ok(_) => Err(unexpected()),
        Err(error) => Err(error),
    };
    if let Some(number) = number {
        aside::over(py, number, result.is_ok())?;
    }
    result
}

impl Answered {
    pub(crate) fn or_raise(self, py: Python<'_>) -> PyResult<Self> {
        match self {
            Answered::Raised(packed) => Err(Unread::new(packed).raised(py).exception().error(py)),
            Answered::Told(class, why) => {
                if class == "Cancelled" {
                    upstream::knows_of_cancel();
                }
                Err(error(py, &class, &why))
            }
            answer => Ok(answer),
        }
    }
}

/// The task whose coroutine runs here, if one does, by its number.
pub(crate) fn coroutine_here(py: Python<'_>) -> PyResult<Option<u64>> {
    static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if !is_loop_thread() {
        return Ok(None);
    }
    let task = python(py, &CURRENT, "azolla._run.awaiting", "current_task")?.call0()?;
    if task.is_none() { Ok(None) } else { task.getattr(intern!(py, "_away"))?.extract() }
}

/// The error for an answer that does not fit.
pub(crate) fn unexpected() -> PyErr {
    PyRuntimeError::new_err("the client has answered something else than was asked")
}

/// Returns the job for a task of the client's that this process holds once more. `key` is the task's key. For each task
/// there is one job here at most, which the engine of this process finds by the task's number: the client may give a key
/// to another task while this process still holds the one that had it, since it was cancelled.
pub(crate) fn job(shared: &Shared, key: Bound<'_, PyAny>, task: u64) -> Arc<PyJob> {
    let job = Arc::new(PyJob::pending(Name::Away(key.unbind(), task), shared.number));
    let by_number = Some(Key::from_digest(u128::from(task)));
    let submission = Submission { key: by_number, ..Submission::new(Arc::clone(&job), 0) };
    // The job that goes now gives up its own hold.
    shared.engine.submit(submission).unwrap_or(job)
}

/// Asks the client for the task of this key.
pub(crate) fn find(
    py: Python<'_>,
    shared: &Shared,
    named: &Named<'_>,
) -> PyResult<Option<Arc<PyJob>>> {
    let task = named.ends_in.map(|task| task.to_bits());
    match asked(py, Request::Find { key: named.key.to_digest(), task })? {
        Answered::Tasks(tasks) => {
            Ok(tasks.first().map(|task| job(shared, named.given.clone(), *task)))
        }
        _ => Err(unexpected()),
    }
}

/// Ends these jobs as the client's tasks have ended.
pub(crate) fn settle(py: Python<'_>, jobs: &[Arc<PyJob>], ends: Vec<(u64, Ended)>) {
    let mut by_task: std::collections::HashMap<_, _> = ends.into_iter().collect();
    for job in jobs {
        if let Some(ended) = job.away().and_then(|task| by_task.remove(&task)) {
            end(py, job, ended);
        }
    }
}

/// Ends a job as the client's task has ended.
pub(crate) fn end(py: Python<'_>, job: &Arc<PyJob>, ended: Ended) {
    let Some(cluster) = cluster().filter(|_| job.header().status() == Status::Pending) else {
        return;
    };
    let engine = &cluster.engine;
    match ended {
        Ended::Done(pickle) => {
            let pickle = pickle.map_or_else(OnceLock::new, OnceLock::from);
            job.store(Ok(Value::Away(Box::new((job.away().unwrap_or_default(), pickle)))));
            engine.finish_detached(job, false, Duration::ZERO);
        }
        Ended::Failed(packed) => {
            job.fail(Failure::Unread(Box::new(Unread::new(packed))));
            engine.finish_detached(job, true, Duration::ZERO);
        }
        Ended::Told(class, why) => {
            job.fail(Failure::Told(known(&class), why.into()));
            engine.finish_detached(job, true, Duration::ZERO);
        }
        Ended::Cancelled(reason, msg) => {
            reasons::note_one(py, job, Why { reason, msg, input: None });
            engine.cancel(job);
        }
    }
}

/// The name of an exception that the client makes, as it is kept.
fn known(class: &str) -> &'static str {
    const CLASSES: [&str; 7] = [
        "ActorLostError",
        "KilledWorker",
        "FutureCancelledError",
        "CancelledByCloseError",
        "EngineError",
        "WaitCycleError",
        "TypeError",
    ];
    CLASSES.into_iter().find(|known| *known == class).unwrap_or("AzollaError")
}

/// The cluster whose tasks this process runs.
static CLUSTER: OnceLock<Arc<Cluster>> = OnceLock::new();

pub(crate) fn set_cluster(cluster: &Arc<Cluster>) {
    let _ = CLUSTER.set(Arc::clone(cluster));
    aside::on_ends(listening::heard);
}

pub(crate) fn cluster() -> Option<&'static Arc<Cluster>> {
    CLUSTER.get()
}

/// Does to tasks of the client's what `request` says, given their numbers.
pub(crate) fn about(
    py: Python<'_>,
    jobs: &[Arc<PyJob>],
    request: impl FnOnce(Vec<u64>) -> Request<'static>,
) -> PyResult<bool> {
    let tasks: Vec<_> = jobs.iter().filter_map(|job| job.away()).collect();
    if tasks.is_empty() {
        return Ok(false);
    }
    match asked(py, request(tasks))? {
        Answered::Done(done) => Ok(done),
        _ => Err(unexpected()),
    }
}

/// Lends the slot of the task here, for a wait for all of these jobs. Returns the number of the loan.
pub(crate) fn lend(
    py: Python<'_>,
    jobs: &[Arc<PyJob>],
    loan: Option<u64>,
) -> PyResult<Option<u64>> {
    let pending = jobs.iter().filter(|job| job.header().status() == Status::Pending);
    let tasks = pending.filter_map(|job| job.away()).collect();
    match asked(py, Request::Lend { tasks, loan })? {
        Answered::Loan(loan) => Ok(loan),
        _ => Err(unexpected()),
    }
}

/// Cancels tasks of the client's.
pub(crate) fn cancel(
    py: Python<'_>,
    jobs: &[Arc<PyJob>],
    Reach { force, subtree, interrupt }: Reach,
    why: &Why,
) -> PyResult<()> {
    let tasks: Vec<_> = jobs.iter().filter_map(|job| job.away()).collect();
    if tasks.is_empty() {
        return Ok(());
    }
    let (reason, msg) = (why.reason.as_deref(), why.msg.as_deref());
    asked(py, Request::Cancel { tasks, force, subtree, interrupt, reason, msg }).map(drop)
}

/// Asks how jobs that are pending here have ended, if they have.
pub(crate) fn look(py: Python<'_>, jobs: &[Arc<PyJob>]) -> PyResult<()> {
    let pending = jobs.iter().filter(|job| job.header().status() == Status::Pending);
    let tasks: Vec<_> = pending.filter_map(|job| job.away()).collect();
    if tasks.is_empty() {
        return Ok(());
    }
    match asked(py, Request::See(tasks))? {
        Answered::Ends(ends) => {
            settle(py, jobs, ends);
            Ok(())
        }
        _ => Err(unexpected()),
    }
}
