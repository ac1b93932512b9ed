//! A thread for tasks: it hears frames of tasks, hands their calls to the thread's loop, and answers how they end.
//!
//! The loop is written in Python (`azolla/_process/child.py`), so that no native frame ever lies below the user's code.

use super::answers::{Answers, Besides, End};
use super::aside;
use super::bond::{Bond, NoPanic};
use super::calls::{Functions, New, call};
use super::ends::{raised, returned};
use super::input::Inputs;
use super::leaving::stop_if_leaving;
use super::pickled::Named;
use super::process::{Memory, broken, or_end};
use super::records::{Run, Stop};
use super::upstream::Upstream;
use super::{actors, at_work};
use crate::interpreter::blobs::Packed;
use crate::interpreter::forks::{check_forks, forks};
use crate::interpreter::pickles::loads;
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::{Blob, Tasks};
use pyo3::exceptions::{PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[doc = stub!(TaskThread)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct TaskThread {
    number: u16,
    memory: Arc<Memory>,
    forks: u64,
    /// What the thread hears. What it says goes through `answers`, which the main thread has too.
    line: Arc<Mutex<Line>>,
    answers: Arc<Answers>,
    upstream: Arc<Upstream>,
    work: Mutex<Work>,
    /// The client records the runs of the frame's tasks.
    recorded: AtomicBool,
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
}

struct Task {
    /// In the client's engine.
    number: u64,
    key: Arc<str>,
    function: u128,
    arguments: Packed,
    /// Which of the frame's inputs are its own.
    inputs: Vec<u32>,
    /// What it knows of itself besides the text of its key, as a pickle.
    notes: Box<[u8]>,
}

/// A call, and the annotations of its task.
type Annotated<'py> =
    (Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>, Option<Bound<'py, PyAny>>);

/// A frame as it came.
struct Frame {
    number: u32,
    functions: Vec<New>,
    inputs: Inputs,
    tasks: VecDeque<Task>,
    recorded: bool,
    /// The actors whose states are not needed any more.
    gone: Vec<u64>,
}

impl TaskThread {
    /// Makes the thread of this number, and what its tasks' ends go through.
    pub(super) fn new(
        number: u16,
        memory: Arc<Memory>,
        line: Line,
    ) -> io::Result<(Self, Arc<Answers>)> {
        let answers = line.as_fd().try_clone_to_owned()?.into();
        let answers = Arc::new(Answers::new(answers, Arc::clone(&memory)));
        let line = Arc::new(Mutex::new(line));
        let thread = Self {
            number,
            memory: Arc::clone(&memory),
            forks: forks(),
            line: Arc::clone(&line),
            answers: Arc::clone(&answers),
            upstream: Upstream::new(line, Arc::clone(&answers), memory),
            work: Mutex::default(),
            recorded: AtomicBool::new(false),
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
        self.upstream.settle_here();
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
    fn next<'py>(&self, py: Python<'py>) -> Option<Annotated<'py>> {
        let _guard = NoPanic;
        // The loop calls this first of all.
        if let Some(bond) = locked(&self.bond).take() {
            bond.tie();
            at_work::add(&self.upstream);
        }
        loop {
            stop_if_leaving(py);
            let mut work = locked(&self.work);
            if self.upstream.at_hand().is_some() {
                // Say exceptions of other threads have come one upon the other, and its end was lost.
                drop(work);
                broken(py, &PyRuntimeError::new_err("a task has ended, and how is not known"));
            }
            let task = work.tasks.pop_front()?;
            if !self.memory.own.seen().claim(self.number.into()).begin(work.frame) {
                let left = (std::mem::take(&mut work.tasks), std::mem::take(&mut work.inputs));
                drop(work);
                drop(left);
                return None;
            }
            self.upstream.begin(task.number, task.key, self.recorded.load(Ordering::Relaxed));
            let function = work.functions.find(py, task.function);
            let mut inputs = std::mem::take(&mut work.inputs);
            let is_last = work.tasks.is_empty();
            drop(work);
            let call = call(py, function, &task.arguments, &mut inputs, task.inputs);
            let call = call.and_then(|(function, args, kwargs)| {
                Ok((function, args, kwargs, self.annotations(py, &task.notes)?))
            });
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
        let stop = self.stop();
        let end = |end: End<Blob<'_>>, futures| {
            let failed = !end.is_done();
            self.end(result.py(), end, futures, self.run(stop, result, failed))
        };
        let task = || self.upstream.at_hand().map(|at_hand| (at_hand.number, at_hand.key));
        returned(result, task, &self.memory.own, end);
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
    /// Reads what the task at hand knows of itself. Returns its annotations.
    fn annotations<'py>(
        &self,
        py: Python<'py>,
        notes: &[u8],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if notes.is_empty() {
            return Ok(None);
        }
        let (key, annotations): (Option<Py<PyAny>>, _) = loads(py, notes)?.extract()?;
        if let Some(key) = key {
            self.upstream.has_key(key);
        }
        Ok(annotations)
    }

    /// Sends the ends of the last tasks, and waits for a frame of new ones. Returns its functions, or `None` if the line
    /// has ended.
    fn hear(&self, py: Python<'_>) -> PyResult<Option<Vec<New>>> {
        let mut line = locked(&self.line);
        let line = &mut *line;
        let heard = py.detach(|| {
            self.answers.send()?;
            aside::give_up().map_err(io::Error::other)?;
            Ok::<_, LineError>(match or_end(line.hear::<Tasks<'_>>())? {
                Heard::Message(tasks) => Heard::Message(self.copy(tasks)?),
                Heard::Nothing => Heard::Nothing,
                Heard::End => Heard::End,
            })
        });
        let frame = match heard.map_err(|error| PyRuntimeError::new_err(error.to_string()))? {
            Heard::Message(frame) => frame,
            Heard::Nothing => return Ok(Some(Vec::new())),
            Heard::End => return Ok(None),
        };
        self.recorded.store(frame.recorded, Ordering::Relaxed);
        self.upstream.has_heard();
        let mut work = locked(&self.work);
        (work.frame, work.tasks) = (frame.number, frame.tasks);
        // Those of the last frame went with its last task.
        let old = std::mem::replace(&mut work.inputs, frame.inputs);
        drop(work);
        drop(old);
        drop(actors::take(&frame.gone));
        Ok(Some(frame.functions))
    }

    /// Copies a frame out of the line. This waits for the arenas that the frame names, so the thread does not hold the GIL.
    fn copy(&self, frame: Tasks<'_>) -> io::Result<Frame> {
        let read = |blob: &Blob<'_>| self.memory.read(blob);
        let tasks = frame.tasks.iter().map(|task| {
            Ok(Task {
                number: task.id,
                key: task.key.into(),
                function: task.function,
                arguments: read(&task.arguments)?,
                inputs: task.inputs.clone(),
                notes: task.notes.into(),
            })
        });
        let functions = frame.functions.iter();
        let functions = functions.map(|new| {
            let (function, has_futures) = (read(&new.blob)?, !new.futures.is_empty());
            Ok(New { digest: new.digest, function, has_futures })
        });
        let copied = Frame {
            number: frame.frame,
            functions: functions.collect::<io::Result<_>>()?,
            inputs: Inputs::new(frame.inputs.iter().map(read).collect::<io::Result<_>>()?),
            tasks: tasks.collect::<io::Result<_>>()?,
            recorded: frame.recorded,
            gone: frame.gone,
        };
        frame.freed.into_iter().for_each(|range| self.memory.own.free(range));
        Ok(copied)
    }

    /// Ends the task at hand with this error. Returns false if there is none.
    fn fail(&self, error: &Bound<'_, PyAny>) -> bool {
        let Some(at_hand) = self.upstream.at_hand() else { return false };
        let run = self.run(self.stop(), error, true);
        let end = |end: End<Blob<'_>>| self.end(error.py(), end, Named::default(), run);
        raised(error, &at_hand.key, &self.memory.own, end)
    }

    /// The call of the task at hand has ended just now. `None` if that is not recorded.
    fn stop(&self) -> Option<Stop> {
        self.recorded.load(Ordering::Relaxed).then(Stop::now)
    }

    /// What the client records of the task at hand. User code may run.
    fn run(&self, stop: Option<Stop>, outcome: &Bound<'_, PyAny>, failed: bool) -> Option<Run> {
        let (stop, at_hand) = (stop?, self.upstream.at_hand()?);
        Some(Run::new(at_hand.began, stop, outcome, failed))
    }

    /// Ends the task at hand. Returns false if there is none.
    fn end(
        &self,
        py: Python<'_>,
        end: End<Blob<'_>>,
        Named { tasks: futures, keep }: Named,
        run: Option<Run>,
    ) -> bool {
        stop_if_leaving(py);
        if !end.is_done()
            && let Some(at_hand) = self.upstream.at_hand()
        {
            // It may have made an actor, and what stands for that cannot be pickled.
            drop(actors::take(&[at_hand.number]));
        }
        let Some(ran) = self.upstream.end(py) else { return false };
        self.upstream.keep(keep);
        let work = locked(&self.work);
        let (frame, is_last) = (work.frame, work.tasks.is_empty());
        drop(work);
        if let Err(error) = self.answers.add(py, frame, end, Besides { futures, run }, ran, is_last)
        {
            broken(py, &PyRuntimeError::new_err(error.to_string()));
        }
        true
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
