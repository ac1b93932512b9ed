//! A bounded, lossy stream of what happens, for whoever wants to watch.
//!
//! Nobody waits for an observer: what does not fit is dropped and counted. While nobody observes,
//! an observation costs one look at a flag.

use super::header::{Header, Status};
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU8, AtomicU64, Ordering};
use azolla_core::{BranchId, Key, Lineage, Scheduler, TaskId};
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
        /// What it is found by, if it has a key.
        key: Option<Key>,
    },
    /// All its inputs are there.
    Ready,
    /// It has begun to run, or to be polled once more.
    Begun {
        /// Where.
        worker: u32,
        /// Where it comes from.
        origin: Origin,
    },
    /// It waits, and lends its slot.
    Parked {
        /// Where.
        worker: u32,
    },
    /// It goes on without a slot.
    Seceded {
        /// Where.
        worker: u32,
    },
    /// It goes on, with a slot.
    Resumed {
        /// Where.
        worker: u32,
    },
    /// It goes on without a worker, as async work does, or waits to be polled once more.
    Detached {
        /// Where it has run so far.
        worker: u32,
    },
    /// It has failed, and is to be run again.
    Again {
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
    /// It had failed, and is to be run again.
    Retried,
    /// Nobody wants it any more, and the engine has let go of it.
    Dropped,
}

/// Where a task comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it stands in the tree of growth.
    pub lineage: Lineage,
    /// The branch in which it is counted.
    pub branch: BranchId,
    /// How many tasks of its kind this one stands for: it is one of so many.
    pub stands_for: u32,
}

/// The engine's end of the streams.
pub(super) struct Observer {
    since: Instant,
    /// `OFF`, `RUNS` or `ALL`: the most that any stream wants.
    on: AtomicU8,
    streams: Mutex<Vec<Weak<Stream>>>,
    /// How many short tasks were left out.
    left_out: AtomicU64,
}

const OFF: u8 = 0;
const RUNS: u8 = 1;
const ALL: u8 = 2;

/// Of short tasks one of so many is observed by those who observe runs.
const SAMPLE: u32 = 64;

struct Stream {
    queue: ArrayQueue<Observation>,
    dropped: AtomicU64,
    wants: u8,
    keeps: Keeps,
}

/// What a stream keeps that nobody has taken from for too long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// What came first.
    First,
    /// What came last.
    Last,
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

impl Stream {
    fn push(&self, observation: Observation) {
        let fits = match self.keeps {
            Keeps::First => self.queue.push(observation).is_ok(),
            Keeps::Last => self.queue.force_push(observation).is_none(),
        };
        if !fits {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer {
    pub(super) fn new() -> Self {
        Self {
            since: crate::primitives::now(),
            on: AtomicU8::new(OFF),
            streams: Mutex::new(Vec::new()),
            left_out: AtomicU64::new(0),
        }
    }

    /// Since the engine was started.
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, capacity: usize, all: bool, keeps: Keeps) -> Observations {
        let queue = ArrayQueue::new(capacity.max(1));
        let wants = if all { ALL } else { RUNS };
        let stream = Arc::new(Stream { queue, dropped: AtomicU64::new(0), wants, keeps });
        let mut streams = self.streams.lock();
        streams.push(Arc::downgrade(&stream));
        self.on.fetch_max(wants, Ordering::Release);
        Observations(stream)
    }

    /// Whether anybody observes.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed) != OFF
    }

    /// Whether a task that is about to run is to be observed, and if so where it comes from. Called
    /// with the engine locked.
    pub(super) fn look_at<P: Clone>(
        &self,
        scheduler: &Scheduler<P>,
        task: TaskId,
    ) -> Option<Box<Origin>> {
        let (number, short) = scheduler.glance(task)?;
        let sampled = short && self.on.load(Ordering::Relaxed) == RUNS;
        if sampled && !number.is_multiple_of(u64::from(SAMPLE)) {
            // Nobody else counts meanwhile.
            let left_out = self.left_out.load(Ordering::Relaxed);
            self.left_out.store(left_out + 1, Ordering::Relaxed);
            return None;
        }
        self.look_closer(scheduler, task, if sampled { SAMPLE } else { 1 })
    }

    #[cold]
    fn look_closer<P: Clone>(
        &self,
        scheduler: &Scheduler<P>,
        task: TaskId,
        stands_for: u32,
    ) -> Option<Box<Origin>> {
        let view = scheduler.task(task)?;
        Some(Box::new(Origin { lineage: view.lineage, branch: view.branch, stands_for }))
    }

    /// Takes note of something, if anybody wants to know.
    pub(super) fn note(&self, task: TaskId, what: What) {
        if self.is_on() {
            self.tell(self.elapsed(), task, what, RUNS);
        }
    }

    /// As [`note`](Self::note), of something that happened a while ago.
    pub(super) fn note_at(&self, at: Duration, task: TaskId, what: What) {
        if self.is_on() {
            self.tell(at, task, what, RUNS);
        }
    }

    /// Takes note of an end that is about to show, but where a cancellation came first.
    pub(super) fn note_end(
        &self,
        task: TaskId,
        worker: Option<u32>,
        header: &Header,
        failed: bool,
    ) {
        if self.is_on() {
            let status = match header.status() {
                Status::Cancelled => Status::Cancelled,
                _ if failed => Status::Failed,
                _ => Status::Finished,
            };
            self.tell(self.elapsed(), task, What::Ended { worker, status }, RUNS);
        }
    }

    /// Takes note of something that only those want to know who observe everything.
    pub(super) fn note_all(&self, task: TaskId, what: What) {
        if self.on.load(Ordering::Relaxed) == ALL {
            self.tell(self.elapsed(), task, what, ALL);
        }
    }

    #[cold]
    fn tell(&self, at: Duration, task: TaskId, what: What, wanted_by: u8) {
        let observation = Observation { at, task, what };
        let mut streams = self.streams.lock();
        let before = streams.len();
        streams.retain(|stream| match stream.upgrade() {
            Some(stream) => {
                if stream.wants >= wanted_by {
                    stream.push(observation);
                }
                true
            }
            None => false,
        });
        if streams.len() < before {
            let wants = streams.iter().filter_map(Weak::upgrade).map(|stream| stream.wants);
            self.on.store(wants.max().unwrap_or(OFF), Ordering::Release);
        }
    }
}
