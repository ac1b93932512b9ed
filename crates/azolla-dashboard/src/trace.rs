//! What was remembered as a trace in the Trace Event Format, which Perfetto and chrome://tracing
//! open: slots as tracks, and arrows from the task that grew another one to that.

use crate::recorder::{Recorder, Run};
use crate::snapshot::{id, row, shortened};
use azolla::watch::Overview;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

pub(crate) fn trace(recorder: &Recorder, overview: &Overview, client: &str) -> String {
    let open = recorder.open().map(|run| Run { ended: overview.at.max(run.begun), ..*run });
    let runs: Vec<Run> = recorder.runs.iter().copied().chain(open).collect();
    let mut events = vec![
        json!({"ph": "M", "pid": 1, "tid": 0, "name": "process_name", "args": {"name": client}}),
    ];
    let tracks: BTreeSet<i32> = runs.iter().map(|run| run.slot).collect();
    for slot in tracks {
        let name = if slot < 0 { format!("off slot {}", -slot) } else { format!("slot {slot}") };
        for (what, args) in [
            ("thread_name", json!({ "name": name })),
            ("thread_sort_index", json!({ "sort_index": track(slot) })),
        ] {
            events
                .push(json!({"ph": "M", "pid": 1, "tid": track(slot), "name": what, "args": args}));
        }
    }
    let mut stretches: HashMap<u64, Vec<&Run>> = HashMap::new();
    for run in &runs {
        stretches.entry(run.origin.lineage.number).or_default().push(run);
    }
    let mut drawn = std::collections::HashSet::new();
    for run in &runs {
        events.push(complete(run, overview));
        let parent = stretches.get(&run.origin.lineage.parent);
        if let Some(parent) = parent
            && drawn.insert(run.origin.lineage.number)
        {
            events.extend(arrow(parent, run).into_iter().flatten());
        }
    }
    json!({ "traceEvents": events, "displayTimeUnit": "ms" }).to_string()
}

/// The track of a slot; those of async work come after.
fn track(slot: i32) -> i32 {
    const ASYNC: i32 = 1_000_000;
    if slot < 0 { ASYNC - slot } else { slot }
}

fn microseconds(at: Duration) -> f64 {
    at.as_nanos() as f64 / 1e3
}

fn complete(run: &Run, overview: &Overview) -> Value {
    let branch = overview.branches.get(run.origin.branch.0 as usize);
    let name = branch.map_or(String::from("?"), |branch| shortened(&branch.name));
    let lineage = run.origin.lineage;
    json!({
        "ph": "X", "pid": 1, "tid": track(run.slot), "name": name, "cat": row(run).5,
        "ts": microseconds(run.begun),
        "dur": microseconds(run.ended.saturating_sub(run.begun)),
        "args": {
            "task": id(run.task), "number": lineage.number, "parent": lineage.parent,
            "depth": lineage.depth, "stands_for": run.origin.stands_for,
        },
    })
}

/// From the stretch of the parent in which it must have submitted the child: the last that had
/// begun by then.
fn arrow(parent: &[&Run], child: &Run) -> Option<[Value; 2]> {
    let from = parent.iter().rev().find(|run| run.begun <= child.begun)?;
    let at = child.begun.min(from.ended);
    let number = child.origin.lineage.number;
    Some([
        json!({"ph": "s", "pid": 1, "tid": track(from.slot), "name": "grew", "cat": "growth", "id": number,
               "ts": microseconds(at)}),
        json!({"ph": "f", "bp": "e", "pid": 1, "tid": track(child.slot), "name": "grew", "cat": "growth",
               "id": number, "ts": microseconds(child.begun)}),
    ])
}
