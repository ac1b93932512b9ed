//! The reasons that programs gave when they cancelled tasks. The errors of the cancelled futures say them.

use super::shared::Shared;
use super::thread::with_worker;
use super::{away, gone};
use crate::child::upstream::task_here;
use crate::interpreter::gil::let_others_run;
use crate::interpreter::imports::error;
use crate::task::job::PyJob;
use crate::task::names::short_repr;
use azolla::runtime::{Engine, Job, Status, WaitError};
use azolla_process::request::Request;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ptr;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Why a task was cancelled, in the program's words.
#[derive(Clone, Default)]
pub(crate) struct Why {
    pub(crate) reason: Option<String>,
    pub(crate) msg: Option<String>,
    /// The key of the first task that had been cancelled, of those on which this task depends, before it was submitted.
    pub(crate) input: Option<String>,
}

impl Why {
    fn is_told(&self) -> bool {
        self.reason.is_some() || self.msg.is_some()
    }
}

/// The reasons by the addresses of the jobs. The weak reference keeps another job from getting the address.
#[derive(Default)]
struct Reasons {
    by_job: BTreeMap<usize, (Weak<PyJob>, Arc<Why>)>,
    /// At how many the next look for jobs that are gone comes.
    look_at: usize,
}

/// How many jobs are noted before the thread lets others run.
const SEVERAL: usize = 4096;

/// A thread locks it only while it holds the GIL, so no fork finds it locked. It holds no Python objects.
static REASONS: Mutex<Reasons> = Mutex::new(Reasons { by_job: BTreeMap::new(), look_at: 64 });

fn reasons(_py: Python<'_>) -> MutexGuard<'static, Reasons> {
    REASONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what a program gives as `reason=` and `msg=`.
pub(crate) fn given(
    reason: Option<Bound<'_, PyAny>>,
    msg: Option<Bound<'_, PyAny>>,
) -> PyResult<Why> {
    let text =
        |name: &str, text: Option<Bound<'_, PyAny>>| match text.filter(|text| !text.is_none()) {
            None => Ok(None),
            Some(text) => match text.cast::<PyString>() {
                Ok(text) => Ok(Some(text.to_string_lossy().into_owned())),
                Err(_) => {
                    let given = short_repr(&text);
                    Err(PyTypeError::new_err(format!("cancel(): {name} must be text, not {given}")))
                }
            },
        };
    Ok(Why { reason: text("reason", reason)?, msg: text("msg", msg)?, input: None })
}

/// Remembers why the job is cancelled, and what depends on it with it. Called before the job is cancelled. With no reason
/// it forgets a former one.
pub(crate) fn set(py: Python<'_>, shared: &Shared, job: &Arc<PyJob>, why: &Why) {
    if job.header().status() == Status::Cancelled {
        return;
    }
    if !why.is_told() {
        reasons(py).by_job.remove(&Arc::as_ptr(job).addr());
        return;
    }
    note(py, &with_dependents(py, &shared.engine, job), why.clone());
}

/// Returns a job and what depends on it.
fn with_dependents(
    py: Python<'_>,
    engine: &Arc<Engine<PyJob>>,
    job: &Arc<PyJob>,
) -> Vec<Arc<PyJob>> {
    let dependents = |task| py.detach(|| engine.part(task, |_| false).1);
    let mut jobs = job.header().id().map_or_else(Vec::new, dependents);
    jobs.push(Arc::clone(job));
    jobs
}

/// Remembers that the job is cancelled as it is submitted, if one of its inputs has been cancelled, and why that was.
pub(crate) fn set_by_inputs(py: Python<'_>, job: &Arc<PyJob>, inputs: &[Arc<PyJob>]) {
    let is_cancelled = |input: &&Arc<PyJob>| input.header().status() == Status::Cancelled;
    if let Some(input) = inputs.iter().find(is_cancelled) {
        let why = why(py, input).map_or_else(Why::default, |why| Why::clone(&why));
        let first = why.input.clone().unwrap_or_else(|| input.key_text(py));
        note(py, slice::from_ref(job), Why { input: Some(first), ..why });
    }
}

/// Remembers that the job, which was about to begin, is cancelled with an input, whose error this is, and what depends on the
/// job with it.
pub(crate) fn set_by_error(
    py: Python<'_>,
    engine: &Arc<Engine<PyJob>>,
    job: &Arc<PyJob>,
    error: &PyErr,
) {
    let text = |name| error.value(py).getattr(name).ok()?.extract::<String>().ok();
    let reason = text(intern!(py, "reason")).filter(|reason| reason != "unknown");
    let why = Why { reason, msg: text(intern!(py, "msg")), input: None };
    if why.is_told() {
        note(py, &with_dependents(py, engine, job), why);
    }
}

/// Does the same, where these are the inputs.
#[cfg(target_os = "linux")]
pub(crate) fn set_by_cancelled(
    py: Python<'_>,
    engine: &Arc<Engine<PyJob>>,
    job: &Arc<PyJob>,
    inputs: &[Arc<PyJob>],
) {
    let is_cancelled = |input: &&Arc<PyJob>| input.header().status() == Status::Cancelled;
    let why = inputs.iter().find(is_cancelled).and_then(|input| why(py, input));
    if let Some(why) = why.filter(|why| why.is_told()) {
        note(py, &with_dependents(py, engine, job), Why::clone(&why));
    }
}

/// Remembers why this job is cancelled.
pub(super) fn note_one(py: Python<'_>, job: &Arc<PyJob>, why: Why) {
    if why.is_told() {
        note(py, slice::from_ref(job), why);
    }
}

fn note(py: Python<'_>, jobs: &[Arc<PyJob>], why: Why) {
    let why = Arc::new(why);
    let mut more = jobs.chunks(SEVERAL).peekable();
    while let Some(several) = more.next() {
        let mut reasons = reasons(py);
        let new = several
            .iter()
            .map(|job| (Arc::as_ptr(job).addr(), (Arc::downgrade(job), Arc::clone(&why))));
        reasons.by_job.extend(new);
        if reasons.by_job.len() >= reasons.look_at {
            reasons.by_job.retain(|_, (job, _)| job.strong_count() > 0);
            reasons.look_at = 64.max(2 * reasons.by_job.len());
        }
        drop(reasons);
        if more.peek().is_some() {
            let_others_run();
        }
    }
}

/// Returns why the job was cancelled, if the program gave a reason or an input had been cancelled before.
pub(crate) fn why(py: Python<'_>, job: &PyJob) -> Option<Arc<Why>> {
    let reasons = reasons(py);
    reasons.by_job.get(&ptr::from_ref(job).addr()).map(|(_, why)| Arc::clone(why))
}

/// What the error of a wait says whose own task, which has this key, was cancelled.
pub(crate) fn was_cancelled(key: &str) -> String {
    format!("the task {key}, which was about to wait, was cancelled")
}

/// Returns the error of a task on this thread that was cancelled itself, and is not shielded. What it has submitted may have
/// been cancelled with it.
fn own(py: Python<'_>) -> Option<PyErr> {
    if task_here().is_some() {
        return away::asked(py, Request::CheckCancelled).err();
    }
    match with_worker(|worker| worker?.check_cancelled::<Infallible>().err()) {
        Some(WaitError::Cancelled(key)) => Some(error(py, "Cancelled", &was_cancelled(&key))),
        _ => None,
    }
}

/// Returns the error of a future on a cancelled job. If the program gave no reason, its text is the key and `otherwise`, and
/// that the client is closed if it is.
pub(crate) fn cancelled(py: Python<'_>, job: &PyJob, otherwise: &str) -> PyErr {
    if let Some(own) = own(py) {
        return own;
    }
    let key = job.key_text(py);
    let why = why(py, job);
    let input = why.as_ref().and_then(|why| why.input.as_ref());
    let by_input = input.map(|input| {
        format!("it depends on {input}, which had been cancelled before it was submitted")
    });
    let Some(why) = why.filter(|why| why.is_told()) else {
        let by_input = by_input.map_or_else(String::new, |input| format!(": {input}"));
        let message = format!("{key}: {otherwise}{by_input}");
        return match gone::why(py, job.header().engine()) {
            Some(why) => error(py, "CancelledByCloseError", &format!("{message}, and {why}")),
            None => error(py, "FutureCancelledError", &message),
        };
    };
    let Why { reason, msg, .. } = &*why;
    let reason = reason.as_deref().unwrap_or("unknown");
    let mut message = format!("{key} cancelled for reason: {reason}.");
    if let Some(msg) = msg {
        message += &format!("\n{msg}");
    }
    if let Some(by_input) = by_input {
        message += &format!("\n({by_input})");
    }
    let cancelled = error(py, "FutureCancelledError", &message);
    let value = cancelled.value(py);
    let told = value
        .setattr(intern!(py, "reason"), reason)
        .and_then(|()| value.setattr(intern!(py, "msg"), msg));
    told.map_or_else(|error| error, |()| cancelled)
}
