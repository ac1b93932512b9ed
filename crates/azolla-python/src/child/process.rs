//! The control line of a worker process, and the process's end.
//!
//! The main thread hears the orders. It takes the GIL only to start a thread. Another thread, which never takes the
//! GIL, waits for the end of the client and then kills this process, whatever its tasks are in the middle of.

use super::answers::Answers;
use super::aside;
use super::bond::NoPanic;
use super::thread::TaskThread;
use crate::interpreter::blobs::Packed;
use azolla_process::arena::{Arena, MOST, Seen, THREADS};
use azolla_process::borrowed::Arenas;
use azolla_process::frame::FrameError;
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::{Blob, Order, Ready};
use azolla_process::place::Stored;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

/// The large data that this process can reach.
#[derive(Debug)]
pub(super) struct Memory {
    /// What it has stored. The first page has the claims of its threads.
    pub(super) own: Arc<Arena>,
    /// What it reads.
    pub(super) arenas: Arenas,
}

impl Memory {
    /// Takes over what a message has brought. This may wait for the arenas that it names.
    pub(super) fn read(&self, blob: &Blob<'_>) -> io::Result<Packed> {
        Packed::read(blob, |range| Ok(Stored::new(self.arenas.place(range))))
    }
}

#[doc = stub!(serve_process)]
#[pyfunction]
pub(crate) fn serve_process(py: Python<'_>, number: u32, client: i32, start: &Bound<'_, PyAny>) {
    match serve(py, number, client, start) {
        Ok(never) => match never {},
        Err(error) => broken(py, &error),
    }
}

fn serve(
    py: Python<'_>,
    number: u32,
    client: i32,
    start: &Bound<'_, PyAny>,
) -> PyResult<Infallible> {
    let _guard = NoPanic;
    aside::serves();
    let control = take_stdin()?;
    let memory = Memory { own: Arena::new(number, MOST)?, arenas: Arenas::default() };
    let own = memory.own.seen().as_fd();
    memory.arenas.show(number, Seen::open(number, own.try_clone_to_owned()?)?);
    let memory = Arc::new(memory);
    end_with(client, control.as_fd().try_clone_to_owned()?)?;
    let mut line = Line::from(control).taking_descriptors();
    let id = getpid().as_raw_nonzero().get().unsigned_abs();
    if !line.send_with(&Ready { id, arena: number }, &[memory.own.seen().as_fd()]).map_err(wrong)? {
        die();
    }
    let mut threads = HashMap::new();
    loop {
        match py.detach(|| next_start(&mut line, &threads, &memory))? {
            Some((thread, line)) => {
                let (one, answers) = TaskThread::new(thread, Arc::clone(&memory), line)?;
                threads.insert(thread, answers);
                start.call1((one,))?;
            }
            None => py.check_signals()?,
        }
    }
}

/// Takes the control line from the standard input. From then on tasks find nothing there to read, and a program that a
/// task starts does not inherit the line.
fn take_stdin() -> io::Result<OwnedFd> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok(control)
}

/// Waits until a thread is to be started, and returns its number and its line. Returns `None` if a signal has come.
fn next_start(
    line: &mut Line,
    threads: &HashMap<u16, Arc<Answers>>,
    memory: &Arc<Memory>,
) -> PyResult<Option<(u16, Line)>> {
    loop {
        match or_end(line.hear()).map_err(wrong)? {
            Heard::Message(Order::Thread(thread)) => {
                let theirs = line.take_descriptor().filter(|_| usize::from(thread) < THREADS);
                let theirs = theirs.filter(|_| !threads.contains_key(&thread));
                let none = || wrong(format!("thread {thread} cannot be started"));
                return theirs.map(|line| Some((thread, line.into()))).ok_or_else(none);
            }
            // A thread that cannot send has lost its client, and so has this process.
            Heard::Message(Order::Flush(thread)) => {
                let _ = threads.get(&thread).map(|answers| answers.send());
            }
            Heard::Message(Order::Side) => {
                let missing = || wrong("the side line was not given");
                let theirs = line.take_descriptor().ok_or_else(missing)?;
                aside::begin(theirs.into(), memory)?;
            }
            Heard::Message(Order::Arena(number)) => {
                let missing = || wrong("an arena was not shown");
                let file = line.take_descriptor().ok_or_else(missing)?;
                memory.arenas.show(number, Seen::open(number, file)?);
            }
            Heard::Message(Order::Forget(number)) => memory.arenas.forget(number),
            Heard::Nothing => return Ok(None),
            Heard::End => die(),
        }
    }
}

/// Takes a line that ends in the middle of a message for one that has ended: so it does when the client dies.
pub(super) fn or_end<T>(heard: Result<Heard<T>, LineError>) -> Result<Heard<T>, LineError> {
    match heard {
        Err(LineError::Frame(FrameError::CutOff)) => Ok(Heard::End),
        heard => heard,
    }
}

/// Has this process killed once its client has ended, or has closed the control line. A process that the client has forked
/// may hold the line open.
fn end_with(client: i32, control: OwnedFd) -> PyResult<()> {
    let client = Pid::from_raw(client).ok_or_else(|| wrong("the client has no such number"))?;
    let client = match pidfd_open(client, PidfdFlags::empty()) {
        Ok(client) => client,
        // It has ended already.
        Err(rustix::io::Errno::SRCH) => die(),
        Err(error) => return Err(io::Error::from(error).into()),
    };
    let watch = move || {
        let closed = PollFlags::RDHUP;
        loop {
            let mut both = [PollFd::new(&client, PollFlags::IN), PollFd::new(&control, closed)];
            if !matches!(poll(&mut both, None), Err(rustix::io::Errno::INTR)) {
                die();
            }
        }
    };
    thread::Builder::new().name(String::from("azolla-end")).spawn(watch)?;
    Ok(())
}

/// Ends this process at once. No thread can hold that up, and no handler sees it.
pub(super) fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        thread::park();
    }
}

/// Reports what keeps this process from serving its client, and ends it: the client then knows that its tasks have ended.
pub(super) fn broken(py: Python<'_>, error: &PyErr) -> ! {
    error.display(py);
    die()
}

fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(format!("the line to the client is broken: {error}"))
}
