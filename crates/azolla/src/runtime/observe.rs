//! A bounded, lossy stream of what happens to tasks.
//!
//! No task waits for an observer: an observation that does not fit is dropped and counted. While
//! there is no stream, an observation costs one load of a flag.

use super::header::{Header, Status};
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU8, AtomicU64, Ordering};
use azolla_core::{BranchId, Key, Lineage, Scheduler, TaskId};
use crossbeam_queue::ArrayQueue;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// One thing that happened to one task.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The time since the engine was started.
    pub at: Duration,
    /// The task.
    pub task: TaskId,
    /// What happened.
    pub what: What,
}

/// What can happen to a task. Workers are known by [`Worker::number`](super::Worker::number).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The task was submitted, by the task `parent` if it was submitted inside one.
    Submitted {
        /// The task that submitted it.
        parent: Option<TaskId>,
        /// The key to find it by, if it has one.
        key: Option<Key>,
    },
    /// All inputs of the task are there.
    Ready,
    /// The task has begun to run, or to be polled once more.
    Begun {
        /// Where.
        worker: u32,
        /// Where the task comes from.
        origin: Origin,
    },
    /// The task waits and lends its slot.
    Parked {
        /// Where.
        worker: u32,
    },
    /// The task goes on without a slot.
    Seceded {
        /// Where.
        worker: u32,
    },
    /// The task goes on with a slot.
    Resumed {
        /// Where.
        worker: u32,
    },
    /// The task goes on without a worker, as async work does, or waits to be polled once more.
    Detached {
        /// The worker that it ran on so far.
        worker: u32,
    },
    /// The task has failed, and will run again.
    Again {
        /// Where.
        worker: u32,
    },
    /// The task has ended, or was cancelled.
    Ended {
        /// The worker, if the task ran to its end on one.
        worker: Option<u32>,
        /// How it ended.
        status: Status,
    },
    /// The task had failed, and will run again since a user retried it.
    Retried,
    /// The task is not wanted any more, and the engine has let go of it.
    Dropped,
}

/// Where a task comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The place of the task in the tree of growth.
    pub lineage: Lineage,
    /// The branch in which the task is counted.
    pub branch: BranchId,
    /// The number of tasks that this one stands for, if only one in so many is observed; else 1.
    pub stands_for: u32,
}

/// The engine's end of the streams.
pub(super) struct Observer {
    since: Instant,
    /// `OFF`, `RUNS` or `ALL`: the most that a stream wants.
    on: AtomicU8,
    streams: Mutex<Vec<Weak<Stream>>>,
    /// The number of short tasks that were left out.
    left_out: AtomicU64,
}

const OFF: u8 = 0;
const RUNS: u8 = 1;
const ALL: u8 = 2;

/// Streams that want only runs observe one short task of so many.
const SAMPLE: u32 = 64;

struct Stream {
    queue: ArrayQueue<Observation>,
    dropped: AtomicU64,
    wants: u8,
    keeps: Keeps,
}

/// What a stream keeps when it is full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// The first observations.
    First,
    /// The last observations.
    Last,
}

/// The watcher's end of a stream. Dropping it ends the observation.
pub struct Observations(Arc<Stream>);

impl Observations {
    /// Takes all observations since the last call.
    pub fn take(&self) -> Vec<Observation> {
        std::iter::from_fn(|| self.0.queue.pop()).collect()
    }

    /// The number of observations that did not fit.
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

    /// The time since the engine was started.
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

    /// Returns true if there is a stream.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed) != OFF
    }

    /// If a task that is about to run shall be observed, returns where it comes from. Called with
    /// the engine locked.
    pub(super) fn look_at<P: Clone>(
        &self,
        scheduler: &Scheduler<P>,
        task: TaskId,
    ) -> Option<Box<Origin>> {
        let (number, short) = scheduler.glance(task)?;
        let sampled = short && self.on.load(Ordering::Relaxed) == RUNS;
        if sampled && !number.is_multiple_of(u64::from(SAMPLE)) {
            // Only the thread that holds the engine's lock counts, so this needs no
            // read-modify-write.
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

    /// Notes something, if a stream wants it.
    pub(super) fn note(&self, task: TaskId, what: What) {
        if self.is_on() {
            self.tell(self.elapsed(), task, what, RUNS);
        }
    }

    /// Notes something that happened at this time.
    pub(super) fn note_at(&self, at: Duration, task: TaskId, what: What) {
        if self.is_on() {
            self.tell(at, task, what, RUNS);
        }
    }

    /// Notes an end that is about to show. If a cancellation came first, notes that.
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

    /// Notes something that only streams of everything want.
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
