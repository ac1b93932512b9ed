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

/// Turns what a wait gives into a Python object.
type Finish<G> = Box<dyn FnOnce(Python<'_>, G) -> PyResult<Py<PyAny>> + Send>;

/// A turn at any kind of resource.
trait Waiting: Send {
    fn now(&mut self, py: Python<'_>) -> PyResult<Result<Option<Py<PyAny>>, IsClosed>>;
    fn stand(&mut self, who: &Arc<dyn Listen>) -> bool;
    fn wait(
        self: Box<Self>,
        py: Python<'_>,
        deadline: Option<Instant>,
        shared: &Shared,
    ) -> PyResult<Result<Py<PyAny>, WaitError<PyErr>>>;
}

struct Kind<R: Resource> {
    turn: Turn<R>,
    finish: Option<Finish<R::Gift>>,
}

impl<R: Resource> Waiting for Kind<R> {
    fn now(&mut self, py: Python<'_>) -> PyResult<Result<Option<Py<PyAny>>, IsClosed>> {
        match (self.turn.now(), &mut self.finish) {
            (Ok(Some(gift)), finish) => match finish.take() {
                Some(finish) => finish(py, gift).map(|value| Ok(Some(value))),
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
    ) -> PyResult<Result<Py<PyAny>, WaitError<PyErr>>> {
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
            (Ok(_), None) => Ok(Ok(py.None())),
            (Err(error), _) => Ok(Err(error)),
        }
    }
}

#[doc = stub!(Turn)]
#[pyclass(frozen, name = "Turn", module = "azolla._azolla")]
pub(crate) struct PyTurn {
    waiting: Mutex<Option<Box<dyn Waiting>>>,
    shared: Arc<Shared>,
    /// What the wait is for, in messages.
    what: String,
}

impl PyTurn {
    pub(crate) fn new<R: Resource>(
        shared: &Arc<Shared>,
        what: String,
        turn: Turn<R>,
        finish: impl FnOnce(Python<'_>, R::Gift) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self {
        let waiting: Box<dyn Waiting> = Box::new(Kind { turn, finish: Some(Box::new(finish)) });
        let what = shown(&what).into_owned();
        Self { waiting: Mutex::new(Some(waiting)), shared: Arc::clone(shared), what }
    }

    fn take(&self) -> Option<Box<dyn Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
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
        waiting.wait(py, deadline, &self.shared)?.map_err(|reason| match reason {
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
        })
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
        Ok(answer.map(|value| (value,)))
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

    #[doc = stub!(Turn.close)]
    fn close(&self) {
        let waiting = self.take();
        if self.shared.is_forked() {
            std::mem::forget(waiting);
        }
    }
}

impl Drop for PyTurn {
    fn drop(&mut self) {
        self.close();
    }
}
