//! Where a task runs that needs results which cannot be pickled: in the process where they are. An actor is made there too,
//! and otherwise in the process that was chosen for it.

use super::proxy::{Own, fail};
use crate::future::actor::{LOST, gone};
use crate::task::actor::Berth;
use crate::task::job::PyJob;
use crate::task::packed::PackedCall;
use azolla::runtime::Job;
use azolla_core::GroupId;
use std::sync::Arc;

/// What a task's inputs leave of the processes.
enum Way {
    Any,
    One(GroupId),
    /// None, because of this exception.
    None(&'static str, String),
}

/// Returns true if the task may be run in the process of this group, for all that its inputs are, and the process that was
/// chosen for the actor that it makes.
pub(super) fn may_go(job: &PyJob, call: &PackedCall, group: GroupId) -> bool {
    let may = match way(call) {
        Way::Any => true,
        Way::One(other) => other == group,
        Way::None(..) => false,
    };
    may && job.berth().is_none_or(|berth| berth.group() == group)
}

/// If the current task needs what is in another process, or makes an actor there, it is sent there, or fails if it cannot run
/// there. Returns true if so.
pub(super) fn send_on(worker: &mut Own) -> bool {
    let Some(job) = worker.job().map(Arc::clone) else { return false };
    let Some(call) = job.packed() else { return false };
    match way(&call) {
        Way::Any => return make_in_its_place(worker, &job),
        Way::One(group) if group == worker.group() => {
            move_actor(&job, group);
            return false;
        }
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

/// The actor that this task makes, if it makes one, is made in the process of this group.
fn move_actor(job: &PyJob, group: GroupId) {
    if let Some(berth) = job.berth().filter(|berth| berth.group() != group) {
        berth.move_to(group);
    }
}

/// If the current task makes an actor for which another process was chosen, it is sent there, or fails if that process was
/// retired. Returns true if so.
fn make_in_its_place(worker: &mut Own, job: &PyJob) -> bool {
    let Some(group) = job.berth().map(Berth::group) else { return false };
    if group == worker.group() {
        return false;
    }
    if !worker.send_to(group) {
        let why = format!("its process (worker {}) was retired before it was made", group.0);
        fail(worker, LOST, &gone(&Job::key(job), &why));
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
