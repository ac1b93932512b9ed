//! The messages between a client and a worker process.
//!
//! On the control line the process first says that it is [`Ready`], then gets [`Order`]s. Each of its threads has a line
//! of its own: it gets [`Tasks`] and answers with [`Results`], several times for one frame of tasks if it likes. What is said on
//! the side line stands in [`aside`](crate::aside).

use crate::ranges::PAGE;
use serde::{Deserialize, Serialize};

/// How many functions each end of a line knows. Where it knows as many (or [`FUNCTION_BYTES`] of them) when a frame with new
/// functions comes, it first forgets all of them. The client sends a function again that the line has forgotten.
pub const FUNCTIONS: usize = 1024;

/// The same for the bytes that they take: a function by value may hold much.
pub const FUNCTION_BYTES: u64 = 64 * 1024 * 1024;

/// From a process, first of all: it is there. Its arena comes with the message, as a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The number by which the system knows the process.
    pub id: u32,
    /// The number of its arena.
    pub arena: u32,
}

/// From the client to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Serve the thread of this number. Its line comes with the message, as a descriptor. A process gets each of its
    /// threads once.
    Thread(u16),
    /// Here is the side line, as a descriptor. A process gets one.
    Side,
    /// Send the results that the thread of this number holds back, whatever it is in the middle of.
    Flush(u16),
    /// Messages will name the arena of this number. It comes with the message, as a descriptor.
    Arena(u32),
    /// No message will name this arena any more.
    Forget(u32),
}

/// The number of the file on a disk that takes what the client has no memory for. Messages name it as they name arenas.
pub const ON_DISK: u32 = u32::MAX;

/// A range of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The number of the arena. Each process has another one, also if it has taken the place of one that has ended. The
    /// client's own is 0.
    pub arena: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
}

impl Range {
    /// How many bytes it takes of its arena.
    #[must_use]
    pub fn pages(self) -> u64 {
        self.length.max(1).next_multiple_of(PAGE)
    }
}

/// Some bytes: in the message itself, or in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bytes<'a> {
    /// In the message.
    Here(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    /// In an arena.
    There(Range),
}

/// A pickled object. The buffers that its pickle leaves out (PEP 574, protocol 5) lie in arenas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob<'a> {
    /// The pickle.
    #[serde(borrow)]
    pub pickle: Bytes<'a>,
    /// The buffers, in the order in which the pickle asks for them.
    pub buffers: Vec<Range>,
}

/// A function that tasks call. It is sent once a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function<'a> {
    /// What tasks name it by.
    pub digest: u128,
    /// The function.
    #[serde(borrow)]
    pub blob: Blob<'a>,
    /// The tasks of the futures that the function refers to. If there are any, each call unpickles it: a thread that kept it
    /// would keep them.
    pub futures: Vec<u64>,
}

/// A task to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task<'a> {
    /// The task's number in the client's engine.
    pub id: u64,
    /// The digest of the function.
    pub function: u128,
    /// Its key, as it is shown.
    pub key: &'a str,
    /// The arguments. `Input(n)` in them stands for the n-th input.
    #[serde(borrow)]
    pub arguments: Blob<'a>,
    /// Which of the frame's inputs are those of this task, in order.
    pub inputs: Vec<u32>,
    /// A pickle of what only some tasks know of themselves.
    #[serde(with = "serde_bytes")]
    pub notes: &'a [u8],
}

/// From the client: a frame of tasks, to be begun in this order as the claim allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks<'a> {
    /// The number of the frame (see [`crate::claim`]).
    pub frame: u32,
    /// The functions that this line has not seen yet. They come first, since any of the tasks may be taken back.
    #[serde(borrow)]
    pub functions: Vec<Function<'a>>,
    /// The results that these tasks depend on, each once.
    #[serde(borrow)]
    pub inputs: Vec<Blob<'a>>,
    /// The tasks.
    pub tasks: Vec<Task<'a>>,
    /// Ranges of the process's own arena that nothing needs any more.
    pub freed: Vec<Range>,
    /// The client records these runs.
    pub recorded: bool,
    /// The numbers of actors whose states nothing needs any more. The frame may have no tasks, and bring nothing else.
    pub gone: Vec<u64>,
}

/// How a task has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended<'a> {
    /// It has returned this.
    Done(#[serde(borrow)] Blob<'a>),
    /// It has returned what cannot be pickled, and stays in the process. This stands for it.
    Stays(Blob<'a>),
    /// It has raised this.
    Failed(Blob<'a>),
    /// It asks to be run again.
    Again,
}

/// From the thread: how the next tasks of a frame have ended, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results<'a> {
    /// The number of the frame.
    pub frame: u32,
    /// For how long each of these tasks has run on average, in nanoseconds.
    pub took: u64,
    /// The ends.
    #[serde(borrow)]
    pub ended: Vec<Ended<'a>>,
    /// What nothing in this process reads any more, as often as the client has named it.
    pub given_back: Vec<Range>,
    /// What the client records of these runs: of each, or nothing.
    #[serde(borrow)]
    pub runs: Vec<Run<'a>>,
}

/// What a client records of a run, besides its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run<'a> {
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended.
    pub stop: u64,
    /// A pickle of what else there is to tell.
    #[serde(with = "serde_bytes")]
    pub about: &'a [u8],
}
