//! What a program can see of tasks: their states, where they run, and their results.

use crate::interpreter::gil::Steps;
use crate::interpreter::observed;
use crate::session::core::Core;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use crate::task::key::parse;
use azolla::runtime::{self, Job, Status, What};
use azolla_core::{State, TaskId, TaskView};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::{MutexGuard, PoisonError};

/// Returns the tasks that the cluster keeps, in rows: a task's key, its state, and the number of the thread that runs it. If the
/// result stays in a worker process, that is the number of the worker.
pub(crate) fn tasks<'py>(py: Python<'py>, shared: &Shared) -> PyResult<Bound<'py, PyList>> {
    let engine = &shared.engine;
    let tasks = py.detach(|| engine.tasks());
    let (rows, mut steps) = (PyList::empty(py), Steps::default());
    for (job, view) in tasks {
        steps.step(py)?;
        let (state, worker) = state(&job, &view);
        rows.append((job.key(py), state, worker))?;
    }
    Ok(rows)
}

#[doc = stub!(keys_of)]
#[pyfunction]
pub(crate) fn keys_of<'py>(
    client: &Bound<'py, Core>,
    tasks: Vec<u64>,
) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    let (py, shared) = (client.py(), client.get().shared()?);
    let engine = &shared.engine;
    let find = |task| engine.look_up(&[TaskId::from_bits(task)?]).pop();
    let found: Vec<_> = py.detach(|| tasks.into_iter().map(find).collect());
    Ok(found.into_iter().map(|found| found.map(|(_, _, job)| job.key(py))).collect())
}

/// Returns the results that the cluster keeps, in rows: the task's key, the result if it is an object of this process, and
/// its bytes if it is a pickle.
pub(crate) fn results<'py>(py: Python<'py>, shared: &Shared) -> PyResult<Bound<'py, PyList>> {
    let engine = &shared.engine;
    let tasks = py.detach(|| engine.tasks());
    let (rows, mut steps) = (PyList::empty(py), Steps::default());
    for (job, _) in tasks {
        steps.step(py)?;
        match job.outcome() {
            Some(Ok(value)) if job.header().status() == Status::Finished => {
                rows.append((job.key(py), value.here(), value.packed_size()))?;
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn state(job: &PyJob, view: &TaskView) -> (&'static str, Option<u32>) {
    match view.state {
        // The worker reports the end of a short task some time after other threads can see it.
        _ if job.header().status() == Status::Finished => match job.place() {
            None => ("memory", None),
            Some(Ok(group)) => ("memory", Some(group.0.into())),
            Some(Err(_)) => ("lost", None),
        },
        State::Waiting { .. } => ("waiting", None),
        State::Ready if view.unrunnable => ("no-worker", None),
        State::Ready => ("ready", None),
        State::Claimed { worker } if job.header().is_running() => ("executing", Some(worker.0)),
        State::Claimed { .. } => ("ready", None),
        State::Running { worker } => ("executing", Some(worker.0)),
        State::Parked { worker } => ("parked", Some(worker.0)),
        State::Seceded { worker } => ("long-running", Some(worker.0)),
        State::Detached | State::Suspended => ("coroutine", None),
        State::Done => ("memory", None),
        State::Failed => ("erred", None),
        State::Cancelled => ("cancelled", None),
    }
}

/// Three things: the age of the cluster in seconds; what was observed of the tasks that were asked for; and the states
/// of those tasks that are kept.
pub(crate) type Story<'py> = (f64, Vec<Seen<'py>>, Vec<(usize, u64, &'static str)>);

/// The place of the task in the question, what was observed, and the key of the task that submitted it.
type Seen<'py> = (usize, observed::Row, Option<Bound<'py, PyAny>>);

/// Returns what is known of the tasks that have these keys. The recording begins at the first such question.
pub(crate) fn story<'py>(
    py: Python<'py>,
    shared: &Shared,
    keys: &[Bound<'py, PyAny>],
) -> PyResult<Story<'py>> {
    let (engine, number) = (&shared.engine, shared.cluster.number);
    // A task that is gone is found by its id, since its key can no longer be compared.
    let named = keys.iter().map(|key| {
        let named = parse(key, number)?;
        let gone = named.ends_in.filter(|task| engine.look_up(&[*task]).is_empty());
        Ok((named.key, shared.impure_task(&named).or(gone)))
    });
    let named = named.collect::<PyResult<Vec<_>>>()?;
    let (elapsed, seen, kept, parents) = py.detach(|| {
        // Asking the engine may run code of users. So the story is not locked while the engine is asked.
        if story_of(shared).is_none() {
            let begun = runtime::Story::begin(engine);
            story_of(shared).get_or_insert(begun);
        }
        let asked: Vec<_> = named
            .iter()
            .map(|named| match named {
                (_, Some(task)) => (None, Some(*task)),
                (key, None) => (Some(*key), engine.task_of(*key)),
            })
            .collect();
        // This comes before the story is read. So a state that the story does not tell of is older than the story.
        let ids = asked.iter().enumerate().filter_map(|(place, (_, task))| Some((place, (*task)?)));
        let kept: Vec<_> = ids
            .flat_map(|(place, task)| engine.look_up(&[task]).pop().map(|found| (place, found)))
            .collect();
        let seen = story_of(shared).as_mut().map(|story| story.of(&asked)).unwrap_or_default();
        let parents: Vec<_> = seen
            .iter()
            .map(|(_, seen)| match seen.what {
                What::Submitted { parent: Some(parent), .. } => engine.look_up(&[parent]).pop(),
                _ => None,
            })
            .collect();
        (engine.elapsed().as_secs_f64(), seen, kept, parents)
    });
    let seen = seen.iter().zip(parents).map(|((place, seen), parent)| {
        (*place, observed::row(seen), parent.map(|(_, _, job)| job.key(py)))
    });
    let kept =
        kept.iter().map(|(place, (task, view, job))| (*place, task.to_bits(), state(job, view).0));
    Ok((elapsed, seen.collect(), kept.collect()))
}

fn story_of(shared: &Shared) -> MutexGuard<'_, Option<runtime::Story>> {
    shared.cluster.story.lock().unwrap_or_else(PoisonError::into_inner)
}
