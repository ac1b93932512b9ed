//! The side line of this process: what is no task's goes over it, and what is asked by threads that run no task.
//!
//! One thread hears what the client says, and says nothing itself: the client may be in the middle of saying more. Any other
//! says what it likes, without the GIL. One tells the client of the tasks that were given up where no task runs.

use super::answers::End;
use super::at_work;
use super::ends;
use super::leaving::leaves;
use super::orders;
use super::pickled::Named;
use super::process::{Memory, broken, die, or_end};
use super::records::{Run, Stop};
use super::upstream::{self, Read};
use crate::interpreter::blobs::Packed;
use crate::interpreter::forks::{check_forks, forks};
use azolla_process::aside::{Aside, News, What};
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::Blob;
use azolla_process::request::{Answer, Request};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

/// The side line, as this process uses it.
struct Side {
    /// What is said goes over it.
    line: Mutex<Line>,
    memory: Arc<Memory>,
    asked: Mutex<Asked>,
    /// Tells the thread that gives up tasks that there are some.
    gives_up: SyncSender<()>,
    /// Takes the client's orders.
    orders: Sender<(u64, Packed)>,
}

/// The questions that have no answer yet.
#[derive(Default)]
struct Asked {
    last: u64,
    by_number: HashMap<u64, Hear>,
}

/// Takes what it needs of an answer. It is called without the GIL, on the thread that hears.
type Hear = Box<dyn FnOnce(Answer<'_>, &Read<'_>) + Send>;

/// Hears how tasks have ended. It is called without the GIL.
type HearEnds = fn(Answer<'_>, &Read<'_>);

static SIDE: OnceLock<Side> = OnceLock::new();

/// Set in a worker process, whose side line comes: how many forks lay behind it when it began to serve.
static SERVES: OnceLock<u64> = OnceLock::new();
static HEARS_ENDS: OnceLock<HearEnds> = OnceLock::new();

/// From now on `hear` gets the ends of tasks to which this process listens.
pub(crate) fn on_ends(hear: HearEnds) {
    let _ = HEARS_ENDS.set(hear);
}

/// Makes this the side line, and starts its threads.
pub(super) fn begin(line: Line, memory: &Arc<Memory>) -> io::Result<()> {
    let says = Line::from(line.as_fd().try_clone_to_owned()?);
    let (memory, asked) = (Arc::clone(memory), Mutex::default());
    // One word is enough: the thread then gives up all that there is.
    let (gives_up, given_up) = sync_channel(1);
    let orders = orders::begin()?;
    let side = Side { line: Mutex::new(says), memory, asked, gives_up, orders };
    if SIDE.set(side).is_err() {
        return Err(io::Error::other("there is a side line already"));
    }
    let hear = || match SIDE.wait().hear(line) {
        Ok(()) => die(),
        Err(error) => {
            let error = PyRuntimeError::new_err(format!("the side line is broken: {error}"));
            Python::attach(|py| broken(py, &error))
        }
    };
    let tell = move || {
        while given_up.recv().is_ok() {
            if give_up().is_err() {
                die();
            }
        }
    };
    thread::Builder::new().name("azolla-aside".into()).spawn(hear)?;
    thread::Builder::new().name("azolla-give-up".into()).spawn(tell)?;
    Ok(())
}

impl Asked {
    fn add(&mut self, hear: Hear) -> u64 {
        self.last += 1;
        self.by_number.insert(self.last, hear);
        self.last
    }
}

impl Side {
    /// Hears all that the client says, until the line ends.
    fn hear(&self, mut line: Line) -> Result<(), LineError> {
        let read = |blob: &Blob<'_>| self.memory.read(blob);
        loop {
            match or_end(line.hear::<News<'_>>())? {
                Heard::Message(News::Answer(number, answer)) => {
                    let hear = self.asked().by_number.remove(&number);
                    if let Some(hear) = hear {
                        hear(answer, &read);
                    }
                }
                Heard::Message(News::Ends(answer)) => {
                    if let Some(hear) = HEARS_ENDS.get() {
                        hear(answer, &read);
                    }
                }
                Heard::Message(News::Order(number, what)) => {
                    let what = read(&what).map_err(LineError::from)?;
                    let _ = self.orders.send((number, what)); // their thread goes with this process alone
                }
                Heard::Message(News::Interrupt(task)) => at_work::interrupt(task),
                Heard::Nothing => {}
                Heard::End => return Ok(()),
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something. The calling thread does not hold the GIL.
    fn say(&self, what: What<'_>) -> PyResult<()> {
        let (released, forgotten) = (upstream::released(), upstream::forgotten());
        let given_back = self.memory.arenas.take_given_back();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let said = line.send(&Aside { released, forgotten, given_back, what });
        match said {
            Ok(true) => Ok(()),
            Ok(false) => die(), // the client is gone
            Err(error) => Err(PyRuntimeError::new_err(error.to_string())),
        }
    }
}

/// This process begins to serve: its side line comes.
pub(super) fn serves() {
    let _ = SERVES.set(forks());
}

/// Waits for the side line of this process.
///
/// # Errors
/// If this is no worker process, or a fork of one.
fn side() -> PyResult<&'static Side> {
    let Some(forks) = SERVES.get() else {
        let why = "this is no worker process, so it has no client elsewhere";
        return Err(PyRuntimeError::new_err(why));
    };
    check_forks(*forks)?;
    Ok(SIDE.wait())
}

/// Asks the client something, and returns the number of the question. `task` is that whose coroutine asks. `hear` takes
/// what it needs of the answer, on another thread.
///
/// # Errors
/// If this process is a fork, or the question is too long.
pub(crate) fn ask_then(
    py: Python<'_>,
    task: Option<u64>,
    request: Request<'_>,
    hear: impl FnOnce(Answer<'_>, &Read<'_>) + Send + 'static,
) -> PyResult<u64> {
    py.detach(|| {
        let side = side()?;
        let number = side.asked().add(Box::new(hear));
        let said = side.say(What::Asks { number, task, request });
        if said.is_err() {
            side.asked().by_number.remove(&number);
        }
        said.map(|()| number)
    })
}

/// Asks the client something, and waits for the answer without the GIL. Returns the number of the question too.
///
/// # Errors
/// As [`ask_then`], and if the answer cannot be read.
pub(crate) fn ask<R: Send + 'static>(
    py: Python<'_>,
    task: Option<u64>,
    request: Request<'_>,
    hear: impl FnOnce(Answer<'_>, &Read<'_>) -> io::Result<R> + Send + 'static,
) -> PyResult<(R, u64)> {
    let (tell, told) = sync_channel(1);
    let hear = move |answer: Answer<'_>, read: &Read<'_>| drop(tell.send(hear(answer, read)));
    let number = ask_then(py, task, request, hear)?;
    let told = py.detach(move || told.recv());
    let answer = told.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok((answer?, number))
}

/// Tells the client that this process has the answer to a call, or that it does not want it any more.
pub(crate) fn over(py: Python<'_>, number: u64, taken: bool) -> PyResult<()> {
    py.detach(|| {
        let side = side()?;
        side.asked().by_number.remove(&number);
        side.say(What::Over { number, taken })
    })
}

/// Gives up the wait of this number. Returns false if it is too late for that.
pub(crate) fn give_up_wait(py: Python<'_>, number: u64) -> PyResult<bool> {
    py.detach(|| side().map(|side| drop(side.asked().by_number.remove(&number))))?;
    let hear = |answer: Answer<'_>, _: &Read<'_>| Ok(!matches!(answer, Answer::Done(false)));
    ask(py, None, Request::GiveUp(number), hear).map(|(given_up, _)| given_up)
}

/// Tells the client that this process wants to hear how these tasks end.
pub(crate) fn listen(py: Python<'_>, tasks: Vec<u64>) -> PyResult<()> {
    py.detach(|| side()?.say(What::Listen(tasks)))
}

/// Tells the client soon which tasks this process has given up.
pub(super) fn give_up_soon() {
    if let Some(side) = SIDE.get() {
        let _ = side.gives_up.try_send(()); // one that is full has been told
    }
}

/// Tells the client which tasks this process has given up, if it has given up some. The calling thread does not hold the GIL.
pub(super) fn give_up() -> PyResult<()> {
    if upstream::has_given_up() { side()?.say(What::Nothing) } else { Ok(()) }
}

/// The coroutine of a task.
pub(crate) struct Coroutine {
    /// The number of the task in the client's engine.
    pub(crate) task: u64,
    /// When the task began, if the client records its run.
    pub(crate) recorded: Option<Instant>,
}

/// Tells the client that a coroutine has returned this. `key` is that of its task.
pub(crate) fn returned(
    result: &Bound<'_, PyAny>,
    coroutine: &Coroutine,
    key: &str,
) -> PyResult<()> {
    let stop = Stop::now();
    let end = |end: End<Blob<'_>>, futures| {
        let failed = !end.is_done();
        coroutine.ended(result, failed, stop, end, futures)
    };
    ends::returned(result, || Some((coroutine.task, key.into())), &memory()?.own, end)
}

/// Tells the client that a coroutine has raised this.
pub(crate) fn raised(error: &Bound<'_, PyAny>, coroutine: &Coroutine, key: &str) -> PyResult<()> {
    let stop = Stop::now();
    let end = |end: End<Blob<'_>>| coroutine.ended(error, true, stop, end, Named::default());
    ends::raised(error, key, &memory()?.own, end)
}

impl Coroutine {
    /// Tells the client of the end. `outcome` is what it has returned, or raised.
    fn ended(
        &self,
        outcome: &Bound<'_, PyAny>,
        failed: bool,
        stop: Stop,
        end: End<Blob<'_>>,
        Named { tasks: futures, keep }: Named,
    ) -> PyResult<()> {
        let (py, task) = (outcome.py(), self.task);
        if leaves() {
            return Ok(());
        }
        let run = self.recorded.map(|began| Run::new(began, stop, outcome, failed));
        py.detach(|| {
            let run = run.as_ref().map(Run::message);
            let ended = end.into();
            say_naming(keep, |number| What::Ended { number, task, ended, run, futures })
        })
    }
}

/// Tells the client what has come of an order.
pub(super) fn obeyed(
    py: Python<'_>,
    order: u64,
    end: End<Blob<'_>>,
    Named { tasks: futures, keep }: Named,
) -> PyResult<()> {
    py.detach(|| {
        let ended = end.into();
        say_naming(keep, |number| What::Obeyed { number, order, ended, futures })
    })
}

/// Says something that names tasks, and then gives up `keep`. The client must have heard of the tasks before this process
/// gives them up, so it is asked for an answer of this number. The calling thread does not hold the GIL.
fn say_naming<'a>(
    keep: Vec<Arc<dyn Any + Send + Sync>>,
    what: impl FnOnce(Option<u64>) -> What<'a>,
) -> PyResult<()> {
    let side = side()?;
    if keep.is_empty() {
        side.say(what(None))?;
    } else {
        let (tell, told) = sync_channel(1);
        let hear = move |_: Answer<'_>, _: &Read<'_>| _ = tell.send(());
        side.say(what(Some(side.asked().add(Box::new(hear)))))?;
        let _ = told.recv();
        Python::attach(|_| drop(keep));
    }
    give_up()
}

/// Returns true in a worker process, but not in a fork of it.
pub(crate) fn is_there() -> bool {
    SERVES.get().is_some_and(|forks| check_forks(*forks).is_ok())
}

/// What takes large data of this process.
pub(super) fn memory() -> PyResult<&'static Arc<Memory>> {
    side().map(|side| &side.memory)
}
