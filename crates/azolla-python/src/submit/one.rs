//! Makes a task of one call. `submit` and `map` share this.

use super::actor_calls::maker;
use super::annotations::{Annotations, Packed};
use super::arguments::{Digest, InCommon, Taken, take};
use super::away;
use super::costly;
use super::group::{group_here, is_entered};
use super::options::{Options, priority, retries};
use super::packing::{noted, packed, packed_function};
use super::placing::{Placing, constraint, place_actor};
use crate::future::handle::Future;
use crate::future::running::Running;
use crate::interpreter::collector::hide_call;
use crate::interpreter::imports::python;
use crate::interpreter::pickles::whole;
use crate::interpreter::texts::text_bytes;
use crate::interpreter::words::key_words;
use crate::session::away::unexpected;
use crate::session::reasons;
use crate::session::sent::Sent;
use crate::session::shared::Shared;
use crate::session::thread::{is_loop_thread, with_worker};
use crate::task::job::{Call, Copies, PyJob, Work};
use crate::task::key::{Named, parse, pure};
use crate::task::named::Name;
use crate::task::names::{function_name, short_repr};
use crate::task::packed::{PackedFunction, kind};
use crate::token::FunctionToken;
use azolla::runtime::{Job, Submission, watch_all};
use azolla_core::{Constraint, Key, Priority, TaskId};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

/// With more inputs than this, the thread submits a task without the GIL.
const MANY_INPUTS: usize = 4096;

/// Where the keys of one `submit` or `map` come from.
pub(crate) enum Keys<'a, 'py> {
    /// azolla makes them of the function's name and the call.
    Made,
    /// azolla makes them in the same way, but they begin with this text in place of the name.
    Prefixed(&'a Bound<'py, PyString>),
    /// The user gives each key.
    Given,
}

/// What the tasks of one `submit` or `map` have in common.
pub(crate) struct Common<'a, 'py> {
    pub(super) py: Python<'py>,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) name: Bound<'py, PyString>,
    pub(super) kind: u64,
    pub(super) context: Option<Bound<'py, PyAny>>,
    pub(super) retries: u32,
    pub(super) priority: Option<Priority>,
    /// Where the tasks may run; its constraint, unless their engine is in another process.
    pub(super) placing: Option<Placing<'py>>,
    pub(super) constraint: Option<Arc<Constraint>>,
    pub(super) parent: Option<TaskId>,
    /// In a worker process: the number of the group that the tasks belong to.
    pub(super) group: Option<u64>,
    pub(super) token: Option<FunctionToken>,
    pub(super) span: Option<Bound<'py, PyTuple>>,
    pub(super) noted: Annotations<'py>,
    /// What the tasks know of themselves in a worker process, but for keys that are no texts.
    pub(super) notes: OnceCell<Packed>,
    pub(super) actor: bool,
    /// What made keys are shown to begin with.
    pub(super) shown: OnceCell<Arc<str>>,
    /// The function of the last task that was packed, and how. Those of one `map` have the same.
    pub(super) packed: RefCell<Option<(Bound<'py, PyAny>, Arc<PackedFunction>)>>,
    /// A call that may stand for its equals is one of the container as it is now, if its function is bound to one.
    pub(super) methods: bool,
}

impl<'a, 'py> Common<'a, 'py> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        what: &str,
        function: &Bound<'py, PyAny>,
        options: &Options<'py>,
        keys: Keys<'_, 'py>,
    ) -> PyResult<Self> {
        let py = function.py();
        shared.check_open(py, what)?;
        if !function.is_callable() {
            let message = format!("{what}() takes a function first, not {}", short_repr(function));
            return Err(PyTypeError::new_err(message));
        }
        let name = function_name(function)?;
        let kind = match shared.cluster.has_processes() {
            true => kind(&text_bytes(&name)?),
            // Python stores a text's hash with the text, so this is cheap.
            false => name.hash()? as u64,
        };
        let context = context(py)?;
        let noted = Annotations::here(py, context.is_some())?;
        let placing = options.placing(&noted)?;
        // An actor's state changes, so equal calls do not make equal actors.
        let token = match options.pure && !matches!(keys, Keys::Given) && !options.actor {
            true => {
                let began = costly::begin(kind);
                let (token, is_costly) = FunctionToken::of(py, function, &future_digest)?;
                if is_costly {
                    costly::note(kind);
                }
                if let Some(began) = began {
                    costly::end(shared, name.as_any(), kind, began)?;
                }
                token
            }
            false => None,
        };
        Ok(Self {
            py,
            shared,
            name: match keys {
                Keys::Prefixed(prefix) => prefix.clone(),
                Keys::Made | Keys::Given => name,
            },
            kind,
            context,
            retries: match &options.retries {
                Some(given) => retries(Some(given))?,
                None => retries(noted.get("retries")?.as_ref())?,
            },
            priority: match &options.priority {
                Some(given) => priority(Some(given))?,
                None => priority(noted.get("priority")?.as_ref())?,
            },
            constraint: match &placing {
                Some(placing) if !shared.cluster.is_away() => {
                    constraint(&shared.cluster, placing.clone())?
                }
                _ => None,
            },
            placing,
            parent: parent(py, shared)?,
            group: away::group_here(py, shared)?,
            token,
            span: noted.span(),
            noted,
            notes: OnceCell::new(),
            actor: options.actor,
            shown: OnceCell::new(),
            packed: RefCell::new(None),
            methods: options.pure && !options.actor,
        })
    }

    /// Takes the function and the keywords that all the calls have.
    pub(super) fn take(
        &self,
        function: &Bound<'py, PyAny>,
        keywords: Option<Bound<'py, PyDict>>,
    ) -> PyResult<(Bound<'py, PyAny>, InCommon<'py>)> {
        let (function, mut common) = InCommon::take(function, keywords, self.methods, self.shared)?;
        if let (Some(token), Some(keywords)) = (&self.token, &common.keywords) {
            let begun = token.begin(keywords, &future_digest)?;
            common.token = begun.map_or(Digest::Never, |begun| Digest::Begun(Box::new(begun)));
        }
        Ok((function, common))
    }

    /// Makes one task. `call` is the function and its arguments, in a tuple to which nothing else refers.
    pub(super) fn task(
        &self,
        call: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
        common: &InCommon<'py>,
        named: Option<&Named<'py>>,
    ) -> PyResult<Submission<PyJob>> {
        let Taken { call, kwargs, inputs, has_parts, asks } =
            take(call, kwargs, common, self.methods, self.shared)?;
        let (name, key) = self.name(&call, kwargs.as_ref(), named, &common.token)?;
        let submitted = watch_all(&inputs);
        let work = if let Some(processes) = &self.shared.cluster.sent {
            let (function, call) = match self.actor {
                true => maker(call)?,
                false => (self.packed_function(processes, &call.get_item(0)?)?, call),
            };
            let text = match named {
                Some(named) => key_words(&named.given).into(),
                None => Arc::clone(self.shown.get_or_init(|| key_words(&self.name).into())),
            };
            let notes = self.notes(named)?;
            Work::Packed(Arc::new(packed(
                &self.shared.cluster,
                function,
                text,
                notes,
                &call,
                kwargs.as_ref(),
                &inputs,
            )?))
        } else {
            hide_call(&call);
            Work::Here(Call {
                call: call.unbind(),
                kwargs: kwargs.map(Bound::unbind),
                context: self.context.as_ref().map(|context| context.clone().unbind()),
                state: None,
            })
        };
        let mut job = PyJob::new(
            work,
            self.retries,
            name,
            self.shared.number,
            self.span.as_ref().map(|span| span.clone().unbind()),
        );
        job.has_parts = has_parts;
        job.copies = Copies { methods: self.methods, asks };
        let mut constraint = self.constraint.clone();
        if self.actor {
            match &self.shared.cluster {
                cluster if cluster.is_away() => job.set_berth(None),
                cluster if cluster.has_processes() => {
                    let (berth, own) = place_actor(cluster, constraint, &inputs);
                    job.set_berth(berth);
                    constraint = own;
                }
                _ => job.set_caller(crate::future::actor::caller(self.py)?),
            }
        }
        let payload = Arc::new(job);
        reasons::set_by_inputs(self.py, &payload, &inputs);
        Ok(Submission {
            payload,
            key,
            priority: self.priority,
            parent: self.parent,
            kind: self.kind,
            constraint,
            inputs: submitted,
            call: false,
        })
    }

    /// Returns a pickle of what only few tasks have, for the client of a worker process. `key` is one that is no text.
    pub(super) fn rare(
        &self,
        key: Option<&Bound<'py, PyAny>>,
        notes: Option<&[u8]>,
    ) -> PyResult<Vec<u8>> {
        if let (None, None, None, None) = (key, &self.span, notes, &self.placing) {
            return Ok(Vec::new());
        }
        let (workers, resources, others) = self.placing.clone().unwrap_or_default();
        let notes = notes.map(|notes| PyBytes::new(self.py, notes));
        let rare = (key, &self.span, notes, workers, resources, others).into_pyobject(self.py)?;
        whole(rare.as_any())
    }

    /// Returns what a task is to know of itself in a worker process. Only what makes an actor needs its key there.
    pub(super) fn notes(&self, named: Option<&Named<'py>>) -> PyResult<Packed> {
        let is_text = |key: &Bound<'py, PyAny>| {
            key.cast_exact::<PyString>().is_ok_and(|key| key.to_str().is_ok())
        };
        let key = named.filter(|_| self.actor).map(|named| &named.given);
        let key = key.filter(|key| !is_text(key));
        if key.is_some() {
            match self.noted.packed(self.py, key) {
                // A key may be nested too deep to be pickled. Then the task knows the text of it.
                Err(error) if error.is_instance_of::<PyException>(self.py) => {}
                packed => return packed,
            }
        }
        if let Some(known) = self.notes.get() {
            return Ok(known.clone());
        }
        let new = self.noted.packed(self.py, None);
        let new = new.map_err(|error| noted(self.py, error, "its annotations", || Ok(None)))?;
        Ok(self.notes.get_or_init(|| new).clone())
    }

    fn packed_function(
        &self,
        processes: &Sent,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<Arc<PackedFunction>> {
        if let Some((last, packed)) = &*self.packed.borrow()
            && last.is(function)
        {
            return Ok(Arc::clone(packed));
        }
        let packed = packed_function(processes, function)?;
        let last = self.packed.replace(Some((function.clone(), Arc::clone(&packed))));
        drop(last);
        Ok(packed)
    }

    /// Returns the name of the task, and the key by which the engine finds it.
    fn name(
        &self,
        call: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        named: Option<&Named<'py>>,
        begun: &Digest<'py>,
    ) -> PyResult<(Name, Option<Key>)> {
        if let Some(named) = named {
            return Ok((Name::Given(named.given.clone().unbind()), Some(named.key)));
        }
        let function = self.name.clone().unbind();
        let digest = match (begun, &self.token) {
            (Digest::Begun(begun), _) => begun.call(call)?,
            (Digest::OfEach, Some(token)) => token.call(self.py, call, kwargs, &future_digest)?,
            (Digest::Never, _) | (_, None) => None,
        };
        if let Some(digest) = digest {
            let key = pure(&text_bytes(&self.name)?, digest);
            return Ok((Name::Pure { function, digest }, Some(key)));
        }
        Ok((Name::Impure { function }, None))
    }

    /// Reads the key that the user gives for one of the calls.
    pub(super) fn named(&self, key: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Named<'py>>> {
        key.map(|key| parse(key, self.shared.cluster.number)).transpose()
    }

    /// Submits one call, and returns a future on it. If a task has the call's key already, the future is on that task.
    pub(crate) fn submit(
        &self,
        call: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
        key: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Future>> {
        let named = self.named(key)?;
        if let Some(job) = named.as_ref().and_then(|named| self.shared.find_impure(named)) {
            return Future::object(self.py, job, Arc::clone(self.shared));
        }
        let submission = self.task(call, kwargs, &InCommon::default(), named.as_ref())?;
        if self.shared.cluster.is_away() {
            let job = away::submit_all(self, &[submission])?.pop();
            let job = job.ok_or_else(unexpected)?;
            return Future::object(self.py, job, Arc::clone(self.shared));
        }
        let job = Arc::clone(&submission.payload);
        let engine = &self.shared.engine;
        let existing = match submission.inputs.len() > MANY_INPUTS {
            true => self.py.detach(|| engine.submit(submission)),
            false => engine.submit(submission),
        };
        Future::object(self.py, existing.unwrap_or(job), Arc::clone(self.shared))
    }
}

/// Returns the digest of a future among a pure call's arguments: the digest of its key.
pub(crate) fn future_digest(value: &Bound<'_, PyAny>) -> Option<u128> {
    let job = value.cast::<Future>().ok()?.get().job(value.py()).ok()?;
    // An actor's state changes, so no call with an actor equals another.
    if job.is_actor() {
        return None;
    }
    crate::task::key::digest(job.key(value.py()).as_any()).ok()
}

/// Returns the context variables as they are here; `None` if a task needs none of them. A task does not need the
/// clients that were entered here, since it has a client of its own, nor the groups.
pub(crate) fn context(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static COPY_CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static ENTERED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let context = python(py, &COPY_CONTEXT, "contextvars", "copy_context")?.call0()?;
    let needed = match context.len()? {
        0 => false,
        variables @ 1..=2 => {
            let clients =
                context.contains(python(py, &ENTERED, "azolla._run.current", "entered")?)?;
            variables > usize::from(clients) + usize::from(is_entered(&context)?)
        }
        _ => true,
    };
    Ok(needed.then_some(context))
}

/// Returns what a task grows from that is submitted here to this client's cluster: the group here, or the task, if it runs
/// on that cluster.
pub(crate) fn parent(py: Python<'_>, shared: &Shared) -> PyResult<Option<TaskId>> {
    static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if let Some(gate) = group_here(py, shared)? {
        return Ok(gate.header().id());
    }
    if is_loop_thread() {
        let running = python(py, &CURRENT, "azolla._run.awaiting", "current_task")?.call0()?;
        if let Ok(running) = running.cast::<Running>() {
            let running = running.get();
            let is_here = Arc::ptr_eq(&running.cluster.engine, &shared.engine);
            return Ok(running.id().filter(|_| is_here));
        }
    }
    Ok(with_worker(|worker| {
        worker.filter(|worker| Arc::ptr_eq(worker.engine(), &shared.engine))?.current()
    }))
}
