//! What one frame of tasks holds, and how it is sent.

use super::Seat;
use super::proxy::{Connection, Own};
use super::staying::may_go;
use crate::interpreter::blobs::Packed;
use crate::task::job::PyJob;
use crate::task::packed::{PackedCall, PackedFunction, Value};
use crate::task::revocable::Reading;
use azolla::runtime::Job;
use azolla_process::fleet::{Link, Remote};
use azolla_process::frame::FrameError;
use azolla_process::line::LineError;
use azolla_process::message::{
    Blob, Bytes, FUNCTION_BYTES, FUNCTIONS, Function, Range, Task, Tasks,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::io;
use std::sync::Arc;

/// The most bytes that the pickles of several tasks in one frame take.
const ENOUGH: usize = 64 * 1024;

/// A task in the frame.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) job: Arc<PyJob>,
    pub(super) call: Arc<PackedCall>,
    pub(super) key: String,
}

/// Begins tasks ahead of the current one, and returns what the frame is to hold, in order. It holds nothing if the current
/// task was cancelled.
pub(super) fn load(worker: &mut Own, most: usize, veil: u128) -> Vec<Sent> {
    let before = worker.ahead().count();
    worker.begin_ahead((most - 1).saturating_sub(before));
    let (mut sent, mut bytes, mut seen) = (Vec::new(), 0, FxHashSet::default());
    let mut size_if_new =
        |job: &Arc<PyJob>| if seen.insert(Arc::as_ptr(job)) { size(job) } else { 0 };
    for job in worker.job().into_iter().chain(worker.ahead()).take(most) {
        let Some(call) = job.packed() else { break };
        // The current task was looked at before.
        if !sent.is_empty() && !may_go(job, &call, worker.group()) {
            break;
        }
        bytes += call.size_in_message() + call.inputs.iter().map(&mut size_if_new).sum::<usize>();
        // One that is large goes alone: if it is too large for a message, it is the one to fail.
        if bytes > ENOUGH && !sent.is_empty() {
            break;
        }
        sent.push(Sent { key: job.packed_key(&call.named, veil), job: Arc::clone(job), call });
    }
    sent
}

fn result(job: &PyJob) -> Option<Reading<'_, Value>> {
    job.outcome()?.ok()
}

fn size(job: &PyJob) -> usize {
    let result = result(job);
    result.as_deref().and_then(Value::packed).map_or(0, Packed::size_in_message)
}

/// The inputs of a frame's tasks, each once, and their numbers in it.
#[derive(Default)]
pub(super) struct Inputs<'a> {
    results: Vec<Option<Reading<'a, Value>>>,
    numbers: FxHashMap<*const PyJob, u32>,
}

/// What a frame says of large data: the process is lent it.
struct Lent<'a> {
    remote: &'a Remote,
    ranges: Vec<Range>,
}

impl<'a> Inputs<'a> {
    pub(super) fn of(sent: &'a [Sent]) -> Self {
        let mut inputs = Self::default();
        for job in sent.iter().flat_map(|sent| &*sent.call.inputs) {
            inputs.numbers.entry(Arc::as_ptr(job)).or_insert_with(|| {
                inputs.results.push(result(job));
                inputs.results.len() as u32 - 1
            });
        }
        inputs
    }

    /// Returns how many of these tasks, from the first on, have all their inputs. One that was cancelled has no result.
    pub(super) fn complete(&self, sent: &[Sent]) -> usize {
        let is_there = |job: &Arc<PyJob>| {
            let number = self.numbers.get(&Arc::as_ptr(job));
            number.is_some_and(|number| self.results[*number as usize].is_some())
        };
        sent.iter().take_while(|sent| sent.call.inputs.iter().all(is_there)).count()
    }
}

impl<'a> Lent<'a> {
    fn function(&mut self, function: &'a PackedFunction) -> io::Result<Function<'a>> {
        let (digest, futures) = (function.digest, function.futures.clone());
        Ok(Function { digest, blob: self.blob(&function.packed)?, futures })
    }

    fn task(
        &mut self,
        sent: &'a Sent,
        numbers: &FxHashMap<*const PyJob, u32>,
    ) -> io::Result<Task<'a>> {
        let inputs = sent.call.inputs.iter().map(|job| numbers[&Arc::as_ptr(job)]);
        Ok(Task {
            id: sent.job.header().id().map_or(0, |id| id.to_bits()),
            function: sent.call.function.digest,
            key: &sent.key,
            inputs: inputs.collect(),
            arguments: self.blob(&sent.call.arguments)?,
            notes: sent.call.notes(),
        })
    }

    /// Returns what the frame says of the result of an input.
    fn input(&mut self, result: Option<&'a Value>) -> io::Result<Blob<'a>> {
        // What stays in the process has none here.
        let nothing = Blob { pickle: Bytes::Here(&[]), buffers: Vec::new() };
        result.and_then(Value::packed).map_or(Ok(nothing), |packed| self.blob(packed))
    }

    fn blob(&mut self, packed: &'a Packed) -> io::Result<Blob<'a>> {
        packed.blob(|place| {
            let range = self.remote.lend(place)?;
            self.ranges.push(range);
            Ok(range)
        })
    }
}

/// Sends the frame. If it is `recorded`, the process tells of its runs. Returns false if the process has ended.
pub(super) fn send(
    connection: &mut Connection,
    seat: &Seat,
    frame: u32,
    (sent, read): (&[Sent], &Inputs<'_>),
    recorded: bool,
) -> Result<bool, LineError> {
    let (known, bytes) = (&mut connection.functions, &mut connection.function_bytes);
    let functions = || sent.iter().map(|sent| &sent.call.function);
    // The thread does the same when it hears the frame.
    let is_full = known.len() >= FUNCTIONS || *bytes >= FUNCTION_BYTES;
    if is_full && functions().any(|new| !known.contains(&new.digest)) {
        known.clear();
        *bytes = 0;
    }
    let new = functions().filter(|function| known.insert(function.digest));
    let new = new.inspect(|function| *bytes += function.packed.size());
    let Link { line, remote } = &mut connection.link;
    let mut lent = Lent { remote, ranges: Vec::new() };
    let functions = new.map(|function| lent.function(function)).collect::<io::Result<_>>()?;
    let inputs = read.results.iter().map(|result| lent.input(result.as_deref()));
    let inputs = inputs.collect::<io::Result<_>>()?;
    let tasks = sent.iter().map(|sent| lent.task(sent, &read.numbers));
    let tasks = tasks.collect::<io::Result<_>>()?;
    let freed = remote.arena().take_freed();
    let gone = std::mem::take(&mut *seat.gone.lock());
    let tasks = Tasks { frame, functions, inputs, tasks, freed, gone, recorded };
    let sent = line.send(&tasks);
    if !matches!(sent, Ok(true)) {
        // Another proxy of the process says it, unless they have gone with the process.
        seat.gone.lock().extend(&tasks.gone);
    }
    if let Err(LineError::Frame(FrameError::TooLong(_))) = sent {
        remote.arena().keep_freed(tasks.freed);
        lent.ranges.into_iter().for_each(|range| remote.give_back(range));
    }
    sent
}
