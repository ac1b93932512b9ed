//! A thread for tasks: it hears frames of tasks, hands their calls to the thread's loop, and answers how they end.
//!
//! The loop is written in Python (`azolla/_process/child.py`), so that no native frame ever lies below the user's code.

use super::answers::{Answers, End};
use super::bond::{Bond, NoPanic};
use super::calls::{Call, Functions, call};
use super::failures::{asks_for_another_run, pack, too_long};
use super::input::Inputs;
use super::process::broken;
use crate::interpreter::forks::{check_forks, forks};
use crate::interpreter::pickles::dumps;
use azolla_process::arena::Arena;
use azolla_process::line::{Heard, Line};
use azolla_process::message::{Blob, Bytes, Tasks};
use pyo3::exceptions::{PyRuntimeError, PySystemExit, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[doc = stub!(TaskThread)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct TaskThread {
    number: u16,
    /// Its first page has the thread's claim.
    arena: Arc<Arena>,
    forks: u64,
    /// What the thread hears. What it says goes through `answers`, which the main thread has too.
    line: Mutex<Line>,
    answers: Arc<Answers>,
    work: Mutex<Work>,
    /// Until the thread has it.
    bond: Mutex<Option<Bond>>,
}

/// What a thread has at hand. Only the thread itself locks it, and never while user code runs.
#[derive(Default)]
struct Work {
    frame: u32,
    /// The tasks of the frame that have not begun.
    tasks: VecDeque<Task>,
    functions: Functions,
    inputs: Inputs,
    /// The task that has begun and has not ended: its key, and when it began.
    current: Option<(Box<str>, Instant)>,
}

struct Task {
    key: Box<str>,
    function: u128,
    arguments: Py<PyBytes>,
    /// Which of the frame's inputs are its own.
    inputs: Vec<u32>,
}

/// The functions of a frame, as pickles with their digests.
type Pickles = Vec<(u128, Py<PyBytes>)>;

impl TaskThread {
    /// Makes the thread of this number, and what its tasks' ends go through.
    pub(super) fn new(
        number: u16,
        arena: Arc<Arena>,
        line: Line,
    ) -> io::Result<(Self, Arc<Answers>)> {
        let answers = Arc::new(Answers::new(line.as_fd().try_clone_to_owned()?.into()));
        let thread = Self {
            number,
            arena,
            forks: forks(),
            line: Mutex::new(line),
            answers: Arc::clone(&answers),
            work: Mutex::default(),
            bond: Mutex::new(Some(Bond::new())),
        };
        Ok((thread, answers))
    }

    fn is_forked(&self) -> bool {
        check_forks(self.forks).is_err()
    }
}

#[pymethods]
impl TaskThread {
    #[doc = stub!(TaskThread.number)]
    #[getter]
    fn number(&self) -> u16 {
        self.number
    }

    #[doc = stub!(TaskThread.forked)]
    #[getter]
    fn forked(&self) -> bool {
        self.is_forked()
    }

    #[doc = stub!(TaskThread.rest)]
    fn rest(&self, py: Python<'_>) -> bool {
        let _guard = NoPanic;
        match self.hear(py) {
            Ok(Some(functions)) => {
                if !functions.is_empty() {
                    let old = locked(&self.work).functions.make_room();
                    drop(old);
                    let loaded = Functions::load(py, functions);
                    locked(&self.work).functions.add(loaded);
                }
                true
            }
            Ok(None) => {
                Bond::untie();
                false
            }
            Err(error) => broken(py, &error),
        }
    }

    #[doc = stub!(TaskThread.next)]
    fn next<'py>(&self, py: Python<'py>) -> Option<Call<'py>> {
        let _guard = NoPanic;
        // The loop calls this first of all.
        locked(&self.bond).take().map(Bond::tie);
        loop {
            let mut work = locked(&self.work);
            if work.current.is_some() {
                // Say exceptions of other threads have come one upon the other, and its end was lost.
                drop(work);
                broken(py, &PyRuntimeError::new_err("a task has ended, and how is not known"));
            }
            let task = work.tasks.pop_front()?;
            if !self.arena.seen().claim(self.number.into()).begin(work.frame) {
                let left = (std::mem::take(&mut work.tasks), std::mem::take(&mut work.inputs));
                drop(work);
                drop(left);
                return None;
            }
            work.current = Some((task.key, Instant::now()));
            let function = work.functions.find(py, task.function);
            let mut inputs = std::mem::take(&mut work.inputs);
            let is_last = work.tasks.is_empty();
            drop(work);
            let call = call(function, task.arguments.bind(py), &mut inputs, task.inputs);
            if !is_last {
                locked(&self.work).inputs = inputs;
            }
            match call {
                Ok(call) => return Some(call),
                Err(error) => self.fail(error.value(py)),
            };
        }
    }

    #[doc = stub!(TaskThread.done)]
    fn done(&self, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let _guard = NoPanic;
        if self.is_forked() {
            return Err(PySystemExit::new_err(0));
        }
        let py = result.py();
        match pickled(result) {
            Ok(pickle) => self.end(py, End::Done(pickle.as_bytes())),
            Err(error) => self.fail(error.value(py)),
        };
        Ok(())
    }

    #[doc = stub!(TaskThread.failed)]
    fn failed(&self, error: &Bound<'_, PyAny>) -> PyResult<bool> {
        let _guard = NoPanic;
        if self.is_forked() {
            return Err(PyErr::from_value(error.clone()));
        }
        Ok(self.fail(error))
    }
}

impl TaskThread {
    /// Sends the ends of the last tasks, and waits for a frame of new ones. Returns its functions, or `None` if the line
    /// has ended.
    fn hear(&self, py: Python<'_>) -> PyResult<Option<Pickles>> {
        let mut line = locked(&self.line);
        let line = &mut *line;
        let heard = py.detach(|| {
            self.answers.send()?;
            line.hear::<Tasks<'_>>()
        });
        match heard.map_err(|error| PyRuntimeError::new_err(error.to_string()))? {
            Heard::Message(tasks) => self.copy(py, tasks).map(Some),
            Heard::Nothing => Ok(Some(Vec::new())),
            Heard::End => Ok(None),
        }
    }

    /// Copies a frame out of the line.
    fn copy(&self, py: Python<'_>, frame: Tasks<'_>) -> PyResult<Pickles> {
        let mut tasks = VecDeque::with_capacity(frame.tasks.len());
        for task in &frame.tasks {
            tasks.push_back(Task {
                key: task.key.into(),
                function: task.function,
                arguments: bytes(py, &task.arguments)?,
                inputs: task.inputs.clone(),
            });
        }
        let functions = frame.functions.iter();
        let functions = functions.map(|function| Ok((function.digest, bytes(py, &function.blob)?)));
        let functions = functions.collect::<PyResult<_>>()?;
        let inputs = frame.inputs.iter().map(|input| bytes(py, input));
        let inputs = Inputs::new(inputs.collect::<PyResult<_>>()?);
        let mut work = locked(&self.work);
        (work.frame, work.tasks) = (frame.frame, tasks);
        // Those of the last frame went with its last task.
        let old = std::mem::replace(&mut work.inputs, inputs);
        drop(work);
        drop(old);
        Ok(functions)
    }

    /// Ends the task at hand with this error. Returns false if there is none.
    fn fail(&self, error: &Bound<'_, PyAny>) -> bool {
        let key = match &locked(&self.work).current {
            Some((key, _)) => key.clone(),
            None => return false,
        };
        if asks_for_another_run(error) {
            return self.end(error.py(), End::Again);
        }
        self.end(error.py(), End::Failed(&pack(error, Some(&key))))
    }

    /// Ends the task at hand. Returns false if there is none.
    fn end(&self, py: Python<'_>, end: End<&[u8]>) -> bool {
        let mut work = locked(&self.work);
        let Some((_, began)) = work.current.take() else { return false };
        let frame = work.frame;
        drop(work);
        if let Err(error) = self.answers.add(py, frame, end, began.elapsed()) {
            broken(py, &PyRuntimeError::new_err(error.to_string()));
        }
        true
    }
}

/// Returns a result as a pickle that a message takes.
fn pickled<'py>(result: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = result.py();
    match dumps(result) {
        Ok(pickle) => match too_long(pickle.as_bytes()) {
            None => Ok(pickle),
            Some(bytes) => Err(PyValueError::new_err(format!(
                "the task's result is a pickle of {bytes} bytes: too many for a message from a worker process"
            ))),
        },
        Err(error) => {
            let note = "the task has returned this result, which must travel from its worker process as a pickle";
            let _ = error.value(py).call_method1(intern!(py, "add_note"), (note,));
            Err(error)
        }
    }
}

/// Copies a pickle out of a message.
fn bytes(py: Python<'_>, blob: &Blob<'_>) -> PyResult<Py<PyBytes>> {
    match blob.pickle {
        Bytes::Here(pickle) if blob.buffers.is_empty() => Ok(PyBytes::new(py, pickle).unbind()),
        _ => Err(PyRuntimeError::new_err(
            "a pickle lies in an arena that this process does not have",
        )),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
