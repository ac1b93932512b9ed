//! `workers=`, `resources=` and `allow_other_workers=`: where tasks may run, and which resources they take.

use super::annotations::Annotations;
use super::options::Options;
use crate::session::shared::Cluster;
use crate::task::actor::Berth;
use crate::task::job::PyJob;
use crate::task::names::short_repr;
use azolla::runtime::{Job, Status};
use azolla_core::{Constraint, GroupId};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString};
use std::sync::Arc;

/// `workers=`, `resources=`, and whether other workers are allowed.
pub(crate) type Placing<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>, bool);

impl<'py> Options<'py> {
    /// Returns where these options place tasks. An option that the user has not given comes from the
    /// annotations.
    pub(super) fn placing(&self, noted: &Annotations<'py>) -> PyResult<Option<Placing<'py>>> {
        // Mostly no option is given.
        if let (Self { workers: None, resources: None, allow_other_workers: None, .. }, true) =
            (self, noted.is_empty())
        {
            return Ok(None);
        }
        let given = |option: &Option<Bound<'py, PyAny>>, name| match option {
            Some(option) => Ok(Some(option.clone())),
            None => noted.own(name),
        };
        let workers = given(&self.workers, "workers")?;
        let resources = given(&self.resources, "resources")?;
        let others = given(&self.allow_other_workers, "allow_other_workers")?;
        let others = others.map_or(Ok(false), |others| others.is_truthy())?;
        Ok(Some((workers, resources, others)))
    }
}

/// Returns the constraint of tasks for these workers, with these amounts of resources.
pub(crate) fn constraint<'py>(
    cluster: &Cluster,
    (workers, resources, others): Placing<'py>,
) -> PyResult<Option<Arc<Constraint>>> {
    let groups = workers.as_ref().map_or(Ok(None), |workers| groups(cluster, workers))?;
    let workers = workers.filter(|_| groups.is_some());
    if others && workers.is_none() {
        return Err(PyValueError::new_err("Only use allow_other_workers= if using workers="));
    }
    if workers.is_none() && resources.is_none() {
        return Ok(None);
    }
    let amounts = resources.as_ref().map_or_else(|| Ok(Vec::new()), amounts)?;
    let amounts_by_name = amounts.iter().map(|(name, amount)| (name.as_str(), *amount));
    let all = cluster.engine.groups();
    let constraint = all
        .constraint(groups, others, amounts_by_name)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    if let Some(constraint) = &constraint
        && !all.can_run(constraint)
    {
        warn(cluster, workers, resources)?;
    }
    Ok(constraint)
}

/// Chooses the worker process of an actor that may run where `constraint` says and needs these inputs. Returns its place
/// there, and the constraint of its task. There is no place if no process can have it.
pub(crate) fn place_actor(
    cluster: &Cluster,
    constraint: Option<Arc<Constraint>>,
    inputs: &[Arc<PyJob>],
) -> (Option<Berth>, Option<Arc<Constraint>>) {
    let mut fitting = cluster.engine.groups().fitting(constraint.as_deref());
    let needed = inputs.iter().find_map(|input| input.staying()).map(|state| state.group());
    if let Some(needed) = needed.filter(|needed| fitting.contains(needed)) {
        fitting = vec![needed];
    }
    let Some(berth) = cluster.sent.as_ref().and_then(|sent| sent.actors.berth(fitting)) else {
        return (None, constraint);
    };
    if inputs.iter().any(|input| input.header().status() == Status::Pending) {
        // One that cannot be pickled may yet stay in another process. The proxies see to that (`runner/processes/staying.rs`).
        let own = constraint.map(|it| Arc::new((*it).clone().outliving_groups()));
        return (Some(berth), own);
    }
    let takes = constraint.map_or_else(Vec::new, |constraint| constraint.takes().to_vec());
    let own = berth.taking(takes);
    (Some(berth), own)
}

/// Returns the groups of these workers. It leaves out names that no worker has.
fn groups<'py>(cluster: &Cluster, workers: &Bound<'py, PyAny>) -> PyResult<Option<Vec<GroupId>>> {
    let cluster = cluster.object(workers.py())?;
    let numbers = cluster.call_method1(intern!(workers.py(), "_numbers_of"), (workers,))?;
    let numbers: Option<Vec<u16>> = numbers.extract()?;
    Ok(numbers.map(|numbers| numbers.into_iter().map(GroupId).collect()))
}

/// Reads amounts by the names of resources, as users give them.
pub(crate) fn amounts(resources: &Bound<'_, PyAny>) -> PyResult<Vec<(String, f64)>> {
    let wrong = || {
        let given = short_repr(resources);
        PyTypeError::new_err(format!(
            "resources must be amounts by names, such as {{'GPU': 1}}, not {given}"
        ))
    };
    let items = resources.cast::<PyMapping>().map_err(|_| wrong())?.items()?;
    items
        .iter()
        .map(|item| {
            let (name, amount): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let is_text = amount.is_instance_of::<PyString>();
            let amount: f64 = amount.extract().map_err(|_| wrong())?;
            let name = name.cast::<PyString>().map_err(|_| wrong())?;
            if is_text { Err(wrong()) } else { Ok((name.to_string(), amount)) }
        })
        .collect()
}

/// Warns that tasks with this constraint will wait for ever. The cluster warns once for each such constraint.
fn warn<'py>(
    cluster: &Cluster,
    workers: Option<Bound<'py, PyAny>>,
    resources: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let Some(py) = workers.as_ref().or(resources.as_ref()).map(Bound::py) else { return Ok(()) };
    let cluster = cluster.object(py)?;
    cluster.call_method1(intern!(py, "_warn_unrunnable"), (workers, resources))?;
    Ok(())
}
