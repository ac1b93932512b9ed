//! How the tasks of one thread have ended, until the client is told. It is told of many at once.
//!
//! The thread adds the ends of its tasks. The client may ask the main thread to send them, say while the thread is in the
//! middle of a long task. No thread sends while it holds the GIL, since the client may take a while to read.

use azolla_process::line::{Line, LineError};
use azolla_process::message::{Blob, Bytes, Ended, Results};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
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
    /// The number of the frame whose tasks these are.
    frame: u32,
    ends: Vec<End>,
    /// The pickles of all ends, one after the other.
    pickles: Vec<u8>,
    /// When the first of these tasks ended.
    since: Option<Instant>,
    /// For how long these tasks have run, all together.
    ran: Duration,
}

/// How a task has ended. The pickles of those that are held back lie side by side, so these know their lengths alone.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<T = usize> {
    /// With this result.
    Done(T),
    /// With this error.
    Failed(T),
    /// It asks to be run again.
    Again,
}

impl<T> End<T> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> End<U> {
        match self {
            Self::Done(pickle) => End::Done(f(pickle)),
            Self::Failed(pickle) => End::Failed(f(pickle)),
            Self::Again => End::Again,
        }
    }
}

impl<'a> From<End<&'a [u8]>> for Ended<'a> {
    fn from(end: End<&'a [u8]>) -> Self {
        let blob = |pickle| Blob { pickle: Bytes::Here(pickle), buffers: Vec::new() };
        match end {
            End::Done(pickle) => Self::Done(blob(pickle)),
            End::Failed(pickle) => Self::Failed(blob(pickle)),
            End::Again => Self::Again,
        }
    }
}

impl Answers {
    pub(super) fn new(line: Line) -> Self {
        Self(Mutex::new(Held {
            line,
            frame: 0,
            ends: Vec::new(),
            pickles: Vec::new(),
            since: None,
            ran: Duration::ZERO,
        }))
    }

    /// Adds the end of a task of this frame that ran for so long. Sends all ends if it is time to.
    pub(super) fn add(
        &self,
        py: Python<'_>,
        frame: u32,
        end: End<&[u8]>,
        ran: Duration,
    ) -> Result<(), LineError> {
        let now = Instant::now();
        let held = match self.0.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => None, // the main thread is sending
        };
        if let Some(mut held) = held
            && !held.is_full_with(end, now, ran)
        {
            held.keep(frame, end, now, ran);
            return Ok(());
        }
        py.detach(|| {
            let mut held = self.held();
            if held.is_full_with(end, now, ran) {
                held.send_with(frame, end, ran)
            } else {
                held.keep(frame, end, now, ran);
                Ok(())
            }
        })
    }

    /// Sends all ends that are held back. The calling thread does not hold the GIL.
    pub(super) fn send(&self) -> Result<(), LineError> {
        let mut held = self.held();
        if held.ends.is_empty() { Ok(()) } else { held.send(None) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Returns true if it is time to send what is held back, together with the end of a task that ran for so long. If that
    /// was long, so will be the wait for the next end.
    fn is_full_with(&self, end: End<&[u8]>, now: Instant, ran: Duration) -> bool {
        let more = match end {
            End::Done(pickle) | End::Failed(pickle) => pickle.len(),
            End::Again => 0,
        };
        let held_for = self.since.map_or(Duration::ZERO, |since| now.duration_since(since));
        self.pickles.len() + more >= BYTES || held_for.max(ran) >= TIME
    }

    fn keep(&mut self, frame: u32, end: End<&[u8]>, now: Instant, ran: Duration) {
        self.frame = frame;
        self.ran += ran;
        self.since.get_or_insert(now);
        let pickles = &mut self.pickles;
        let kept = end.map(|pickle| {
            pickles.extend_from_slice(pickle);
            pickle.len()
        });
        self.ends.push(kept);
    }

    fn send_with(&mut self, frame: u32, end: End<&[u8]>, ran: Duration) -> Result<(), LineError> {
        self.frame = frame;
        self.ran += ran;
        self.send(Some(end))
    }

    /// Sends what is held back, and this end behind it.
    fn send(&mut self, last: Option<End<&[u8]>>) -> Result<(), LineError> {
        let mut left = self.pickles.as_slice();
        let mut next = |length| {
            let (pickle, others) = left.split_at(length);
            left = others;
            pickle
        };
        let mut ended: Vec<_> =
            self.ends.iter().map(|end| Ended::from(end.map(&mut next))).collect();
        ended.extend(last.map(Ended::from));
        let took = self.ran.as_nanos() / ended.len().max(1) as u128;
        let took = u64::try_from(took).unwrap_or(u64::MAX).max(1);
        let results = Results { frame: self.frame, took, ended, given_back: Vec::new() };
        // If the client is not there to read, the thread learns it when it waits for more tasks.
        let sent = self.line.send(&results).map(|_| ());
        self.ends.clear();
        self.pickles.clear();
        (self.since, self.ran) = (None, Duration::ZERO);
        sent
    }
}
