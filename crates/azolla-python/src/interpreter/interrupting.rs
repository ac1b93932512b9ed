//! Raises an exception in the code that another thread runs.
//!
//! The other thread raises it at its next step in Python. Whoever calls [`raise_in`] holds the GIL, so the thread stands still: if
//! its task is the right one now, and the thread takes back by [`take_back`] what has not been raised before its task ends,
//! no other code gets it. A check before that lets the thread run between check and call would hit other tasks.

use super::forks::forks;
use super::imports::python;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use std::ffi::c_ulong;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The first and the longest pause between two tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// The function of the loops whose calls are tasks.
const LOOP: &str = "_run_some";

/// Something to interrupt, perhaps not yet.
pub(crate) trait Interrupt: Send {
    /// Tries it. Returns false if it is to be tried again, or has not come to its end: CPython may look for what was sent only
    /// when another thread wants the GIL, as the one that tries does.
    fn is_over(&mut self, py: Python<'_>) -> bool;
}

/// What is tried again and again.
struct Insisting {
    all: Vec<Box<dyn Interrupt>>,
    /// How many forks lay behind the process whose thread tries.
    thread: Option<u64>,
}

/// It is locked for moments, by threads that hold the GIL: no fork finds it locked.
static INSISTING: Mutex<Insisting> = Mutex::new(Insisting { all: Vec::new(), thread: None });

fn insisting(_py: Python<'_>) -> MutexGuard<'static, Insisting> {
    INSISTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Interrupts this now if that can be, or else as soon as it can be.
pub(crate) fn insist(py: Python<'_>, mut what: Box<dyn Interrupt>) {
    if what.is_over(py) {
        return;
    }
    let mut insisting = insisting(py);
    if insisting.thread.is_some_and(|of| of != forks()) {
        // Those are the parent's.
        std::mem::take(&mut insisting.all).into_iter().for_each(std::mem::forget);
        insisting.thread = None;
    }
    insisting.all.push(what);
    if insisting.thread.is_none() {
        let started = thread::Builder::new().name("azolla-interrupts".into()).spawn(go_on);
        // The system may have no thread to give. The next interrupt tries again.
        insisting.thread = started.is_ok().then(forks);
    }
}

/// Tries what is left until nothing is.
fn go_on() {
    let [mut pause, longest] = PAUSES;
    loop {
        thread::sleep(pause);
        pause = (pause * 2).min(longest);
        let left = Python::try_attach(|py| {
            let all = std::mem::take(&mut insisting(py).all);
            let some: Vec<_> =
                all.into_iter().filter_map(|mut it| (!it.is_over(py)).then_some(it)).collect();
            let mut insisting = insisting(py);
            insisting.all.extend(some);
            if insisting.all.is_empty() {
                insisting.thread = None;
            }
            insisting.thread.is_some()
        });
        if left != Some(true) {
            return;
        }
    }
}

/// What is needed to interrupt a thread. To find it may run Python code.
pub(crate) struct Aim<'py> {
    cancelled: &'py Bound<'py, PyAny>,
    /// The folder of the package.
    folder: &'py str,
}

impl<'py> Aim<'py> {
    pub(crate) fn new(py: Python<'py>) -> PyResult<Self> {
        Ok(Self { cancelled: cancelled(py)?, folder: folder(py)? })
    }
}

/// Has a thread raise `Cancelled` at its next step, unless it is in the middle of azolla's own code. Returns true if it will.
/// The GIL does not change hands meanwhile.
pub(crate) fn raise_in(py: Python<'_>, aim: &Aim<'_>, thread: c_ulong) -> PyResult<bool> {
    let _no_collection = NoCollection::new();
    Ok(is_in_users_code(py, thread, aim.folder)? && send(aim.cancelled, thread))
}

/// Takes back what [`raise_in`] has sent to the calling thread, if it was not raised yet: a function that does nothing raises it.
///
/// To replace it by nothing would leave CPython 3.11 and 3.12 looking for it at every step of every thread from then on, and
/// 3.11 never gets past such a look in a thread that is traced. It is sent once more, since the end of another thread's look may
/// have ended this one's too.
pub(crate) fn take_back(py: Python<'_>) {
    static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let taken = cancelled(py).and_then(|cancelled| {
        let nothing = python(py, &NOTHING, "azolla._base.threads", "take_what_was_sent")?;
        send(cancelled, this_thread());
        Ok(nothing.call0())
    });
    match taken {
        Ok(raised) => debug_assert!(raised.is_err(), "nothing came up"),
        Err(error) => error.write_unraisable(py, None),
    }
}

fn cancelled(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CANCELLED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &CANCELLED, "azolla._base.errors", "Cancelled")
}

/// Has this thread raise an exception of this class at its next step. Returns false if there is no such thread.
fn send(class: &Bound<'_, PyAny>, thread: c_ulong) -> bool {
    // SAFETY: the caller holds the GIL, and the class is one.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread as _, class.as_ptr()) == 1 }
}

/// Python's number of the calling thread.
pub(crate) fn this_thread() -> c_ulong {
    // SAFETY: this only asks the system for the number of the calling thread.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// Keeps the garbage collector from running, and with it finalizers, in which the GIL may change hands.
struct NoCollection {
    was_on: bool,
}

impl NoCollection {
    fn new() -> Self {
        // SAFETY: the caller holds the GIL.
        Self { was_on: unsafe { ffi::PyGC_Disable() } == 1 }
    }
}

impl Drop for NoCollection {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: it is dropped where it was made, with the GIL held.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

/// The folder of the package.
fn folder(py: Python<'_>) -> PyResult<&str> {
    static FOLDER: PyOnceLock<String> = PyOnceLock::new();
    let folder = FOLDER.get_or_try_init(py, || {
        let file: String = py.import("azolla")?.getattr("__file__")?.extract()?;
        let folder = Path::new(&file).parent().and_then(Path::to_str).unwrap_or(&file);
        Ok::<_, PyErr>(format!("{folder}{}", std::path::MAIN_SEPARATOR))
    });
    folder.map(String::as_str)
}

/// Returns true if the thread runs code of the user's in a task, and between that code and the loop no code of azolla's waits
/// for it, except what the task begins with.
///
/// No Python code runs here, so the thread stands still.
fn is_in_users_code(py: Python<'_>, thread: c_ulong, folder: &str) -> PyResult<bool> {
    let frames = py.import(intern!(py, "sys"))?.call_method0(intern!(py, "_current_frames"))?;
    let mut frame = frames.get_item(thread)?;
    let mut users = 0_u32;
    let mut is_below = false;
    while !frame.is_none() {
        let code = frame.getattr(intern!(py, "f_code"))?;
        let file = code.getattr(intern!(py, "co_filename"))?;
        let is_ours = file.cast::<PyString>()?.to_str()?.starts_with(folder);
        if is_ours && code.getattr(intern!(py, "co_name"))?.cast::<PyString>()?.to_str()? == LOOP {
            return Ok(users > 0);
        }
        match is_ours {
            true if users == 0 => return Ok(false),
            true => is_below = true,
            false if is_below => return Ok(false),
            false => users += 1,
        }
        frame = frame.getattr(intern!(py, "f_back"))?;
    }
    Ok(false)
}
