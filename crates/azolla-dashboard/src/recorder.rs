//! What the dashboard remembers: the latest runs of tasks, how the numbers went, and the errors.
//!
//! It observes only while somebody looks. What it keeps is bounded; what it let go of is counted.

use crate::process::{Process, Usage};
use azolla::runtime::{Observation, Observations, Origin, Overview, Status, TaskInfo, Watch, What};
use azolla_core::TaskId;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The most runs that are remembered.
const RUNS: usize = 20_000;
/// The most observations that may wait to be taken, four times a second.
const CAPACITY: usize = 1 << 16;
/// How many errors are remembered, and how much of the text of each.
const ERRORS: usize = 100;
const ERROR_TEXT: usize = 20_000;
/// How many moments of the numbers are remembered.
const MOMENTS: usize = 1_200;

/// How a run, or a part of one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// It goes on.
    Running,
    Finished,
    Failed,
    Cancelled,
    /// It failed, and ran again.
    Retried,
    /// It lent its slot, and waited.
    Waiting,
    /// It gave up its worker, as async work does.
    Detached,
    /// How it ended was not seen.
    Unknown,
}

/// A stretch of time for which a task held a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Counts the runs, in the order in which they ended.
    pub(crate) sequence: u64,
    /// The lowest slot that was not taken.
    pub(crate) slot: u32,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    pub(crate) end: End,
    pub(crate) task: TaskId,
    pub(crate) origin: Origin,
}

/// An error, in words.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// The task's id.
    pub(crate) task: String,
    pub(crate) key: String,
    pub(crate) name: String,
    /// The traceback, or what there is; cut if it is very long.
    pub(crate) text: String,
}

/// How much there was at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Moment {
    /// Seconds since the client began.
    pub(crate) at: f64,
    pub(crate) live: u64,
    pub(crate) ready: usize,
    pub(crate) busy: usize,
    pub(crate) parked: usize,
    pub(crate) settled: u64,
    #[serde(flatten)]
    pub(crate) usage: Usage,
}

#[derive(Default)]
pub(crate) struct Recorder {
    observations: Option<Observations>,
    /// Of observations that have ended before.
    dropped_before: u64,
    dropped: u64,
    /// By worker: what it runs.
    open: HashMap<u32, Run>,
    /// By slot: which worker holds it.
    slots: Vec<Option<u32>>,
    /// Where tasks that wait come from.
    waiting: HashMap<TaskId, Origin>,
    pub(crate) runs: VecDeque<Run>,
    sequence: u64,
    pub(crate) errors: VecDeque<Failure>,
    errors_seen: usize,
    pub(crate) moments: VecDeque<Moment>,
    process: Process,
}

impl Recorder {
    /// Takes in what has happened since the last time.
    pub(crate) fn look(&mut self, watch: &dyn Watch) -> Overview {
        let observations = self.observations.get_or_insert_with(|| watch.observe_runs(CAPACITY));
        let mut seen = observations.take();
        let dropped = self.dropped_before + observations.dropped();
        if dropped > self.dropped {
            self.dropped = dropped;
            self.lose_open();
        }
        seen.sort_by_key(|seen| seen.at);
        for observation in seen {
            self.take(observation);
        }
        let overview = watch.overview();
        let moment = Moment {
            at: overview.at.as_secs_f64(),
            live: overview.counts.live,
            ready: overview.counts.ready + overview.counts.claimed,
            busy: overview.counts.busy,
            parked: overview.counts.parked,
            settled: overview.counts.settled,
            usage: self.process.usage(),
        };
        bounded(&mut self.moments, moment, MOMENTS);
        overview
    }

    /// Looks no longer.
    pub(crate) fn look_away(&mut self) {
        if let Some(observations) = self.observations.take() {
            self.dropped_before += observations.dropped();
            self.lose_open();
        }
    }

    /// How many observations there was no room for.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many runs have been seen; the oldest may be forgotten.
    pub(crate) fn seen(&self) -> u64 {
        self.sequence
    }

    /// How many errors have been put into words.
    pub(crate) fn errors_seen(&self) -> usize {
        self.errors_seen
    }

    /// What goes on now.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Run> {
        self.open.values()
    }

    pub(crate) fn add_error(&mut self, task: &TaskInfo, text: &str) {
        let task_id = crate::snapshot::id(task.task);
        self.errors.retain(|error| error.task != task_id);
        let mut text = text.to_owned();
        if text.len() > ERROR_TEXT {
            let mut end = ERROR_TEXT;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let all = text.len();
            text.truncate(end);
            text.push_str(&format!("\n… cut here: {all} bytes in all"));
        }
        let key = crate::snapshot::shortened(&task.key);
        let name = crate::snapshot::shortened(&task.name);
        self.errors_seen += 1;
        bounded(&mut self.errors, Failure { task: task_id, key, name, text }, ERRORS);
    }

    fn take(&mut self, Observation { at, task, what }: Observation) {
        match what {
            What::Begun { worker, origin } => self.begin(worker, at, task, origin),
            What::Resumed { worker } => {
                if let Some(origin) = self.waiting.remove(&task) {
                    self.begin(worker, at, task, origin);
                }
            }
            What::Parked { worker } | What::Seceded { worker } => {
                if let Some(run) = self.end(worker, at, End::Waiting) {
                    self.waiting.insert(task, run.origin);
                }
            }
            What::Detached { worker } => drop(self.end(worker, at, End::Detached)),
            What::Again { worker } => drop(self.end(worker, at, End::Retried)),
            What::Ended { worker, status } => {
                self.waiting.remove(&task);
                let end = match status {
                    Status::Finished => End::Finished,
                    Status::Failed => End::Failed,
                    Status::Cancelled => End::Cancelled,
                    Status::Pending => End::Unknown,
                };
                if let Some(worker) = worker {
                    self.end(worker, at, end);
                }
            }
            What::Submitted { .. } | What::Ready | What::Retried | What::Dropped => {}
        }
    }

    fn begin(&mut self, worker: u32, begun: Duration, task: TaskId, origin: Origin) {
        self.end(worker, begun, End::Unknown);
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(worker);
        let (slot, end) = (slot as u32, End::Running);
        self.open.insert(worker, Run { sequence: 0, slot, begun, ended: begun, end, task, origin });
    }

    fn end(&mut self, worker: u32, ended: Duration, end: End) -> Option<Run> {
        let run = self.open.remove(&worker)?;
        self.slots[run.slot as usize] = None;
        self.sequence += 1;
        let run = Run { sequence: self.sequence, ended, end, ..run };
        bounded(&mut self.runs, run, RUNS);
        Some(run)
    }

    /// Ends may have been among what was dropped.
    fn lose_open(&mut self) {
        self.open.clear();
        self.slots.clear();
        self.waiting.clear();
    }
}

fn bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}
