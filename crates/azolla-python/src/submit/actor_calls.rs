//! How actors in worker processes are made and called: by tasks of functions of azolla's own.
//!
//! Those functions are Python (`azolla/_process/actors.py`). What they make and call goes to them as an argument. The task
//! that makes an actor chooses its process when it is submitted, and the calls go there too.

use super::annotations::Annotations;
use super::away;
use super::one::{Common, context, parent};
use super::packing::{own_function, packed};
use crate::interpreter::imports::python;
use crate::interpreter::texts::text_bytes;
use crate::interpreter::words::key_words;
use crate::session::shared::Shared;
use crate::task::actor::Berth;
use crate::task::job::{PyJob, Work};
use crate::task::named::Name;
use crate::task::names::function_name;
use crate::task::packed::{PackedCall, PackedFunction, kind};
use azolla::runtime::{Submission, watch_all};
use azolla_core::Priority;
use azolla_process::request::Role;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::cell::{OnceCell, RefCell};
use std::sync::{Arc, OnceLock};

/// The Python half.
const MODULE: &str = "azolla._process.actors";

/// Returns the function that makes actors, and what it is called with: a function that makes one, and its arguments.
pub(super) fn maker<'py>(
    call: Bound<'py, PyTuple>,
) -> PyResult<(Arc<PackedFunction>, Bound<'py, PyTuple>)> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = call.py();
    let make = python(py, &MAKE, MODULE, "make")?;
    let name = function_name(&call.get_item(0)?)?.to_string_lossy().into_owned();
    let whole: Vec<_> = std::iter::once(make.clone()).chain(call.iter()).collect();
    let whole = PyTuple::new(py, whole)?;
    Ok((own_function(make, name)?, whole))
}

/// Returns the function for tasks of this role.
pub(super) fn function(py: Python<'_>, role: Role) -> PyResult<&Bound<'_, PyAny>> {
    static CALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static READ: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match role {
        Role::Read => python(py, &READ, MODULE, "read"),
        _ => python(py, &CALL, MODULE, "call"),
    }
}

fn packed_own(py: Python<'_>, role: Role) -> PyResult<Arc<PackedFunction>> {
    static CALL: OnceLock<Arc<PackedFunction>> = OnceLock::new();
    static READ: OnceLock<Arc<PackedFunction>> = OnceLock::new();
    let known = if role == Role::Read { &READ } else { &CALL };
    if let Some(known) = known.get() {
        return Ok(Arc::clone(known));
    }
    let new = own_function(function(py, role)?, String::new())?;
    Ok(Arc::clone(known.get_or_init(|| new)))
}

impl<'a, 'py> Common<'a, 'py> {
    /// What a call of an actor in a worker process has: it is one alone, and runs where the actor is.
    pub(super) fn of_call(
        shared: &'a Arc<Shared>,
        label: &Bound<'py, PyString>,
        priority: Option<Priority>,
    ) -> PyResult<Self> {
        let py = label.py();
        let context = context(py)?;
        let noted = Annotations::here(py, context.is_some())?;
        Ok(Self {
            py,
            shared,
            name: label.clone(),
            kind: kind(&text_bytes(label)?),
            context,
            retries: 0,
            priority,
            placing: None,
            constraint: None,
            parent: parent(py, shared)?,
            group: away::group_here(py, shared)?,
            token: None,
            span: noted.span(),
            noted,
            notes: OnceCell::new(),
            actor: false,
            shown: OnceCell::new(),
            packed: RefCell::new(None),
            methods: false,
        })
    }

    /// Makes a call of an actor in a worker process, or a reading of one of its attributes, as the role says. `whole` is one of
    /// the functions of `azolla/_process/actors.py`, with its arguments.
    pub(super) fn call_of(
        &self,
        actor: Arc<PyJob>,
        role: Role,
        whole: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Submission<PyJob>> {
        let function = packed_own(self.py, role)?;
        let shown = key_words(&self.name).into();
        let cluster = &self.shared.cluster;
        let call = packed(cluster, function, shown, self.notes(None)?, whole, kwargs, &[])?;
        let call = PackedCall { actor: Some(Arc::clone(&actor)), ..call };
        let name = Name::Impure { function: self.name.clone().unbind() };
        let span = self.span.as_ref().map(|span| span.clone().unbind());
        let work = Work::Packed(Arc::new(call));
        let mut job = PyJob::new(work, 0, name, self.shared.number, span);
        job.role = role;
        Ok(Submission {
            priority: self.priority,
            parent: self.parent,
            constraint: actor.berth().and_then(Berth::constraint),
            inputs: watch_all(&[actor]),
            call: role == Role::Call,
            ..Submission::new(Arc::new(job), self.kind)
        })
    }
}
