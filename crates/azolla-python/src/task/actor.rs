//! What a task has that is an actor, or whose result cannot be pickled. In a worker process that is its state there, and of an
//! actor the process that was chosen for it.

use super::job::PyJob;
use super::packed::Value;
use azolla_core::{Amount, Constraint, GroupId, ResourceId};
use azolla_process::request::Role;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many actors each worker process has, or will have.
#[derive(Default)]
pub(crate) struct Spread(Mutex<Vec<usize>>);

/// An actor's place in a process. It is counted until this is dropped.
pub(crate) struct Berth {
    spread: Arc<Spread>,
    group: AtomicU16,
}

impl Spread {
    /// Chooses the process with the fewest actors, as Dask does. Returns `None` if there is none to choose from.
    pub(crate) fn berth(
        self: &Arc<Self>,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> Option<Berth> {
        let mut actors = self.actors();
        let count = |group: &GroupId| actors.get(usize::from(group.0)).copied().unwrap_or(0);
        let group = groups.into_iter().min_by_key(count)?;
        count_in(&mut actors, group);
        Some(Berth { spread: Arc::clone(self), group: AtomicU16::new(group.0) })
    }

    /// How many actors the process of this group has.
    pub(crate) fn of(&self, group: GroupId) -> usize {
        self.actors().get(usize::from(group.0)).copied().unwrap_or(0)
    }

    fn actors(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is one more actor in this group.
fn count_in(actors: &mut Vec<usize>, group: GroupId) {
    let at = usize::from(group.0);
    if actors.len() <= at {
        actors.resize(at + 1, 0);
    }
    actors[at] += 1;
}

impl Berth {
    /// Returns the constraint of tasks that run in this process and take nothing else.
    pub(crate) fn constraint(&self) -> Option<Arc<Constraint>> {
        self.taking(Vec::new())
    }

    /// Returns the constraint of tasks that run in this process and take this. When the process is retired any other says
    /// that the actor is lost.
    pub(crate) fn taking(&self, takes: Vec<(ResourceId, Amount)>) -> Option<Arc<Constraint>> {
        let here = Constraint::new(Some(vec![self.group()]), false, takes);
        here.map(|here| Arc::new(here.outliving_groups()))
    }

    pub(crate) fn group(&self) -> GroupId {
        GroupId(self.group.load(Ordering::Relaxed))
    }

    /// The actor is made in this process instead: what it needs is there alone.
    pub(crate) fn move_to(&self, group: GroupId) {
        let mut actors = self.spread.actors();
        let before = self.group.swap(group.0, Ordering::Relaxed);
        actors[usize::from(before)] -= 1;
        count_in(&mut actors, group);
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        self.spread.actors()[usize::from(self.group().0)] -= 1;
    }
}

/// The state of an actor, or a result that cannot be pickled, in its process. Dropping this lets the process drop it.
pub(crate) trait State: Send + Sync {
    /// Returns the group of the process.
    fn group(&self) -> GroupId;

    /// Returns why the state is gone, if it is.
    fn lost(&self) -> Option<String>;
}

impl PyJob {
    /// Makes the task an actor in this process. `caller` makes the actor's calls.
    pub(crate) fn set_caller(&mut self, caller: Py<PyAny>) {
        self.role = Role::Actor;
        self.rare.get_or_insert_default().caller = Some(caller);
    }

    /// For an actor in this process: the function that makes its calls.
    pub(crate) fn caller(&self) -> Option<&Py<PyAny>> {
        self.rare.as_ref()?.caller.as_ref()
    }

    /// Makes the task an actor in a worker process: in this one, unless no process can have it.
    pub(crate) fn set_berth(&mut self, berth: Option<Berth>) {
        self.role = Role::Actor;
        if berth.is_some() {
            self.rare.get_or_insert_default().berth = berth;
        }
    }

    /// For an actor in a worker process: its place there.
    pub(crate) fn berth(&self) -> Option<&Berth> {
        self.rare.as_ref()?.berth.as_ref()
    }

    /// Returns true if the task makes an actor.
    pub(crate) fn is_actor(&self) -> bool {
        self.role == Role::Actor
    }

    /// For an actor in a worker process: why its state is gone, if it is.
    pub(crate) fn lost(&self) -> Option<String> {
        self.state()?.lost()
    }

    /// The result that stays in its process because it cannot be pickled.
    pub(crate) fn staying(&self) -> Option<Arc<dyn State>> {
        self.state().filter(|_| !self.is_actor())
    }

    /// For a result that stays in its process, or an actor there: which that is, or `Err` if it is gone.
    pub(crate) fn place(&self) -> Option<Result<GroupId, String>> {
        let state = self.state()?;
        Some(state.lost().map_or_else(|| Ok(state.group()), Err))
    }

    fn state(&self) -> Option<Arc<dyn State>> {
        match &*self.outcome()?.ok()? {
            Value::Stays(stays) => Some(Arc::clone(&stays.1)),
            _ => None,
        }
    }
}
