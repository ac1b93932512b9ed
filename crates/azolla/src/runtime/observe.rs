//! A bounded, lossy stream of what happens, for whoever wants to watch.
//!
//! Nobody waits for an observer: what does not fit is dropped and counted. While nobody observes,
//! an observation costs one look at a flag.

use super::header::Status;
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicBool, AtomicU64, Ordering};
use azolla_core::TaskId;
use crossbeam_queue::ArrayQueue;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Something that happened to a task.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// When, since the engine was started.
    pub at: Duration,
    /// Which task.
    pub task: TaskId,
    /// What.
    pub what: What,
}

/// What can happen to a task. Workers are known by [`Worker::number`](super::Worker::number).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was submitted, by the task `parent` if it was in one.
    Submitted {
        /// The task that submitted it.
        parent: Option<TaskId>,
    },
    /// All its inputs are there.
    Ready,
    /// It has begun to run.
    Begun {
        /// Where.
        worker: u32,
    },
    /// It waits, and lends its slot.
    Parked {
        /// Where.
        worker: u32,
    },
    /// It goes on, with a slot.
    Resumed {
        /// Where.
        worker: u32,
    },
    /// It has ended, or was cancelled.
    Ended {
        /// Where, if it ran to its end on a worker.
        worker: Option<u32>,
        /// How.
        status: Status,
    },
}

/// The engine's end of the stream.
pub(super) struct Observer {
    since: Instant,
    on: AtomicBool,
    streams: Mutex<Vec<Weak<Stream>>>,
}

struct Stream {
    queue: ArrayQueue<Observation>,
    dropped: AtomicU64,
}

/// The watcher's end of the stream. Dropping it ends the observation.
pub struct Observations(Arc<Stream>);

impl Observations {
    /// Takes all that has been observed since the last time.
    pub fn take(&self) -> Vec<Observation> {
        std::iter::from_fn(|| self.0.queue.pop()).collect()
    }

    /// How many observations did not fit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Observer {
    pub(super) fn new() -> Self {
        Self {
            since: crate::primitives::now(),
            on: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn begin(&self, capacity: usize) -> Observations {
        let queue = ArrayQueue::new(capacity.max(1));
        let stream = Arc::new(Stream { queue, dropped: AtomicU64::new(0) });
        self.streams.lock().push(Arc::downgrade(&stream));
        self.on.store(true, Ordering::Release);
        Observations(stream)
    }

    /// Takes note of something, if anybody wants to know.
    pub(super) fn note(&self, task: TaskId, what: What) {
        if self.on.load(Ordering::Relaxed) {
            self.tell(Observation { at: self.since.elapsed(), task, what });
        }
    }

    #[cold]
    fn tell(&self, observation: Observation) {
        let mut streams = self.streams.lock();
        streams.retain(|stream| match stream.upgrade() {
            Some(stream) => {
                if stream.queue.push(observation).is_err() {
                    stream.dropped.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            None => false,
        });
        if streams.is_empty() {
            self.on.store(false, Ordering::Release);
        }
    }
}
