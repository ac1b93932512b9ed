//! A wait for something shared. A thread blocks on it, or an event loop is called back.

use super::{closed, shown};
use crate::future::callbacks::LoopCallback;
use crate::future::wait;
use crate::interpreter::imports::error;
use crate::session::gone::is_gone;
use crate::session::shared::Shared;
use crate::session::thread::{has_died, with_worker};
use azolla::runtime::{IsClosed, Listen, Patience, Resource, Turn, WaitError};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a wait has given, as a Python object.
pub(crate) struct Given {
    value: Py<PyAny>,
    undo: Option<Undo>,
}

/// Takes back what a wait has given to one who has not heard of it. Returns false if it is too late for that.
type Undo = Box<dyn FnOnce() -> bool + Send>;

impl Given {
    pub(super) fn new(value: Py<PyAny>, undo: impl FnOnce() -> bool + Send + 'static) -> Self {
        Self { value, undo: Some(Box::new(undo)) }
    }

    /// What others may see all the same.
    pub(super) fn seen(value: Py<PyAny>) -> Self {
        Self { value, undo: None }
    }
}

/// Turns what a wait gives into a Python object.
type Finish<G> = Box<dyn FnOnce(Python<'_>, G) -> PyResult<Given> + Send>;

/// A turn at any kind of resource.
trait Waiting: Send {
    fn now(&mut self, py: Python<'_>) -> PyResult<Result<Option<Given>, IsClosed>>;
    fn stand(&mut self, who: &Arc<dyn Listen>) -> bool;
    fn wait(
        self: Box<Self>,
        py: Python<'_>,
        deadline: Option<Instant>,
        shared: &Shared,
    ) -> PyResult<Result<Given, WaitError<PyErr>>>;
    /// Returns false if it is too late for that: what was asked for has been done.
    fn give_up(self: Box<Self>) -> bool;
}

struct Kind<R: Resource> {
    turn: Turn<R>,
    finish: Option<Finish<R::Gift>>,
}

impl<R: Resource> Waiting for Kind<R> {
    fn now(&mut self, py: Python<'_>) -> PyResult<Result<Option<Given>, IsClosed>> {
        match (self.turn.now(), &mut self.finish) {
            (Ok(Some(gift)), finish) => match finish.take() {
                Some(finish) => finish(py, gift).map(|given| Ok(Some(given))),
                None => Ok(Ok(None)),
            },
            (Ok(None), _) => Ok(Ok(None)),
            (Err(closed), _) => Ok(Err(closed)),
        }
    }

    fn stand(&mut self, who: &Arc<dyn Listen>) -> bool {
        self.turn.stand(who)
    }

    fn wait(
        self: Box<Self>,
        py: Python<'_>,
        deadline: Option<Instant>,
        shared: &Shared,
    ) -> PyResult<Result<Given, WaitError<PyErr>>> {
        let Self { turn, finish } = *self;
        let result = py.detach(|| {
            with_worker(|worker| {
                let in_task = worker.is_some();
                let mut outside = wait::outside(deadline);
                let mut interrupted = || match shared.has_left() {
                    true => Err(wait::left()),
                    false => {
                        wait::check_process()?;
                        if in_task { Ok(()) } else { outside() }
                    }
                };
                let is_endless = in_task && !shared.is_guest() && has_died().is_none();
                let interrupt: Option<&mut dyn FnMut() -> PyResult<()>> =
                    if is_endless { None } else { Some(&mut interrupted) };
                turn.wait(worker, Patience { deadline, interrupt })
            })
        });
        match (result, finish) {
            (Ok(gift), Some(finish)) => finish(py, gift).map(Ok),
            (Ok(_), None) => Ok(Ok(Given::seen(py.None()))),
            (Err(error), _) => Ok(Err(error)),
        }
    }

    fn give_up(self: Box<Self>) -> bool {
        self.turn.give_up().is_none()
    }
}

/// A turn that needed no wait.
struct Over(Option<Given>);

impl Waiting for Over {
    fn now(&mut self, _py: Python<'_>) -> PyResult<Result<Option<Given>, IsClosed>> {
        Ok(Ok(self.0.take()))
    }

    fn stand(&mut self, _who: &Arc<dyn Listen>) -> bool {
        true
    }

    fn wait(
        self: Box<Self>,
        py: Python<'_>,
        _deadline: Option<Instant>,
        _shared: &Shared,
    ) -> PyResult<Result<Given, WaitError<PyErr>>> {
        Ok(Ok(self.0.unwrap_or_else(|| Given::seen(py.None()))))
    }

    fn give_up(self: Box<Self>) -> bool {
        self.0.and_then(|given| given.undo).is_none_or(|undo| undo())
    }
}

#[doc = stub!(Turn)]
#[pyclass(frozen, name = "Turn", module = "azolla._azolla")]
pub(crate) struct PyTurn {
    waiting: Mutex<Option<Box<dyn Waiting>>>,
    /// What it has given, until it is given up or dropped.
    undo: Mutex<Option<Undo>>,
    shared: Arc<Shared>,
    /// What the wait is for, in messages.
    what: String,
}

impl PyTurn {
    pub(crate) fn new<R: Resource>(
        shared: &Arc<Shared>,
        what: String,
        turn: Turn<R>,
        finish: impl FnOnce(Python<'_>, R::Gift) -> PyResult<Given> + Send + 'static,
    ) -> Self {
        let waiting: Box<dyn Waiting> = Box::new(Kind { turn, finish: Some(Box::new(finish)) });
        Self::of(shared, &what, waiting)
    }

    /// A wait that has its result.
    pub(super) fn over_at_once(shared: &Arc<Shared>, what: String, given: Given) -> Self {
        Self::of(shared, &what, Box::new(Over(Some(given))))
    }

    fn of(shared: &Arc<Shared>, what: &str, waiting: Box<dyn Waiting>) -> Self {
        let what = shown(what).into_owned();
        let waiting = Mutex::new(Some(waiting));
        Self { waiting, undo: Mutex::default(), shared: Arc::clone(shared), what }
    }

    /// Returns what the wait has given, which can be given up from now on.
    fn value(&self, Given { value, undo }: Given) -> Py<PyAny> {
        *self.undo.lock().unwrap_or_else(PoisonError::into_inner) = undo;
        value
    }

    fn take(&self) -> Option<Box<dyn Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn take_all(&self) -> (Option<Box<dyn Waiting>>, Option<Undo>) {
        (self.take(), self.undo.lock().unwrap_or_else(PoisonError::into_inner).take())
    }

    fn over() -> PyErr {
        PyRuntimeError::new_err("this wait is over")
    }

    /// Raises an error if the client has left, or in the child of a fork.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.check_process()?;
        if self.shared.has_left() { self.shared.check_open(py, &self.what) } else { Ok(()) }
    }

    fn closed(&self, py: Python<'_>) -> PyErr {
        closed(py, &self.shared, &self.what)
    }
}

#[pymethods]
impl PyTurn {
    #[doc = stub!(Turn.what)]
    #[getter]
    fn what(&self) -> &str {
        &self.what
    }

    #[doc = stub!(Turn.wait)]
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.check(py)?;
        let deadline = wait::deadline(timeout.as_ref())?;
        let waiting = self.take().ok_or_else(Self::over)?;
        let engine = &self.shared.engine;
        // A wait that begins after the close was not interrupted by it.
        let was_closing = engine.is_closing();
        let says_why = || {
            was_closing
                || !engine.is_closing()
                || engine.is_broken()
                || is_gone(py, engine.number())
        };
        let given = waiting.wait(py, deadline, &self.shared)?.map_err(|reason| match reason {
            WaitError::TimedOut => {
                PyTimeoutError::new_err(format!("{}: the time was up", self.what))
            }
            WaitError::Closed if says_why() => self.closed(py),
            WaitError::Closed => {
                let message = format!("{}: the client was closed during the wait", self.what);
                error(py, "ClosedClientError", &message)
            }
            WaitError::Interrupted(_) if self.shared.has_left() => self.closed(py),
            reason => wait::exception(py, reason),
        })?;
        Ok(self.value(given))
    }

    #[doc = stub!(Turn.now)]
    fn now(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        self.check(py)?;
        // The turn is taken out during the call, since making the result may run code that comes back here.
        let mut waiting = self.take().ok_or_else(Self::over)?;
        let answer = waiting.now(py)?.map_err(|IsClosed| self.closed(py))?;
        if answer.is_none() {
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
        }
        Ok(answer.map(|given| (self.value(given),)))
    }

    #[doc = stub!(Turn.stand)]
    fn stand(&self, py: Python<'_>, r#loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<bool> {
        self.check(py)?;
        let who: Arc<dyn Listen> = Arc::new(LoopCallback { r#loop, callback });
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let there = waiting.as_mut().map(|waiting| waiting.stand(&who)).ok_or_else(Self::over)?;
        drop(waiting);
        if !there {
            self.shared.listen_for_leaving(&who, 0, None);
        }
        Ok(there)
    }

    #[doc = stub!(Turn.give_up)]
    fn give_up(&self) -> bool {
        let (waiting, undo) = self.take_all();
        if self.shared.is_forked() {
            std::mem::forget((waiting, undo));
            return true;
        }
        let undone = undo.is_none_or(|undo| undo());
        undone && waiting.is_none_or(|waiting| waiting.give_up())
    }

    #[doc = stub!(Turn.close)]
    fn close(&self) {
        let all = self.take_all();
        if self.shared.is_forked() {
            std::mem::forget(all);
        }
    }
}

impl Drop for PyTurn {
    fn drop(&mut self) {
        self.close();
    }
}
