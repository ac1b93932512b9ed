//! A wait of an event loop in a worker process for something that the cluster shares: a coroutine awaits the client's answer.

use crate::child::aside;
use crate::future::callbacks::LoopCallback;
use crate::interpreter::beside::beside;
use crate::session::away::{Answered, coroutine_here, unexpected};
use azolla::runtime::{Listen, Status};
use azolla_process::request::{Answer, Request};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[doc = stub!(Asked)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Asked {
    number: u64,
    state: Arc<Mutex<State>>,
}

enum State {
    Waits,
    There(io::Result<Answered>),
    /// The answer was taken, or is not wanted any more.
    Over,
}

#[pymethods]
impl Asked {
    #[new]
    fn new(py: Python<'_>, what: &[u8], r#loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<Self> {
        let state = Arc::new(Mutex::new(State::Waits));
        let (here, wakes) = (Arc::clone(&state), LoopCallback { r#loop, callback });
        let hear = move |answer: Answer<'_>, read: &crate::child::upstream::Read<'_>| {
            let answer = Answered::of(answer, read);
            let mut state = locked(&here);
            if let State::Waits = *state {
                *state = State::There(answer);
            }
            drop(state);
            wakes.settled(0, Status::Finished);
        };
        let number = aside::ask_then(py, coroutine_here(py)?, Request::Stand(what), hear)?;
        Ok(Self { number, state })
    }

    #[doc = stub!(Asked.now)]
    fn now<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let there = {
            let mut state = locked(&self.state);
            match &*state {
                State::Waits => return Ok(None),
                _ => std::mem::replace(&mut *state, State::Over),
            }
        };
        let State::There(answer) = there else {
            return Err(PyRuntimeError::new_err("this wait is over"));
        };
        let value = match answer?.or_raise(py) {
            Ok(Answered::Value(packed)) => packed.object(py),
            Ok(_) => Err(unexpected()),
            Err(error) => Err(error),
        };
        aside::over(py, self.number, value.is_ok())?;
        value.map(|value| Some((value,)))
    }

    #[doc = stub!(Asked.give_up)]
    fn give_up(&self, py: Python<'_>) -> PyResult<bool> {
        let before = std::mem::replace(&mut *locked(&self.state), State::Over);
        match before {
            State::Over => Ok(true),
            State::Waits | State::There(_) => aside::give_up_wait(py, self.number),
        }
    }

    #[doc = stub!(Asked.close)]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let before = std::mem::replace(&mut *locked(&self.state), State::Over);
        match before {
            State::Over => Ok(()),
            State::Waits | State::There(_) => aside::over(py, self.number, false),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = beside(|py| self.close(py));
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
