//! What was remembered as a trace in the Trace Event Format, which Perfetto and chrome://tracing
//! open: slots as tracks, and arrows from the task that grew another one to that.

use crate::recorder::{Recorder, Run};
use crate::snapshot::{id, row, shortened};
use azolla::runtime::Overview;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

pub(crate) fn trace(recorder: &Recorder, overview: &Overview, client: &str) -> String {
    let open = recorder.open().map(|run| Run { ended: overview.at.max(run.begun), ..*run });
    let runs: Vec<Run> = recorder.runs.iter().copied().chain(open).collect();
    let mut events = vec![
        json!({"ph": "M", "pid": 1, "tid": 0, "name": "process_name", "args": {"name": client}}),
    ];
    let slots = runs.iter().map(|run| run.slot + 1).max().unwrap_or(0);
    for slot in 0..slots {
        let name = format!("slot {slot}");
        let args = json!({ "name": name });
        events.push(json!({"ph": "M", "pid": 1, "tid": slot, "name": "thread_name", "args": args}));
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

fn microseconds(at: Duration) -> f64 {
    at.as_nanos() as f64 / 1e3
}

fn complete(run: &Run, overview: &Overview) -> Value {
    let branch = overview.branches.get(run.origin.branch.0 as usize);
    let name = branch.map_or(String::from("?"), |branch| shortened(&branch.name));
    let lineage = run.origin.lineage;
    json!({
        "ph": "X", "pid": 1, "tid": run.slot, "name": name, "cat": row(run).5,
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
        json!({"ph": "s", "pid": 1, "tid": from.slot, "name": "grew", "cat": "growth", "id": number,
               "ts": microseconds(at)}),
        json!({"ph": "f", "bp": "e", "pid": 1, "tid": child.slot, "name": "grew", "cat": "growth",
               "id": number, "ts": microseconds(child.begun)}),
    ])
}
