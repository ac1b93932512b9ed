//! What the client has this process do beside its tasks: `Client.run`, plugins, uploaded modules.
//!
//! One native thread hands each order to Python, which starts a thread for it (`azolla/_process/orders.py`). So no native
//! frame lies below the user's code.

use super::answers::End;
use super::aside::{memory, obeyed};
use super::ends::{failed, returned};
use super::pickled::Named;
use crate::interpreter::blobs::Packed;
use crate::interpreter::forks::{check_forks, forks};
use crate::interpreter::imports::python;
use azolla_process::message::Blob;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

#[doc = stub!(Order)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Order {
    number: u64,
    forks: u64,
    state: Mutex<State>,
}

enum State {
    /// What is to be done.
    New(Packed),
    Begun,
    Answered,
}

/// Starts the thread that hands orders to Python, and returns where it gets them from.
pub(super) fn begin() -> io::Result<Sender<(u64, Packed)>> {
    let (give, given) = channel();
    let hand = move || {
        while let Ok((number, what)) = given.recv() {
            Python::attach(|py| hand(py, number, what));
        }
    };
    thread::Builder::new().name("azolla-orders".into()).spawn(hand)?;
    Ok(give)
}

fn hand(py: Python<'_>, number: u64, what: Packed) {
    static BEGIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let order = Order { number, forks: forks(), state: Mutex::new(State::New(what)) };
    let begun = Bound::new(py, order).and_then(|order| {
        let begin = || python(py, &BEGIN, "azolla._process.orders", "begin")?.call1((&order,));
        // Say the system has no thread to give.
        begin().map(drop).or_else(|error| order.get().failed(error.value(py)))
    });
    if let Err(error) = begun {
        error.write_unraisable(py, None);
    }
}

#[pymethods]
impl Order {
    #[doc = stub!(Order.forked)]
    #[getter]
    fn forked(&self) -> bool {
        check_forks(self.forks).is_err()
    }

    #[doc = stub!(Order.what)]
    fn what<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.go_on(State::Begun) {
            State::New(what) => what.object(py).map(Some),
            other => {
                self.go_on(other);
                Ok(None)
            }
        }
    }

    #[doc = stub!(Order.done)]
    fn done(&self, result: &Bound<'_, PyAny>) -> PyResult<()> {
        if let State::Answered = self.go_on(State::Answered) {
            return Ok(());
        }
        let py = result.py();
        let answer = |end: End<Blob<'_>>, futures| obeyed(py, self.number, end, futures);
        returned(result, || None, &memory()?.own, answer)
    }

    #[doc = stub!(Order.failed)]
    fn failed(&self, error: &Bound<'_, PyAny>) -> PyResult<()> {
        if let State::Answered = self.go_on(State::Answered) {
            return Ok(());
        }
        let py = error.py();
        let answer = |end: End<Blob<'_>>| obeyed(py, self.number, end, Named::default());
        failed(error, None, &memory()?.own, answer)
    }
}

impl Order {
    /// Sets the state, and returns the one before.
    fn go_on(&self, next: State) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state, next)
    }
}
