//! The workers and the slots: who holds one, who sleeps, who wants one back.
//!
//! There are as many slots as tasks may run at once. A worker holds a slot while it runs a task or
//! looks for one; it holds none while it sleeps, while its task waits (parked) or has seceded, and
//! while a task whose wait is over queues for a slot (resuming).

use crate::event::Wait;
use crate::id::{TaskId, WorkerId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Sleeping workers beyond the slots that are kept for the next wait.
const SPARES: usize = 16;

pub(crate) struct Worker {
    pub(crate) state: WorkerState,
    /// The task that it runs or waits in.
    pub(crate) task: Option<TaskId>,
    /// The tasks that wait below that one on its stack, and what for; the lowest first.
    pub(crate) below: Vec<(TaskId, Wait)>,
    /// What it has pulled and not been seen to begin; may name tasks that it no longer claims.
    pub(crate) claims: Vec<TaskId>,
    /// How many tasks in a row were handed over to it past the queue.
    pub(crate) handed_over: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    /// Holds no slot and has nothing to do.
    Asleep,
    /// Was given a slot and has not pulled yet.
    Waking,
    /// Holds a slot and runs, or is about to pull.
    Active,
    /// Its task waits. `seceded` tasks had no slot before, and need none after.
    Parked { wait: Wait, seceded: bool },
    /// Its task wants to go on and queues for a slot.
    Resuming,
    /// Its task runs without a slot.
    Seceded,
}

/// How many workers are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) asleep: usize,
    pub(crate) waking: usize,
    pub(crate) active: usize,
    /// Parked tasks that lent a slot.
    pub(crate) parked: usize,
    pub(crate) resuming: usize,
    /// Seceded tasks, those of them that wait included.
    pub(crate) seceded: usize,
}

impl Tally {
    fn of(&mut self, state: &WorkerState) -> &mut usize {
        match state {
            WorkerState::Asleep => &mut self.asleep,
            WorkerState::Waking => &mut self.waking,
            WorkerState::Active => &mut self.active,
            WorkerState::Parked { seceded: false, .. } => &mut self.parked,
            WorkerState::Resuming => &mut self.resuming,
            WorkerState::Seceded | WorkerState::Parked { seceded: true, .. } => &mut self.seceded,
        }
    }
}

pub(crate) struct Workers {
    all: Vec<Option<Worker>>,
    vacant: Vec<u32>,
    /// Last to sleep is first to wake: its memory is still in the cache.
    asleep: Vec<WorkerId>,
    resuming: VecDeque<WorkerId>,
    slots: usize,
    tally: Tally,
}

impl Worker {
    /// All that tasks on it wait for, each with what.
    pub(crate) fn waits(&self) -> impl Iterator<Item = (Option<TaskId>, &Wait)> {
        let parked = match &self.state {
            WorkerState::Parked { wait, .. } => Some((self.task, wait)),
            _ => None,
        };
        self.below.iter().map(|(task, wait)| (Some(*task), wait)).chain(parked)
    }

    /// What this task waits for on it.
    pub(crate) fn wait_of(&self, task: TaskId) -> Option<&Wait> {
        self.waits().find(|(other, _)| *other == Some(task)).map(|(_, wait)| wait)
    }
}

impl Workers {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            all: Vec::new(),
            vacant: Vec::new(),
            asleep: Vec::new(),
            resuming: VecDeque::new(),
            slots,
            tally: Tally::default(),
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn free_slots(&self) -> usize {
        self.slots - self.tally.waking - self.tally.active
    }

    /// Whether a worker may give up its slot: enough others must be left to use all slots.
    pub(crate) fn has_spare(&self) -> bool {
        self.tally.asleep + self.tally.waking + self.tally.active > self.slots
    }

    /// Whether there are more sleeping workers than will be needed.
    pub(crate) fn has_plenty(&self) -> bool {
        self.tally.asleep > self.slots + SPARES
    }

    pub(crate) fn join(&mut self) -> WorkerId {
        let worker = Worker {
            state: WorkerState::Asleep,
            task: None,
            below: Vec::new(),
            claims: Vec::new(),
            handed_over: 0,
        };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.all[id as usize] = Some(worker);
                WorkerId(id)
            }
            None => {
                self.all.push(Some(worker));
                WorkerId(self.all.len() as u32 - 1)
            }
        };
        self.tally.asleep += 1;
        self.asleep.push(id);
        id
    }

    pub(crate) fn leave(&mut self, id: WorkerId) {
        let Some(worker) = self.all.get_mut(id.0 as usize).and_then(Option::take) else { return };
        *self.tally.of(&worker.state) -= 1;
        self.asleep.retain(|other| *other != id);
        self.resuming.retain(|other| *other != id);
        self.vacant.push(id.0);
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.all.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.all.get_mut(id.0 as usize)?.as_mut()
    }

    /// Moves a worker to another state, and into or out of the lines that go with it.
    pub(crate) fn set(&mut self, id: WorkerId, state: WorkerState) -> Option<WorkerState> {
        let worker = self.all.get_mut(id.0 as usize)?.as_mut()?;
        *self.tally.of(&worker.state) -= 1;
        *self.tally.of(&state) += 1;
        match state {
            WorkerState::Asleep => self.asleep.push(id),
            WorkerState::Resuming => self.resuming.push_back(id),
            _ => {}
        }
        Some(core::mem::replace(&mut worker.state, state))
    }

    /// Wakes the worker that has wanted its slot back for longest.
    pub(crate) fn resume_next(&mut self) -> Option<WorkerId> {
        let id = self.resuming.pop_front()?;
        self.set(id, WorkerState::Active);
        Some(id)
    }

    /// Wakes a sleeping worker, to pull.
    pub(crate) fn wake_next(&mut self) -> Option<WorkerId> {
        let id = self.asleep.pop()?;
        self.set(id, WorkerState::Waking);
        Some(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.all
            .iter()
            .enumerate()
            .filter_map(|(id, worker)| Some((WorkerId(id as u32), worker.as_ref()?)))
    }
}
