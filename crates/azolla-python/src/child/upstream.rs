//! What the task at hand asks of the client, and the client's answers.
//!
//! A thread sends what its task asks behind the ends of the tasks before, and waits for the answer on its line, without the GIL.
//! Tasks that this process gives up are told of with whatever is sent next. A thread without a task asks aside.

use super::answers::Answers;
use super::aside;
use super::leaving::stop_if_leaving;
use super::process::{Memory, die};
use crate::interpreter::blobs::Packed;
use crate::interpreter::forks::{check_forks, forks};
use crate::interpreter::interrupting::{Aim, raise_in, take_back};
use azolla_process::line::{Heard, Line};
use azolla_process::message::Blob;
use azolla_process::place::Store;
use azolla_process::request::{Answer, How, Request};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_ulong;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The line of a thread, as its tasks use it.
pub(super) struct Upstream {
    forks: u64,
    line: Arc<Mutex<Line>>,
    answers: Arc<Answers>,
    memory: Arc<Memory>,
    at_hand: Mutex<Option<AtHand>>,
    /// What the last ends name. The client must have heard of them before this process gives it up.
    named: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

/// The task that has begun and has not ended.
#[derive(Clone)]
pub(crate) struct AtHand {
    /// Its number in the client's engine.
    pub(crate) number: u64,
    /// The text of its key.
    pub(crate) key: Arc<str>,
    /// The key, if that is no text.
    given: Option<Arc<Py<PyAny>>>,
    pub(crate) began: Instant,
    /// The client records its run.
    pub(crate) recorded: bool,
    /// For how long it has waited for answers.
    waited: Duration,
    /// It knows that it was cancelled: a wait has raised that.
    knows: bool,
    /// How many shields it is under.
    shields: u32,
    /// The thread is to raise that it was cancelled, or has raised it.
    interrupted: bool,
}

impl AtHand {
    /// Returns the task's key.
    pub(crate) fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.given {
            Some(given) => given.bind(py).clone(),
            None => PyString::new(py, &self.key).into_any(),
        }
    }
}

thread_local! {
    /// The line of this thread, if it is one for tasks.
    static HERE: RefCell<Option<Arc<Upstream>>> = const { RefCell::new(None) };
}

/// The tasks that this process holds once less than the client knows.
static RELEASED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// The queues, locks and so on that this process has no more, by the numbers that it has given them.
static FORGOTTEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

impl Upstream {
    pub(super) fn new(
        line: Arc<Mutex<Line>>,
        answers: Arc<Answers>,
        memory: Arc<Memory>,
    ) -> Arc<Self> {
        Arc::new(Self {
            forks: forks(),
            line,
            answers,
            memory,
            at_hand: Mutex::new(None),
            named: Mutex::default(),
        })
    }

    /// Makes this thread the line's.
    pub(super) fn settle_here(self: &Arc<Self>) {
        HERE.set(Some(Arc::clone(self)));
    }

    pub(super) fn begin(&self, number: u64, key: Arc<str>, recorded: bool) {
        let (began, waited) = (Instant::now(), Duration::ZERO);
        let at_hand = AtHand {
            number,
            key,
            given: None,
            began,
            recorded,
            waited,
            knows: false,
            shields: 0,
            interrupted: false,
        };
        *self.at_hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(at_hand);
    }

    /// The task at hand has this key.
    pub(super) fn has_key(&self, key: Py<PyAny>) {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at_hand) = &mut *at_hand {
            at_hand.given = Some(Arc::new(key));
        }
    }

    /// The task at hand, if there is one.
    pub(super) fn at_hand(&self) -> Option<AtHand> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the task at hand. Returns for how long it has run; `None` if there is none.
    pub(super) fn end(&self, py: Python<'_>) -> Option<Duration> {
        let at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        if at_hand.interrupted {
            take_back(py);
        }
        Some(at_hand.began.elapsed().saturating_sub(at_hand.waited))
    }

    /// Has the thread with this number raise in the task at hand that it was cancelled, if it is this task, and does not know
    /// that. Returns true if it knows; `None` if another task is at hand.
    pub(super) fn interrupt(
        &self,
        py: Python<'_>,
        aim: &Aim<'_>,
        (thread, task): (c_ulong, u64),
    ) -> Option<bool> {
        // No Python runs while this is locked: the thread may want it with the GIL.
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let at_hand = at_hand.as_mut().filter(|at_hand| at_hand.number == task)?;
        if !at_hand.knows && !at_hand.interrupted && at_hand.shields == 0 {
            at_hand.interrupted = raise_in(py, aim, thread).ok()?;
        }
        Some(at_hand.knows)
    }

    /// Keeps what the end of a task names, until the client has heard of it.
    pub(super) fn keep(&self, named: Vec<Arc<dyn Any + Send + Sync>>) {
        if !named.is_empty() {
            self.named.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
        }
    }

    /// The client has said something on this line, so it has heard what was said before. The calling thread holds the GIL.
    pub(super) fn has_heard(&self) {
        let named = std::mem::take(&mut *self.named.lock().unwrap_or_else(PoisonError::into_inner));
        drop(named);
    }

    fn ask<R>(
        &self,
        request: Request<'_>,
        hear: impl FnOnce(Answer<'_>, &Read<'_>) -> io::Result<R>,
    ) -> PyResult<R> {
        let asked = Instant::now();
        let broken = |error: &dyn std::fmt::Display| PyRuntimeError::new_err(error.to_string());
        self.answers.ask(request).map_err(|error| broken(&error))?;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match line.hear::<Answer<'_>>().map_err(|error| broken(&error))? {
                Heard::Message(answer) => {
                    let read = |blob: &Blob<'_>| self.memory.read(blob);
                    let answer = hear(answer, &read).map_err(|error| broken(&error))?;
                    let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(at_hand) = &mut *at_hand {
                        at_hand.waited += asked.elapsed();
                    }
                    return Ok(answer);
                }
                Heard::Nothing => {} // a signal, which is the main thread's affair
                Heard::End => die(),
            }
        }
    }
}

fn here() -> Option<Arc<Upstream>> {
    HERE.try_with(|here| here.borrow().clone()).ok().flatten()
}

/// The task that runs on this thread, if this is a thread for tasks and one runs.
pub(crate) fn task_here() -> Option<AtHand> {
    here().filter(|here| check_forks(here.forks).is_ok())?.at_hand()
}

/// Reads what an answer has brought.
pub(crate) type Read<'a> = dyn Fn(&Blob<'_>) -> io::Result<Packed> + 'a;

/// Asks the client. `hear` copies what it needs of the answer. The thread waits without the GIL. `coroutine` is the task
/// whose coroutine asks, if one does.
///
/// # Errors
/// If this process is a fork, or the line is broken.
pub(crate) fn ask<R: Send + 'static>(
    py: Python<'_>,
    coroutine: Option<u64>,
    request: Request<'_>,
    hear: impl FnOnce(Answer<'_>, &Read<'_>) -> io::Result<R> + Send + 'static,
) -> PyResult<(R, Option<u64>)> {
    let Some(here) = here().filter(|here| here.at_hand().is_some()) else {
        return aside::ask(py, coroutine, request, hear)
            .map(|(answer, number)| (answer, Some(number)));
    };
    check_forks(here.forks)?;
    stop_if_leaving(py);
    let answer = py.detach(|| here.ask(request, hear));
    here.has_heard();
    answer.map(|answer| (answer, None))
}

/// The task here goes on without this thread: its coroutine does. The thread may begin the next one.
pub(crate) fn goes_on_elsewhere(py: Python<'_>) {
    here().map(|here| here.end(py));
}

/// The task here knows now that it was cancelled.
pub(crate) fn knows_of_cancel() {
    change(|at_hand| at_hand.knows = true);
}

/// The task here is under one shield more, or one less.
pub(crate) fn shield(begins: bool) {
    change(|at_hand| {
        let shields = at_hand.shields;
        at_hand.shields = if begins { shields + 1 } else { shields.saturating_sub(1) };
    });
}

fn change(f: impl FnOnce(&mut AtHand)) {
    if let Some(here) = here() {
        here.at_hand.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(f);
    }
}

/// Gives up one hold of this process on a task. A thread for tasks tells the client with what it says next.
pub(crate) fn release(task: u64) {
    RELEASED.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    say_soon();
}

/// Has the client told soon, unless this is a thread for tasks.
fn say_soon() {
    if !HERE.try_with(|here| here.borrow().is_some()).unwrap_or(false) {
        aside::give_up_soon();
    }
}

/// Returns true if something was given up.
pub(super) fn has_given_up() -> bool {
    let is_some =
        |it: &Mutex<Vec<u64>>| !it.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
    is_some(&RELEASED) || is_some(&FORGOTTEN)
}

/// Takes what was given up.
pub(super) fn released() -> Vec<u64> {
    std::mem::take(&mut RELEASED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Forgets a queue, a lock or the like. A thread for tasks tells the client with what it says next.
pub(crate) fn forget(number: u64) {
    FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    say_soon();
}

/// Takes what was forgotten.
pub(super) fn forgotten() -> Vec<u64> {
    std::mem::take(&mut FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the result of a task that has ended.
///
/// # Errors
/// As [`ask`], and if the task has none any more.
pub(crate) fn see(py: Python<'_>, task: u64) -> PyResult<Packed> {
    let (packed, _) = ask(py, None, Request::See(vec![task]), |answer, read| match answer {
        Answer::Ends(ends) => match ends.first() {
            Some((_, How::Done(Some(blob)))) => read(blob).map(Some),
            _ => Ok(None),
        },
        _ => Ok(None),
    })?;
    packed.ok_or_else(|| PyRuntimeError::new_err("the client has no result of this task any more"))
}

/// What takes large data of this process.
pub(crate) fn store() -> PyResult<Box<dyn Store>> {
    aside::memory().map(|memory| Box::new(Arc::clone(&memory.own)) as Box<dyn Store>)
}
