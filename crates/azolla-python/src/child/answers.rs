//! What one thread says to the client: how its tasks have ended, of many at once, and what a task asks.
//!
//! The thread adds the ends of its tasks. The client may ask the main thread to send them, say while the thread is in the
//! middle of a long task. No thread sends while it holds the GIL, since the client may take a while to read.

use super::process::Memory;
use super::records::Run;
use super::upstream;
use azolla_process::line::{Line, LineError};
use azolla_process::message::{Blob, Bytes, Ended, Range, Results};
use azolla_process::request::{Request, Said};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How many bytes are held back at most.
const BYTES: usize = 32 * 1024;

/// For how long an end is held back while others follow.
const TIME: Duration = Duration::from_micros(200);

/// The ends of one thread's tasks.
#[derive(Debug)]
pub(super) struct Answers(Mutex<Held>);

#[derive(Debug)]
struct Held {
    line: Line,
    memory: Arc<Memory>,
    /// The number of the frame whose tasks these are.
    frame: u32,
    ends: Vec<End<Kept>>,
    /// The pickles of all ends that travel in the message, one after the other.
    pickles: Vec<u8>,
    /// The tasks of the futures in the results, with the places of the ends.
    futures: Vec<(u32, u64)>,
    /// What the client records of these runs.
    runs: Vec<Run>,
    /// When the first of these tasks ended.
    since: Option<Instant>,
    /// For how long these tasks have run, all together.
    ran: Duration,
}

/// How a task has ended.
#[derive(Clone, Debug)]
pub(super) enum End<T> {
    /// With this result.
    Done(T),
    /// With a result that stays in the process. This stands for it.
    Stays(T),
    /// With this error.
    Failed(T),
    /// It asks to be run again.
    Again,
}

/// What is told of a task besides its end.
#[derive(Debug, Default)]
pub(super) struct Besides {
    /// The tasks of the futures in its result.
    pub(super) futures: Vec<u64>,
    /// Its run, if the client records that.
    pub(super) run: Option<Run>,
}

/// A result or an error that is held back. The pickles lie side by side, so this knows the length alone; or the pickle lies
/// in the arena.
#[derive(Debug)]
struct Kept {
    pickle: Result<usize, Range>,
    buffers: Vec<Range>,
}

impl<T> End<T> {
    /// Returns true if the task has a result.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Stays(_))
    }

    fn map<U>(self, f: impl FnOnce(T) -> U) -> End<U> {
        match self {
            Self::Done(blob) => End::Done(f(blob)),
            Self::Stays(blob) => End::Stays(f(blob)),
            Self::Failed(blob) => End::Failed(f(blob)),
            Self::Again => End::Again,
        }
    }
}

impl<'a> From<End<Blob<'a>>> for Ended<'a> {
    fn from(end: End<Blob<'a>>) -> Self {
        match end {
            End::Done(blob) => Self::Done(blob),
            End::Stays(blob) => Self::Stays(blob),
            End::Failed(blob) => Self::Failed(blob),
            End::Again => Self::Again,
        }
    }
}

impl Answers {
    pub(super) fn new(line: Line, memory: Arc<Memory>) -> Self {
        Self(Mutex::new(Held {
            line,
            memory,
            frame: 0,
            ends: Vec::new(),
            pickles: Vec::new(),
            futures: Vec::new(),
            runs: Vec::new(),
            since: None,
            ran: Duration::ZERO,
        }))
    }

    /// Adds the end of a task of this frame that ran for so long. Sends all ends if it is time to. Those behind the last
    /// task of the frame are sent when the thread rests, which it does at once: by then it has let go of the task's data too.
    pub(super) fn add(
        &self,
        py: Python<'_>,
        frame: u32,
        end: End<Blob<'_>>,
        besides: Besides,
        ran: Duration,
        is_last: bool,
    ) -> Result<(), LineError> {
        let now = Instant::now();
        let held = match self.0.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => None, // the main thread is sending
        };
        if let Some(mut held) = held
            && (is_last || !held.is_full_with(&end, now, ran))
        {
            held.note(besides);
            held.keep(frame, end, now, ran);
            return Ok(());
        }
        py.detach(|| {
            let mut held = self.held();
            held.note(besides);
            if held.is_full_with(&end, now, ran) {
                held.send_with(frame, end, ran)
            } else {
                held.keep(frame, end, now, ran);
                Ok(())
            }
        })
    }

    /// Sends all ends that are held back. The calling thread does not hold the GIL.
    pub(super) fn send(&self) -> Result<(), LineError> {
        self.held().send(None, None)
    }

    /// Sends what the task at hand asks, behind all ends. The calling thread does not hold the GIL.
    pub(super) fn ask(&self, request: Request<'_>) -> Result<(), LineError> {
        self.held().send(None, Some(request))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Returns true if it is time to send what is held back, together with the end of a task that ran for so long. If that
    /// was long, so will be the wait for the next end.
    fn is_full_with(&self, end: &End<Blob<'_>>, now: Instant, ran: Duration) -> bool {
        let more = match end {
            End::Done(Blob { pickle: Bytes::Here(pickle), .. })
            | End::Stays(Blob { pickle: Bytes::Here(pickle), .. })
            | End::Failed(Blob { pickle: Bytes::Here(pickle), .. }) => pickle.len(),
            _ => 0,
        };
        let held_for = self.since.map_or(Duration::ZERO, |since| now.duration_since(since));
        self.pickles.len() + more >= BYTES || held_for.max(ran) >= TIME
    }

    fn keep(&mut self, frame: u32, end: End<Blob<'_>>, now: Instant, ran: Duration) {
        self.frame = frame;
        self.ran += ran;
        self.since.get_or_insert(now);
        let pickles = &mut self.pickles;
        let kept = end.map(|Blob { pickle, buffers }| match pickle {
            Bytes::Here(pickle) => {
                pickles.extend_from_slice(pickle);
                Kept { pickle: Ok(pickle.len()), buffers }
            }
            Bytes::There(range) => Kept { pickle: Err(range), buffers },
        });
        self.ends.push(kept);
    }

    fn send_with(
        &mut self,
        frame: u32,
        end: End<Blob<'_>>,
        ran: Duration,
    ) -> Result<(), LineError> {
        self.frame = frame;
        self.ran += ran;
        self.send(Some(end), None)
    }

    /// Notes what is told besides the next end.
    fn note(&mut self, Besides { futures, run }: Besides) {
        let place = self.ends.len() as u32;
        self.futures.extend(futures.into_iter().map(|task| (place, task)));
        self.runs.extend(run);
    }

    /// Sends what is held back, this end behind it, and what the task at hand asks.
    fn send(
        &mut self,
        last: Option<End<Blob<'_>>>,
        asks: Option<Request<'_>>,
    ) -> Result<(), LineError> {
        if self.ends.is_empty() && last.is_none() && asks.is_none() {
            // The client hears this line only while tasks run.
            return Ok(());
        }
        let (released, forgotten) = (upstream::released(), upstream::forgotten());
        let mut left = self.pickles.as_slice();
        let mut next = |Kept { pickle, buffers }: Kept| {
            let pickle = match pickle {
                Ok(length) => {
                    let (pickle, others) = left.split_at(length);
                    left = others;
                    Bytes::Here(pickle)
                }
                Err(range) => Bytes::There(range),
            };
            Blob { pickle, buffers }
        };
        let mut ended: Vec<_> =
            self.ends.drain(..).map(|end| Ended::from(end.map(&mut next))).collect();
        ended.extend(last.map(Ended::from));
        let took = self.ran.as_nanos() / ended.len().max(1) as u128;
        let took = u64::try_from(took).unwrap_or(u64::MAX).max(1);
        let given_back = self.memory.arenas.take_given_back();
        let runs = self.runs.iter().map(Run::message).collect();
        let results = Results { frame: self.frame, took, ended, given_back, runs };
        let is_something = !results.ended.is_empty() || !results.given_back.is_empty();
        let ended = Some(results).filter(|_| is_something);
        let futures = std::mem::take(&mut self.futures);
        let said = Said { ended, futures, released, forgotten, asks };
        // If the client is not there to read, the thread learns it when it waits for more tasks.
        let sent = self.line.send(&said).map(|_| ());
        self.pickles.clear();
        self.runs.clear();
        (self.since, self.ran) = (None, Duration::ZERO);
        sent
    }
}
