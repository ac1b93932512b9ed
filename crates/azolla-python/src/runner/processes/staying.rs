//! Where a task runs that needs results which cannot be pickled: in the process where they are.

use super::proxy::{Own, fail};
use crate::task::job::PyJob;
use crate::task::packed::PackedCall;
use azolla::runtime::Job;
use azolla_core::GroupId;

/// What a task's inputs leave of the processes.
enum Way {
    Any,
    One(GroupId),
    /// None, because of this exception.
    None(&'static str, String),
}

/// Returns true if the task may be run in the process of this group, for all that its inputs are.
pub(super) fn may_go(call: &PackedCall, group: GroupId) -> bool {
    match way(call) {
        Way::Any => true,
        Way::One(other) => other == group,
        Way::None(..) => false,
    }
}

/// If the current task needs what is in another process, it is sent there, or fails if it cannot run there. Returns true if
/// so.
pub(super) fn send_on(worker: &mut Own) -> bool {
    let Some(call) = worker.job().and_then(|job| job.packed()) else { return false };
    match way(&call) {
        Way::Any => return false,
        Way::One(group) if group == worker.group() => return false,
        Way::One(group) if worker.send_to(group) => {}
        Way::One(group) => {
            let needed = call.inputs.iter().find(|input| input.staying().is_some());
            let key = needed.map_or_else(String::new, |input| Job::key(&**input));
            let why = format!(
                "it needs the result of {key}, which cannot be pickled and stays in worker {}, where it may not run",
                group.0
            );
            fail(worker, "TypeError", &why);
        }
        Way::None(class, why) => fail(worker, class, &why),
    }
    true
}

fn way(call: &PackedCall) -> Way {
    let mut found: Option<(GroupId, &PyJob)> = None;
    for input in &*call.inputs {
        let Some(state) = input.staying() else { continue };
        let (group, key) = (state.group(), Job::key(&**input));
        if let Some(why) = state.lost() {
            let why = format!(
                "the result of {key}, which cannot be pickled, is gone: {why}. To have it made again, drop every future on it \
                 and on what needs it, then submit again"
            );
            return Way::None("KilledWorker", why);
        }
        match found {
            Some((other, first)) if other != group => {
                let first = Job::key(first);
                let why = format!(
                    "it needs the results of {first} and {key}, which cannot be pickled and stay in different processes: \
                     workers {} and {}",
                    other.0, group.0
                );
                return Way::None("TypeError", why);
            }
            _ => found = Some((group, input)),
        }
    }
    found.map_or(Way::Any, |(group, _)| Way::One(group))
}
