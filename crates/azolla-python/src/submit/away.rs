//! How a task in a worker process submits tasks: the client's engine gets them.

use super::group;
use super::one::Common;
use super::packing::scattered;
use crate::child::pickled::collecting;
use crate::interpreter::blobs::Packed;
use crate::interpreter::mapped::no_memory;
use crate::interpreter::pickles::whole;
use crate::session::away::{Answered, asked, job, unexpected};
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use crate::task::key::veiled;
use crate::task::named::Name;
use crate::task::packed::PackedCall;
use azolla::runtime::Submission;
use azolla_core::Key;
use azolla_process::message::{Blob, Bytes, Function, Range};
use azolla_process::place::Store;
use azolla_process::request::{self, End, Request, Submit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// The functions that the client has got from this process, as far as this process knows.
static SENT: Mutex<Option<HashSet<u128>>> = Mutex::new(None);

/// After so many of them this process sends functions anew.
const MOST: usize = 4096;

/// A task as it is sent.
struct Call<'py> {
    call: PackedCall,
    arguments: Sent,
    local: Arc<PyJob>,
    text: Bound<'py, PyAny>,
    /// The text of `text`; empty if it is another kind of key.
    name: String,
    end: End,
    rare: Vec<u8>,
    priority: Option<i64>,
}

impl<'py> Call<'py> {
    fn new(common: &Common<'_, 'py>, submission: &Submission<PyJob>) -> PyResult<Self> {
        let py = common.py;
        let local = Arc::clone(&submission.payload);
        let mut call = local.take_packed().and_then(Arc::into_inner).ok_or_else(unexpected)?;
        let arguments = mem::replace(&mut call.arguments, Packed::Small(Box::default()));
        let arguments = Sent::of(arguments);
        let (text, pure) = local.name_parts(py);
        let end = match (submission.key.map(Key::to_digest), pure) {
            (Some(key), Some(digest)) => End::Pure(key, digest),
            (Some(key), None) => End::Given(key),
            (None, _) => End::Impure,
        };
        let name = text_of(&text);
        let rare = common.rare(name.is_none().then_some(&text), call.notes.as_deref())?;
        let priority = submission.priority.map(|priority| priority.to_bits());
        Ok(Self {
            call,
            arguments,
            local,
            text,
            name: name.unwrap_or_default(),
            end,
            rare,
            priority,
        })
    }

    fn submit(&self, retries: u32) -> Submit<'_> {
        let inputs = self.call.actor.iter().chain(&self.call.inputs);
        Submit {
            role: self.local.role,
            function: self.call.function.digest,
            called: &self.call.function.name,
            name: request::Name { text: &self.name, end: self.end },
            arguments: self.arguments.blob(),
            inputs: inputs.filter_map(|input| input.away()).collect(),
            futures: self.call.futures.named(),
            priority: self.priority,
            retries,
            rare: &self.rare,
        }
    }

    /// A copy of the function, which the client keeps.
    fn function(&self, store: &dyn Store) -> PyResult<(u128, Sent, Vec<u64>)> {
        let function = &self.call.function;
        let copy = Sent::of(function.packed.copy(store).map_err(no_memory)?);
        Ok((function.digest, copy, function.futures.clone()))
    }

    /// The task's key, once its number is known.
    fn key(&self, py: Python<'py>, shared: &Shared, task: u64) -> PyResult<Bound<'py, PyAny>> {
        match self.end {
            End::Given(_) => Ok(self.text.clone()),
            End::Pure(..) => Ok(self.local.key(py)),
            End::Impure => self.text.add(veiled(shared.cluster.number, task)),
        }
    }
}

/// An object that is left to the client: its pickle, or where that lies, and where its buffers lie.
struct Sent(Result<Box<[u8]>, Range>, Vec<Range>);

impl Sent {
    /// Leaves an object that was pickled just now to the client.
    fn of(packed: Packed) -> Self {
        match packed {
            Packed::Small(pickle) => Self(Ok(pickle), Vec::new()),
            Packed::Large(large) => {
                let (pickle, buffers) = large.give_away();
                Self(pickle, buffers)
            }
        }
    }

    fn blob(&self) -> Blob<'_> {
        let pickle = self.0.as_ref().map_or_else(|it| Bytes::There(*it), |it| Bytes::Here(it));
        Blob { pickle, buffers: self.1.clone() }
    }
}

/// Returns what begins a key, or the whole of it. None if it is no text.
fn text_of(text: &Bound<'_, PyAny>) -> Option<String> {
    text.cast::<PyString>().ok().and_then(|text| text.to_str().ok().map(String::from))
}

/// Returns the number of the group in whose block this is called, in a worker process.
pub(super) fn group_here(py: Python<'_>, shared: &Shared) -> PyResult<Option<u64>> {
    if !shared.cluster.is_away() {
        return Ok(None);
    }
    Ok(group::group_here(py, shared)?.and_then(|gate| gate.away()))
}

/// Submits tasks to the client, and returns their jobs here.
pub(super) fn submit_all(
    common: &Common<'_, '_>,
    submissions: &[Submission<PyJob>],
) -> PyResult<Vec<Arc<PyJob>>> {
    let (py, shared) = (common.py, common.shared);
    let packed = submissions.iter().map(|one| Call::new(common, one));
    let packed: Vec<_> = packed.collect::<PyResult<_>>()?;
    let mut all_functions = false;
    let tasks = loop {
        let functions = new_functions(common, &packed, all_functions)?;
        let functions = functions.iter();
        let functions = functions.map(|(digest, sent, futures)| Function {
            digest: *digest,
            blob: sent.blob(),
            futures: futures.clone(),
        });
        let functions = functions.collect();
        let tasks = packed.iter().map(|one| one.submit(common.retries)).collect();
        match asked(py, Request::Submit { functions, tasks, group: common.group })? {
            Answered::Tasks(tasks) if tasks.len() == packed.len() => break tasks,
            Answered::Unknown if !all_functions => all_functions = true,
            _ => return Err(unexpected()),
        }
    };
    let jobs = packed
        .iter()
        .zip(tasks)
        .map(|(one, task)| Ok(job(shared, one.key(py, shared, task)?, task)));
    jobs.collect()
}

/// The functions that the client may not know; all of them if `all` is true.
fn new_functions(
    common: &Common<'_, '_>,
    packed: &[Call<'_>],
    all: bool,
) -> PyResult<Vec<(u128, Sent, Vec<u64>)>> {
    let store = &common.shared.cluster.sent.as_ref().ok_or_else(unexpected)?.store;
    let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    let sent = sent.get_or_insert_default();
    if all || sent.len() > MOST {
        sent.clear();
    }
    let new = packed.iter().filter(|one| sent.insert(one.call.function.digest));
    new.map(|one| one.function(&**store)).collect()
}

/// Has the client keep a value, and returns its job here.
pub(crate) fn put(
    shared: &Shared,
    value: &Bound<'_, PyAny>,
    name: &Name,
    key: Option<Key>,
) -> PyResult<Arc<PyJob>> {
    let py = value.py();
    let store = &shared.cluster.sent.as_ref().ok_or_else(unexpected)?.store;
    let (packed, futures) = collecting(|| scattered(value, &**store));
    let sent = Sent::of(packed?);
    let (text, end) = match (name, key.map(Key::to_digest)) {
        (Name::Given(given), Some(key)) => (given.bind(py).clone(), End::Given(key)),
        (Name::Pure { function, digest }, Some(key)) => {
            (function.bind(py).clone().into_any(), End::Pure(key, *digest))
        }
        (Name::Impure { function }, _) => (function.bind(py).clone().into_any(), End::Impure),
        _ => return Err(unexpected()),
    };
    let text_of = text_of(&text);
    let key = if text_of.is_none() { whole(&text)? } else { Vec::new() };
    let name = request::Name { text: text_of.as_deref().unwrap_or_default(), end };
    let asks = Request::Put { name, key: &key, value: sent.blob(), futures: futures.tasks.clone() };
    let Answered::Tasks(tasks) = asked(py, asks)? else { return Err(unexpected()) };
    let Some(task) = tasks.first() else { return Err(unexpected()) };
    let key = match end {
        End::Given(_) => text,
        End::Pure(_, digest) => text.add(format!("-{digest:032x}"))?,
        End::Impure => text.add(veiled(shared.cluster.number, *task))?,
    };
    Ok(job(shared, key, *task))
}
