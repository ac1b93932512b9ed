//! What the page and other programs are told, as JSON. The forms are documented in docs/dashboard.md.

use crate::estimate::{Estimate, estimate};
use crate::groups::Groups;
use crate::process::Workers;
use crate::recorder::{End, Moment, Recorder, Run};
use azolla::watch::{Held, Kin, Overview, TaskInfo};
use azolla::watch::{State, TaskId};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::time::Duration;

/// The most characters of a key or a name that are told.
const TEXT: usize = 500;

/// A task's id in links and JSON: hexadecimal, and text, since JavaScript's numbers are too short.
pub(crate) fn id(task: TaskId) -> String {
    // Many at a time: by hand it takes a fifth of what formatting does.
    let bits = task.to_bits();
    let digits = (16 - bits.leading_zeros() / 4).max(1);
    let digit = |at: u32| char::from(b"0123456789abcdef"[(bits >> (4 * at) & 15) as usize]);
    (0..digits).rev().map(digit).collect()
}

/// The task that [`id`] has named.
pub(crate) fn parse_id(text: &str) -> Option<TaskId> {
    TaskId::from_bits(u64::from_str_radix(text, 16).ok()?)
}

/// User text, cut to a length that a page can bear.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The most bytes of an error's text that are remembered: what Rust cuts at 20,000, with the words that say so, is whole.
const ERROR_TEXT: usize = 20_100;

/// An error's text, cut before it is copied: one that is too long may be very long.
pub(crate) fn cut(text: &str) -> String {
    if text.len() <= ERROR_TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(ERROR_TEXT);
    format!("{}\n… cut here: {} bytes in all", &text[..end], text.len())
}

#[derive(Serialize)]
pub(crate) struct Snapshot {
    /// Seconds since the client began.
    at: f64,
    client: String,
    version: &'static str,
    slots: usize,
    closing: bool,
    counts: Counts,
    /// `[priority, tasks]`, highest first; a priority without end is text.
    queue: Vec<(String, usize)>,
    branches: Vec<Branch>,
    groups: Groups,
    estimate: Estimate,
    results: Results,
    runs: Runs,
    workers: Workers,
    now: Option<Moment>,
}

#[derive(Serialize)]
struct Counts {
    submitted: u64,
    settled: u64,
    live: u64,
    peak_live: u64,
    kept: usize,
    /// Results and errors that are kept.
    held: u64,
    waiting: u64,
    ready: usize,
    busy: usize,
    idle: usize,
    parked: usize,
    seceded: usize,
    detached: usize,
    workers: usize,
    finished: u64,
    failed: u64,
    cancelled: u64,
}

#[derive(Serialize)]
struct Branch {
    id: usize,
    parent: u32,
    name: String,
    submitted: u64,
    /// Of these: how many have grown from this branch or one that hangs on it.
    recursive: u64,
    finished: u64,
    failed: u64,
    cancelled: u64,
    /// Mean seconds that a task of this function has taken; unknown for a function that is polled.
    mean: Option<f64>,
}

#[derive(Serialize)]
struct Runs {
    seen: u64,
    kept: usize,
    dropped: u64,
    /// Too short to be shown each.
    left_out: u64,
    /// Async, with too many others at once to be shown each.
    no_lane: u64,
}

/// The results that are held: how many bytes, from a sample.
#[derive(Serialize)]
struct Results {
    /// About how many bytes all of those take whose size can be told; null: of none it can.
    bytes: Option<u64>,
    /// The share of those of which it can be told.
    known: f64,
    /// How many were looked at.
    looked_at: usize,
    /// True if these were all.
    all: bool,
}

impl Results {
    fn new(sample: Held, held: u64) -> Self {
        let Held { looked_at, known, bytes, all } = sample;
        let each = if looked_at == 0 { 0.0 } else { bytes as f64 / looked_at as f64 };
        let about = if all { bytes } else { (each * held as f64) as u64 };
        let share = if looked_at == 0 { 1.0 } else { known as f64 / looked_at as f64 };
        Self { bytes: (share > 0.0).then_some(about), known: share, looked_at, all }
    }
}

pub(crate) fn snapshot(
    overview: &Overview,
    held: Held,
    workers: Workers,
    groups: Groups,
    recorder: &Recorder,
    client: &str,
    closing: bool,
) -> Snapshot {
    let c = &overview.counts;
    let started = c.ready + c.claimed + c.busy + c.parked + c.seceded + c.detached;
    Snapshot {
        at: overview.at.as_secs_f64(),
        client: shortened(client),
        version: env!("CARGO_PKG_VERSION"),
        slots: overview.slots,
        closing,
        counts: Counts {
            submitted: c.submitted,
            settled: c.settled,
            live: c.live,
            peak_live: c.peak_live,
            kept: c.kept,
            held: (c.kept as u64).saturating_sub(c.live),
            waiting: c.live.saturating_sub(started as u64),
            ready: c.ready + c.claimed,
            busy: c.busy,
            idle: overview.slots.saturating_sub(c.busy),
            parked: c.parked,
            seceded: c.seceded,
            detached: c.detached,
            workers: c.workers,
            finished: c.settled.saturating_sub(c.failed + c.cancelled),
            failed: c.failed,
            cancelled: c.cancelled,
        },
        queue: overview.queue.iter().map(|(at, count)| (at.to_string(), *count)).collect(),
        branches: branches(overview),
        groups,
        estimate: estimate(overview),
        results: Results::new(held, (c.kept as u64).saturating_sub(c.live)),
        runs: Runs {
            seen: recorder.seen(),
            kept: recorder.runs.len(),
            dropped: recorder.dropped(),
            left_out: overview.left_out,
            no_lane: recorder.no_lane(),
        },
        workers,
        now: recorder.moments.back().copied(),
    }
}

fn branches(overview: &Overview) -> Vec<Branch> {
    let all = &overview.branches;
    let hangs_on = |mut branch: u32, on: u32| loop {
        if branch == on {
            return true;
        }
        if branch == 0 {
            return false;
        }
        branch = all[branch as usize].parent;
    };
    let told = all.iter().enumerate().skip(1).filter(|(_, branch)| branch.submitted() > 0);
    told.map(|(id, branch)| {
        let seen: u64 = branch.durations.by_power.iter().map(|count| u64::from(*count)).sum();
        let own = branch.grown_from.iter().filter(|grown| hangs_on(grown.from, id as u32));
        Branch {
            id,
            parent: branch.parent,
            name: shortened(&branch.name),
            submitted: branch.submitted(),
            recursive: own.map(|grown| grown.count).sum(),
            finished: branch.finished,
            failed: branch.failed,
            cancelled: branch.cancelled,
            mean: (seen > 0 && branch.durations.turns == 0)
                .then(|| branch.durations.total as f64 / seen as f64 * 1e-9),
        }
    })
    .collect()
}

/// A run as a row: sequence, slot (below 0: a lane of async work), begun and ended in µs, branch, end, number, parent's
/// number, for how many it stands, task.
type Row = (u64, i32, u64, u64, u32, &'static str, u64, u64, u32, String);

pub(crate) fn row(run: &Run) -> Row {
    let end = match run.end {
        End::Running => "running",
        End::Finished => "finished",
        End::Failed => "failed",
        End::Cancelled => "cancelled",
        End::Retried => "retried",
        End::Waiting => "waiting",
        End::Detached => "detached",
        End::Woken => "woken",
        End::Unknown => "unknown",
    };
    let (begun, ended) = (run.begun.as_micros() as u64, run.ended.as_micros() as u64);
    let origin = &run.origin;
    let (number, parent) = (origin.lineage.number, origin.lineage.parent);
    let stands_for = origin.stands_for;
    let branch = origin.branch.0;
    (run.sequence, run.slot, begun, ended, branch, end, number, parent, stands_for, id(run.task))
}

/// The runs after this one in the sequence, the oldest first, and so many at the most; then what
/// runs now.
pub(crate) fn rows(recorder: &Recorder, after: u64, most: usize) -> (Vec<Row>, Vec<Row>) {
    let first = recorder.runs.front().map_or(0, |run| run.sequence);
    let skipped = (after + 1).saturating_sub(first) as usize;
    let rows = recorder.runs.iter().skip(skipped).take(most).map(row).collect();
    (rows, recorder.open().map(row).collect())
}

#[derive(Serialize)]
pub(crate) struct Task {
    task: String,
    key: String,
    name: String,
    /// The arguments of its call, cut short; null once they are gone.
    arguments: Option<String>,
    /// For how long it has held a slot or run without one, in seconds, as far as that was seen; null if not.
    seconds: Option<f64>,
    span: Option<String>,
    state: &'static str,
    /// How many were submitted before it, counted from 1.
    number: u64,
    /// The number of the task that submitted it; 0 if none did.
    parent: u64,
    depth: u32,
    priority: String,
    branch: u32,
}

impl From<&TaskInfo> for Task {
    fn from(info: &TaskInfo) -> Self {
        let lineage = info.view.lineage;
        Self {
            task: id(info.task),
            key: shortened(&info.key),
            name: shortened(&info.name),
            arguments: info.arguments.as_deref().map(shortened),
            seconds: None,
            span: info.span.as_deref().map(shortened),
            state: match info.view.state {
                State::Claimed { .. } if info.running => "running",
                other => state(other),
            },
            number: lineage.number,
            parent: lineage.parent,
            depth: lineage.depth,
            priority: info.view.priority.number().to_string(),
            branch: info.view.branch.0,
        }
    }
}

/// Tasks for a list, each with how long it has run.
pub(crate) fn listed(found: &[TaskInfo], recorder: &Recorder) -> Vec<Task> {
    let now = recorder.moments.back().map_or(Duration::ZERO, |at| Duration::from_secs_f64(at.at));
    let mut ran: FxHashMap<TaskId, Duration> = FxHashMap::default();
    let wanted: FxHashSet<TaskId> = found.iter().map(|info| info.task).collect();
    for run in recorder.runs.iter().chain(recorder.open()) {
        if wanted.contains(&run.task) && run.end != End::Woken {
            let ended = if run.end == End::Running { now.max(run.begun) } else { run.ended };
            *ran.entry(run.task).or_default() += ended - run.begun;
        }
    }
    let seconds = |info: &TaskInfo| ran.get(&info.task).map(Duration::as_secs_f64);
    found.iter().map(|info| Task { seconds: seconds(info), ..Task::from(info) }).collect()
}

fn state(state: State) -> &'static str {
    match state {
        State::Waiting { .. } => "waiting for inputs",
        State::Ready | State::Claimed { .. } => "ready",
        State::Running { .. } => "running",
        State::Parked { .. } => "waiting, slot lent",
        State::Seceded { .. } => "running, seceded",
        State::Detached => "running, async",
        State::Suspended => "waiting, async",
        State::Done => "finished",
        State::Failed => "error",
        State::Cancelled => "cancelled",
    }
}

#[derive(Serialize)]
pub(crate) struct Details {
    #[serde(flatten)]
    task: Task,
    /// The task that submitted it, if it is kept.
    parent_task: Option<Task>,
    inputs: Vec<Task>,
    dependents: Vec<Task>,
    /// When it held a slot or ran as async work, as far as that was seen: begun and ended, in seconds, and how it
    /// ended.
    runs: Vec<(f64, f64, &'static str)>,
    error: Option<String>,
}

impl Details {
    /// Returns true if the task failed and its error is not known yet.
    pub(crate) fn lacks_error(&self) -> bool {
        self.task.state == "error" && self.error.is_none()
    }
}

pub(crate) fn details(
    info: &TaskInfo,
    parent: Option<&TaskInfo>,
    kin: &Kin,
    recorder: &Recorder,
) -> Details {
    let seen = recorder.runs.iter().chain(recorder.open()).filter(|run| run.task == info.task);
    let runs = seen.map(|run| {
        let row = row(run);
        (run.begun.as_secs_f64(), run.ended.as_secs_f64(), row.5)
    });
    let own = id(info.task);
    Details {
        task: Task::from(info),
        parent_task: parent.map(Task::from),
        inputs: kin.inputs.iter().map(Task::from).collect(),
        dependents: kin.dependents.iter().map(Task::from).collect(),
        runs: runs.collect(),
        error: recorder.errors.iter().find(|error| error.task == own).map(|e| e.text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_before_it_is_copied() {
        let long = "ä".repeat(1_000_000);
        let cut = cut(&long);
        assert!(cut.starts_with("ää") && cut.ends_with("… cut here: 2000000 bytes in all"));
        assert!(cut.capacity() < 3 * ERROR_TEXT);
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for bits in [1 << 32, 1 << 32 | 0xabc, u64::MAX, 0xf << 60] {
            let task = TaskId::from_bits(bits).unwrap();
            assert_eq!(id(task), format!("{bits:x}"));
            assert_eq!(parse_id(&id(task)), Some(task));
        }
        assert_eq!(parse_id("no id"), None);
    }
}
