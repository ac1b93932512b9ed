//! What the dashboard remembers: the latest runs of tasks, how the numbers went, and the errors.
//!
//! It observes only while a page or a recording watches. What it keeps is bounded, and what it drops is counted.

use crate::process::{Process, Usage};
use azolla::Status;
use azolla::watch::TaskId;
use azolla::watch::{Observation, Observations, Origin, Overview, TaskInfo, Watch, What};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// The most runs that are remembered.
const RUNS: usize = 20_000;
/// The most observations that may wait to be taken, four times a second.
const CAPACITY: usize = 1 << 16;
/// The most tasks without a slot that are followed at once: a reader could not tell more lanes apart.
const LANES: usize = 64;
/// How many errors are remembered.
const ERRORS: usize = 100;
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
    /// It went on without a slot, as async work does, and what secedes.
    Detached,
    /// It had no slot, and has one again: to be polled, say, or for another attempt.
    Woken,
    /// How it ended was not seen.
    Unknown,
}

/// A stretch of time for which a task held a slot, or ran without one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Counts the runs, in the order in which they ended.
    pub(crate) sequence: u64,
    /// The lowest slot that was not taken; of what runs without one, the lowest lane: -1, -2 ...
    pub(crate) slot: i32,
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
    open: FxHashMap<u32, Run>,
    slots: Lanes,
    /// What runs without a slot.
    detached: FxHashMap<TaskId, Run>,
    lanes: Lanes,
    /// How much of that there was no lane for.
    no_lane: u64,
    /// Where tasks that wait come from.
    waiting: FxHashMap<TaskId, Origin>,
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

    /// How many stretches without a slot there was no lane for.
    pub(crate) fn no_lane(&self) -> u64 {
        self.no_lane
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
        self.open.values().chain(self.detached.values())
    }

    /// The task of this number, if a run of it is remembered.
    pub(crate) fn seen_as(&self, number: u64) -> Option<TaskId> {
        let mut runs = self.open().chain(self.runs.iter().rev());
        Some(runs.find(|run| run.origin.lineage.number == number)?.task)
    }

    pub(crate) fn add_error(&mut self, task: &TaskInfo, text: &str) {
        let task_id = crate::snapshot::id(task.task);
        self.errors.retain(|error| error.task != task_id);
        let text = crate::snapshot::cut(text);
        let key = crate::snapshot::shortened(&task.key);
        let name = crate::snapshot::shortened(&task.name);
        self.errors_seen += 1;
        bounded(&mut self.errors, Failure { task: task_id, key, name, text }, ERRORS);
    }

    fn take(&mut self, Observation { at, task, what }: Observation) {
        match what {
            What::Begun { worker, origin } => self.begin(worker, at, task, origin),
            What::Resumed { worker } => {
                let seceded = self.detached.get(&task).map(|run| run.origin);
                if let Some(origin) = self.waiting.remove(&task).or(seceded) {
                    self.begin(worker, at, task, origin);
                }
            }
            What::Parked { worker } => {
                if let Some(run) = self.end(worker, at, End::Waiting) {
                    self.waiting.insert(task, run.origin);
                }
            }
            What::Detached { worker } | What::Seceded { worker } => {
                if let Some(run) = self.end(worker, at, End::Detached) {
                    self.detach(task, at, run);
                }
            }
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
                self.end_detached(task, at, end);
            }
            What::Submitted { .. } | What::Ready | What::Retried | What::Dropped => {}
        }
    }

    fn begin(&mut self, worker: u32, begun: Duration, task: TaskId, origin: Origin) {
        self.end(worker, begun, End::Unknown);
        self.end_detached(task, begun, End::Woken);
        let (slot, end) = (self.slots.take() as i32, End::Running);
        self.open.insert(worker, Run { sequence: 0, slot, begun, ended: begun, end, task, origin });
    }

    fn end(&mut self, worker: u32, ended: Duration, end: End) -> Option<Run> {
        let run = self.open.remove(&worker)?;
        self.slots.give_back(run.slot as usize);
        self.keep(run, ended, end);
        Some(run)
    }

    /// A task goes on without its slot.
    fn detach(&mut self, task: TaskId, begun: Duration, run: Run) {
        if self.detached.len() == LANES {
            self.no_lane += 1;
            return;
        }
        let slot = -1 - self.lanes.take() as i32;
        self.detached.insert(task, Run { slot, begun, ended: begun, end: End::Running, ..run });
    }

    fn end_detached(&mut self, task: TaskId, ended: Duration, end: End) {
        if let Some(run) = self.detached.remove(&task) {
            self.lanes.give_back((-1 - run.slot) as usize);
            self.keep(run, ended, end);
        }
    }

    fn keep(&mut self, run: Run, ended: Duration, end: End) {
        self.sequence += 1;
        bounded(&mut self.runs, Run { sequence: self.sequence, ended, end, ..run }, RUNS);
    }

    /// Ends may have been among what was dropped.
    fn lose_open(&mut self) {
        self.open.clear();
        self.detached.clear();
        self.waiting.clear();
        (self.slots, self.lanes) = Default::default();
    }
}

/// Which of a row of lanes are taken.
#[derive(Default)]
struct Lanes(Vec<bool>);

impl Lanes {
    /// The lowest that is free.
    fn take(&mut self) -> usize {
        let lane = self.0.iter().position(|taken| !taken).unwrap_or(self.0.len());
        if lane == self.0.len() {
            self.0.push(false);
        }
        self.0[lane] = true;
        lane
    }

    fn give_back(&mut self, lane: usize) {
        self.0[lane] = false;
    }
}

fn bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use azolla::watch::{BranchId, Lineage};

    fn begun(worker: u32, number: u64) -> What {
        let lineage = Lineage { number, root: number, parent: 0, depth: 0 };
        What::Begun { worker, origin: Origin { lineage, branch: BranchId(2), stands_for: 1 } }
    }

    fn task(number: u64) -> TaskId {
        TaskId::from_bits(number << 32 | number).unwrap()
    }

    fn recorded(seen: &[(u64, u64, What)]) -> Recorder {
        let mut recorder = Recorder::default();
        for (at, number, what) in seen {
            let at = Duration::from_millis(*at);
            recorder.take(Observation { at, task: task(*number), what: *what });
        }
        recorder
    }

    fn rows(recorder: &Recorder) -> Vec<(i32, u128, u128, End)> {
        let row = |run: &Run| (run.slot, run.begun.as_millis(), run.ended.as_millis(), run.end);
        recorder.runs.iter().map(row).collect()
    }

    const FINISHED: Status = Status::Finished;

    #[test]
    fn runs_take_the_lowest_free_slot() {
        let recorder = recorded(&[
            (1, 1, begun(7, 1)),
            (2, 2, begun(3, 2)),
            (3, 1, What::Ended { worker: Some(7), status: FINISHED }),
            (4, 3, begun(9, 3)),
            (5, 3, What::Ended { worker: Some(9), status: Status::Failed }),
        ]);
        assert_eq!(rows(&recorder), [(0, 1, 3, End::Finished), (0, 4, 5, End::Failed)]);
        assert_eq!(recorder.open().map(|run| run.slot).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_wait_gives_the_slot_to_others() {
        let recorder = recorded(&[
            (1, 1, begun(0, 1)),
            (2, 1, What::Parked { worker: 0 }),
            (3, 2, begun(1, 2)),
            (4, 1, What::Resumed { worker: 0 }),
            (5, 1, What::Ended { worker: Some(0), status: FINISHED }),
        ]);
        assert_eq!(rows(&recorder), [(0, 1, 2, End::Waiting), (1, 4, 5, End::Finished)]);
    }

    #[test]
    fn async_work_has_lanes_of_its_own() {
        let recorder = recorded(&[
            (1, 1, begun(0, 1)),
            (2, 1, What::Detached { worker: 0 }),
            (3, 2, begun(0, 2)),
            (4, 2, What::Detached { worker: 0 }),
            (5, 1, What::Ended { worker: None, status: FINISHED }),
            (6, 2, begun(0, 2)),
        ]);
        let slots = [(0, 1, 2, End::Detached), (0, 3, 4, End::Detached)];
        let lanes = [(-1, 2, 5, End::Finished), (-2, 4, 6, End::Woken)];
        assert_eq!(rows(&recorder), [slots, lanes].concat());
    }

    #[test]
    fn what_secedes_leaves_its_slot_and_may_come_back() {
        let recorder = recorded(&[
            (1, 1, begun(0, 1)),
            (2, 1, What::Seceded { worker: 0 }),
            (3, 2, begun(1, 2)),
            (4, 1, What::Resumed { worker: 0 }),
            (5, 1, What::Ended { worker: Some(0), status: FINISHED }),
        ]);
        let rejoined = [(0, 1, 2, End::Detached), (-1, 2, 4, End::Woken), (1, 4, 5, End::Finished)];
        assert_eq!(rows(&recorder), rejoined);
    }

    #[test]
    fn async_work_without_end_is_counted_beyond_some() {
        let mut recorder = Recorder::default();
        for number in 1..=200 {
            let (at, task) = (Duration::from_millis(number), task(number));
            recorder.take(Observation { at, task, what: begun(0, number) });
            recorder.take(Observation { at, task, what: What::Detached { worker: 0 } });
        }
        assert_eq!((recorder.open().count(), recorder.no_lane()), (LANES, 200 - LANES as u64));
    }
}
