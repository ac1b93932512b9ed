//! What stays in a worker process, the states of actors and the results that cannot be pickled: what becomes of it, and of
//! calls when a state is gone.

use super::asked::Reply;
use super::frame::{Inputs, send};
use super::proxy::{Connection, Own, connect, fail};
use super::{Common, Seat};
use crate::future::actor::{ANOTHER, LOST, gone};
use crate::task::actor;
use crate::task::job::PyJob;
use azolla::runtime::{Engine, Job, Status};
use azolla_core::GroupId;
use azolla_process::fleet::{Remote, Resident};
use azolla_process::request::Role;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What stays in its process.
struct State {
    resident: Resident,
    process: usize,
    /// By which the process knows it.
    number: u64,
    common: Weak<Common>,
    engine: Weak<Engine<PyJob>>,
}

impl actor::State for State {
    fn group(&self) -> GroupId {
        GroupId(self.process as u16)
    }

    fn lost(&self) -> Option<String> {
        if self.common.upgrade().is_some_and(|common| common.is_retired(self.process)) {
            return Some(format!("its process (worker {}) was retired", self.process));
        }
        let how = self.resident.ended()?;
        Some(format!("its process (worker {}) {how}", self.process))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.resident.ended().is_some() {
            return;
        }
        let (Some(common), Some(engine)) = (self.common.upgrade(), self.engine.upgrade()) else {
            return;
        };
        common.let_go(self.process, self.number, &engine);
    }
}

impl Common {
    /// Has a process drop what it keeps for the task of this number, if that is anything.
    pub(super) fn let_go(&self, process: usize, number: u64, engine: &Engine<PyJob>) {
        self.gone(process).lock().push(number);
        // If all are busy, the next thing that one of them sends says so.
        engine.rouse(GroupId(process as u16));
    }
}

/// Returns the state for what this task has left in its process.
pub(super) fn state(
    job: &PyJob,
    process: usize,
    remote: &Remote,
    common: &Arc<Common>,
    engine: &Arc<Engine<PyJob>>,
) -> Arc<dyn actor::State> {
    Arc::new(State {
        resident: remote.resident(),
        process,
        number: job.header().id().map_or(0, |id| id.to_bits()),
        common: Arc::downgrade(common),
        engine: Arc::downgrade(engine),
    })
}

/// Returns the actor of a call that a process submits: its only input, which it does not get as one.
pub(super) fn called(
    role: Role,
    inputs: &mut Vec<Arc<PyJob>>,
) -> Result<Option<Arc<PyJob>>, Reply> {
    if !matches!(role, Role::Call | Role::Read) {
        return Ok(None);
    }
    let Some(actor) = inputs.pop() else { return Ok(None) };
    let why = match actor.header().status() {
        Status::Cancelled => Some("it was cancelled".into()),
        _ if !actor.is_actor() => Some(ANOTHER.into()),
        _ => actor.lost(),
    };
    match why {
        Some(why) => Err(Reply::Told(LOST, gone(&Job::key(&*actor), &why))),
        None => Ok(Some(actor)),
    }
}

/// Fails the current task if it needs the state of an actor and that is gone. Returns true if so.
pub(super) fn fail_if_lost(worker: &mut Own) -> bool {
    let is_call = |job: &&Arc<PyJob>| matches!(job.role, Role::Call | Role::Read);
    let Some(job) = worker.job().filter(is_call) else { return false };
    let Some(actor) = job.packed().and_then(|call| call.actor.clone()) else { return false };
    let Some(why) = actor.lost() else { return false };
    fail(worker, LOST, &gone(&Job::key(&*actor), &why));
    true
}

/// Has the process drop the states that are not needed any more. It is idle, or the next frame would say so.
pub(super) fn let_go(worker: &Own, connection: &mut Option<Connection>, seat: &Seat) {
    let gone = || seat.gone.lock();
    while !gone().is_empty() {
        if connection.is_none() {
            if !seat.shared.fleet.wait_until_started(seat.process, Some(Duration::ZERO)) {
                // They have gone with the process.
                gone().clear();
                return;
            }
            *connection = connect(worker, seat).unwrap_or_default();
        }
        let Some(some) = connection else { return };
        let frame = some.link.claim().open(0);
        if !matches!(send(some, seat, frame, (&[], &Inputs::default()), false), Ok(true)) {
            *connection = None;
        }
    }
}
