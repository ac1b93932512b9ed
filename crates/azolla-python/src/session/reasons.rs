//! The reasons that programs gave when they cancelled tasks. The errors of the cancelled futures say them.

use super::gone;
use super::shared::Shared;
use crate::interpreter::gil::let_others_run;
use crate::interpreter::imports::error;
use crate::task::job::PyJob;
use crate::task::names::short_repr;
use azolla::runtime::{Job, Status};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Why a task was cancelled, in the program's words.
#[derive(Clone, Default)]
pub(crate) struct Why {
    pub(crate) reason: Option<String>,
    pub(crate) msg: Option<String>,
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
    Ok(Why { reason: text("reason", reason)?, msg: text("msg", msg)? })
}

/// Remembers why the job is cancelled, and what depends on it with it. Called before the job is cancelled. With no reason
/// it forgets a former one.
pub(crate) fn set(py: Python<'_>, shared: &Shared, job: &Arc<PyJob>, why: &Why) {
    if job.header().status() == Status::Cancelled {
        return;
    }
    if why.reason.is_none() && why.msg.is_none() {
        reasons(py).by_job.remove(&Arc::as_ptr(job).addr());
        return;
    }
    let task = job.header().id();
    let engine = &shared.engine;
    let dependents = |task| py.detach(|| engine.part(task, |_| false).1);
    let mut jobs = task.map_or_else(Vec::new, dependents);
    jobs.push(Arc::clone(job));
    let why = Arc::new(why.clone());
    for several in jobs.chunks(SEVERAL) {
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
        let_others_run();
    }
}

/// Returns why the job was cancelled, if the program gave a reason.
pub(crate) fn why(py: Python<'_>, job: &PyJob) -> Option<Arc<Why>> {
    let reasons = reasons(py);
    reasons.by_job.get(&ptr::from_ref(job).addr()).map(|(_, why)| Arc::clone(why))
}

/// Returns the error of a future on a cancelled job. If the program gave no reason, its text is the key and `otherwise`, and
/// that the client is closed if it is.
pub(crate) fn cancelled(py: Python<'_>, job: &PyJob, otherwise: &str) -> PyErr {
    let key = job.key_text(py);
    let Some(why) = why(py, job) else {
        let message = format!("{key}: {otherwise}");
        return match gone::why(py, job.header().engine()) {
            Some(why) => error(py, "CancelledByCloseError", &format!("{message}, and {why}")),
            None => error(py, "FutureCancelledError", &message),
        };
    };
    let Why { reason, msg } = &*why;
    let reason = reason.as_deref().unwrap_or("unknown");
    let mut message = format!("{key} cancelled for reason: {reason}.");
    if let Some(msg) = msg {
        message += &format!("\n{msg}");
    }
    let cancelled = error(py, "FutureCancelledError", &message);
    let value = cancelled.value(py);
    let told = value
        .setattr(intern!(py, "reason"), reason)
        .and_then(|()| value.setattr(intern!(py, "msg"), msg));
    told.map_or_else(|error| error, |()| cancelled)
}
