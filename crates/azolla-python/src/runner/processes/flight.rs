//! One frame of tasks, on its way to a thread of a worker process and back.
//!
//! The frame is the current task and those that the worker begins ahead. When no result has come for a while, the proxy
//! takes back what has not begun over there, so that other workers run it. When the process dies, the task that was in the
//! middle of running is to blame; all that had no result yet run again.

use super::asked::{Asking, Reply};
use super::holdings::Holdings;
use super::proxy::{Connection, Own, fail};
use super::rare::AtHand;
use super::{Seat, Shared};
use crate::interpreter::blobs::Packed;
use crate::task::job::{Failure, PyJob};
use crate::task::kept::Kept;
use crate::task::packed::{PackedCall, PackedFunction, Unread};
use azolla::runtime::Job;
use azolla_core::Outcome;
use azolla_process::fleet::{Link, Remote};
use azolla_process::frame::FrameError;
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::{
    Blob, Bytes, Ended, FUNCTION_BYTES, FUNCTIONS, Function, Range, Results, Task, Tasks,
};
use azolla_process::request::{Answer, Request, Said};
use azolla_process::shelf::Shelf;
use rustc_hash::{FxHashMap, FxHashSet};
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The most tasks in one frame.
const MOST: usize = 32;

/// A frame holds about so much work, if its tasks take as long as the last ones. The rest stays where others can take it.
const WORK: Duration = Duration::from_millis(2);

/// The most bytes that the pickles of several tasks in one frame take.
const ENOUGH: usize = 64 * 1024;

/// For how long no result may come before what has not begun is taken back.
const PATIENCE: Duration = Duration::from_millis(2);

/// A task in the frame.
struct Sent {
    job: Arc<PyJob>,
    call: Arc<PackedCall>,
    key: String,
}

/// Sends the current task of the worker, and those that come next, and takes their results. Returns false if the process
/// has died, or says what it should not: then the connection is of no use any more.
pub(super) fn fly(worker: &mut Own, connection: &mut Connection, seat: &Seat) -> bool {
    let alone = std::mem::take(&mut connection.alone);
    let most = (WORK.as_nanos() as u64).checked_div(connection.took).unwrap_or(MOST as u64);
    let most = if alone { 1 } else { most.clamp(2, MOST as u64) as usize };
    let sent = load(worker, most, seat.shared.veil);
    if sent.is_empty() {
        fail(worker, "FutureCancelledError", "the task was cancelled");
        return true;
    }
    let frame = connection.link.claim().open(sent.len() as u16);
    let landed = match send(connection, frame, &sent) {
        Ok(true) => hear(worker, connection, seat, frame, &sent),
        Ok(false) => Err(0),
        Err(LineError::Frame(FrameError::TooLong(bytes))) => {
            connection.link.claim().take_back();
            let why = format!(
                "a task took {bytes} bytes besides what lies in shared memory, too many for one message"
            );
            fail(worker, "AzollaError", &why);
            return true;
        }
        Err(LineError::Frame(_) | LineError::System(_)) => Err(0),
    };
    match landed {
        Ok(()) => true,
        Err(heard) => {
            crashed(worker, connection, seat, &sent[heard..], heard);
            false
        }
    }
}

/// Begins tasks ahead of the current one, and returns what the frame is to hold, in order. It holds nothing if the current
/// task was cancelled.
fn load(worker: &mut Own, most: usize, veil: u128) -> Vec<Sent> {
    let before = worker.ahead().count();
    worker.begin_ahead((most - 1).saturating_sub(before));
    let (mut sent, mut bytes, mut seen) = (Vec::new(), 0, FxHashSet::default());
    let mut size_if_new =
        |job: &Arc<PyJob>| if seen.insert(Arc::as_ptr(job)) { size(job) } else { 0 };
    for job in worker.job().into_iter().chain(worker.ahead()).take(most) {
        let Some(call) = job.packed() else { break };
        bytes += call.size_in_message() + call.inputs.iter().map(&mut size_if_new).sum::<usize>();
        // One that is large goes alone: if it is too large for a message, it is the one to fail.
        if bytes > ENOUGH && !sent.is_empty() {
            break;
        }
        sent.push(Sent { key: job.packed_key(&call.named, veil), job: Arc::clone(job), call });
    }
    sent
}

fn result(job: &PyJob) -> Option<&Packed> {
    job.outcome()?.ok()?.packed()
}

fn size(job: &PyJob) -> usize {
    result(job).map_or(0, Packed::size_in_message)
}

/// What a frame says of large data: the process is lent it. Then the inputs of its tasks, each once.
struct Lent<'a> {
    remote: &'a Remote,
    ranges: Vec<Range>,
    inputs: Vec<Blob<'a>>,
    numbers: FxHashMap<*const PyJob, u32>,
}

impl<'a> Lent<'a> {
    fn function(&mut self, function: &'a PackedFunction) -> io::Result<Function<'a>> {
        Ok(Function { digest: function.digest, blob: self.blob(&function.packed)? })
    }

    fn task(&mut self, sent: &'a Sent) -> io::Result<Task<'a>> {
        let inputs = sent.call.inputs.iter().map(|job| self.number(job));
        Ok(Task {
            id: sent.job.header().id().map_or(0, |id| id.to_bits()),
            function: sent.call.function.digest,
            key: &sent.key,
            inputs: inputs.collect::<io::Result<_>>()?,
            arguments: self.blob(&sent.call.arguments)?,
            notes: sent.call.notes(),
        })
    }

    fn number(&mut self, job: &'a Arc<PyJob>) -> io::Result<u32> {
        if let Some(number) = self.numbers.get(&Arc::as_ptr(job)) {
            return Ok(*number);
        }
        let number = self.inputs.len() as u32;
        self.numbers.insert(Arc::as_ptr(job), number);
        // The engine runs a task once all of its inputs have results.
        let nothing = Blob { pickle: Bytes::Here(&[]), buffers: Vec::new() };
        let blob = result(job).map_or(Ok(nothing), |packed| self.blob(packed))?;
        self.inputs.push(blob);
        Ok(number)
    }

    fn blob(&mut self, packed: &'a Packed) -> io::Result<Blob<'a>> {
        packed.blob(|place| {
            let range = self.remote.lend(place)?;
            self.ranges.push(range);
            Ok(range)
        })
    }
}

/// Sends the frame. Returns false if the process has ended.
fn send(connection: &mut Connection, frame: u32, sent: &[Sent]) -> Result<bool, LineError> {
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
    let numbers = FxHashMap::default();
    let mut lent = Lent { remote, ranges: Vec::new(), inputs: Vec::new(), numbers };
    let functions = new.map(|function| lent.function(function)).collect::<io::Result<_>>()?;
    let tasks = sent.iter().map(|sent| lent.task(sent)).collect::<io::Result<_>>()?;
    let freed = remote.arena().take_freed();
    let tasks = Tasks { frame, functions, inputs: lent.inputs, tasks, freed };
    let sent = line.send(&tasks);
    if let Err(LineError::Frame(FrameError::TooLong(_))) = sent {
        remote.arena().keep_freed(tasks.freed);
        lent.ranges.into_iter().for_each(|range| remote.give_back(range));
    }
    sent
}

/// A frame on its way.
struct Flight<'a> {
    worker: &'a mut Own,
    seat: &'a Seat,
    frame: u32,
    sent: &'a [Sent],
    /// How many of its tasks have ended, and how many may.
    heard: usize,
    limit: usize,
}

/// Takes the results of a frame, and answers what its tasks ask. When it returns, each of its tasks has ended or was taken
/// back. If the process dies meanwhile, returns how many had ended.
fn hear(
    worker: &mut Own,
    connection: &mut Connection,
    seat: &Seat,
    frame: u32,
    sent: &[Sent],
) -> Result<(), usize> {
    let mut flight = Flight { worker, seat, frame, sent, heard: 0, limit: sent.len() };
    while flight.heard < flight.limit {
        if !flight.go_on(connection) {
            return Err(flight.heard);
        }
    }
    Ok(())
}

impl Flight<'_> {
    /// Hears what the thread says next. Returns false if the connection is of no use any more.
    fn go_on(&mut self, connection: &mut Connection) -> bool {
        // Some of those ahead may not be in the frame.
        let holds_up_others = self.limit == self.sent.len() && self.worker.ahead().next().is_some();
        let patience = Some(PATIENCE).filter(|_| holds_up_others);
        if connection.set_patience(patience).is_err() {
            return false;
        }
        let Connection { link: Link { line, remote }, holdings, at_hand, took, .. } = connection;
        let reply = match line.hear::<Said<'_>>() {
            Ok(Heard::Message(Said { ended, futures, released, asks })) => {
                if let Some(results) = ended {
                    if !results.ended.is_empty() {
                        *took = results.took;
                    }
                    if !self.land(&results, &futures, remote, at_hand) {
                        return false;
                    }
                }
                holdings.release(&released);
                match asks {
                    None => return true,
                    Some(_) if !self.is_current() => return false,
                    Some(request) => self.answer(request, remote, holdings, at_hand),
                }
            }
            Ok(Heard::Nothing) if patience.is_some() => return self.take_back(connection),
            Ok(Heard::Nothing) => return true,
            Ok(Heard::End) | Err(_) => return false,
        };
        say(line, remote, reply)
    }

    /// Ends the next tasks. `futures` are the tasks of the futures in the results, by the places of these. Returns false if
    /// the ends are not those of the frame's tasks, or cannot be read.
    fn land(
        &mut self,
        results: &Results<'_>,
        futures: &[(u32, u64)],
        remote: &Remote,
        at_hand: &mut AtHand,
    ) -> bool {
        if results.frame != self.frame {
            return false;
        }
        results.given_back.iter().for_each(|range| remote.give_back(*range));
        if !results.ended.is_empty() {
            self.worker.ran_for(results.took.saturating_mul(results.ended.len() as u64));
        }
        for (place, ended) in results.ended.iter().enumerate() {
            let own = futures.iter().filter(|(of, _)| *of as usize == place);
            let own = own.map(|(_, task)| *task);
            let shelf = &self.seat.shared.shelf;
            let is_next = self.heard < self.limit && self.is_current();
            if !is_next || !settle(self.worker, ended, own, remote, shelf) {
                return false;
            }
            at_hand.end();
            self.heard += 1;
            if self.heard < self.limit {
                advance(self.worker);
            }
        }
        true
    }

    /// Answers what the current task asks.
    fn answer(
        &mut self,
        request: Request<'_>,
        remote: &Remote,
        holdings: &Holdings,
        at_hand: &mut AtHand,
    ) -> Reply {
        let waits = waits(&request);
        if waits {
            // Those behind the task have not begun, since the thread is this task's.
            self.limit = usize::from(remote.claim().take_back()).max(self.heard);
            self.worker.fall_back(0);
        }
        let _waits = waits.then(|| remote.waits());
        let Shared { owner, shelf, .. } = &*self.seat.shared;
        let cluster = owner.get().and_then(Weak::upgrade);
        Asking { worker: self.worker, holdings, cluster, remote, shelf, at_hand }.answer(request)
    }

    /// Takes back what has not begun: no result has come for a while. Returns false if the process is gone.
    fn take_back(&mut self, connection: &mut Connection) -> bool {
        let begun = usize::from(connection.link.claim().take_back());
        self.limit = begun.max(self.heard);
        self.worker.fall_back(self.limit.saturating_sub(self.heard + 1));
        connection.alone = begun == self.heard;
        // The thread holds back the results of those before the one that it runs.
        begun <= self.heard + 1 || connection.link.flush().unwrap_or(false)
    }

    /// Returns true if the worker is at the next of the frame's tasks.
    fn is_current(&self) -> bool {
        is_current(self.worker, self.sent.get(self.heard))
    }
}

/// Returns true if the task that asks this may wait for others, and gives up its slot meanwhile.
fn waits(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Wait { .. }
            | Request::Next { .. }
            | Request::Secede
            | Request::Rejoin
            | Request::Call(_)
    )
}

/// Sends the answer to what a task has asked. Returns false if the process is gone.
fn say(line: &mut Line, remote: &Remote, reply: Reply) -> bool {
    match reply.send(remote, |answer| line.send(answer)) {
        Some(Err(LineError::Frame(FrameError::TooLong(bytes)))) => {
            let why = format!(
                "an answer of {bytes} bytes, besides what lies in shared memory, is too long for a message"
            );
            line.send(&Answer::Told("AzollaError", &why)).unwrap_or(false)
        }
        Some(sent) => sent.unwrap_or(false),
        None => false,
    }
}

/// Makes the next task that was begun ahead the current one.
fn advance(worker: &mut Own) {
    drop(worker.next_task());
    while let Some(gone) = worker.next_gone() {
        drop(gone);
    }
}

fn is_current(worker: &Own, sent: Option<&Sent>) -> bool {
    worker.job().zip(sent).is_some_and(|(job, sent)| Arc::ptr_eq(job, &sent.job))
}

/// Ends the current task. `futures` are the tasks of the futures in its result. Returns false if its end cannot be read.
fn settle(
    worker: &mut Own,
    ended: &Ended<'_>,
    futures: impl Iterator<Item = u64>,
    remote: &Remote,
    shelf: &Shelf,
) -> bool {
    let Some(job) = worker.job() else { return false };
    // It is read whatever becomes of it: what is large in it is this process's affair from now on.
    let read =
        |blob: &Blob<'_>| Packed::read(blob, |range| Ok(shelf.keep(remote.arena().place(range)?)));
    let outcome = match ended {
        Ended::Done(blob) => {
            let Ok(packed) = read(blob) else { return false };
            let mut futures = futures.peekable();
            let has_futures = futures.peek().is_some();
            let futures = has_futures.then(|| Kept::new(worker.engine(), futures));
            job.finish_packed(packed, futures);
            Outcome::Done
        }
        Ended::Failed(blob) => {
            let Ok(packed) = read(blob) else { return false };
            if job.header().take_retry() {
                Outcome::Again
            } else {
                job.fail(Failure::Unread(Box::new(Unread::new(packed))));
                Outcome::Failed
            }
        }
        Ended::Again => Outcome::Again,
    };
    drop(worker.finish(outcome));
    true
}

/// The process has died, or is killed here. `left` are the tasks of the frame without a result, of which so many had one.
fn crashed(
    worker: &mut Own,
    connection: &mut Connection,
    seat: &Seat,
    left: &[Sent],
    heard: usize,
) {
    let how = connection.link.ended();
    connection.holdings.clear();
    connection.at_hand.give_back();
    let begun = usize::from(connection.link.claim().take_back());
    for (at, sent) in left.iter().enumerate() {
        // Those behind may have fallen back before.
        if !is_current(worker, Some(sent)) {
            return;
        }
        let is_blamed = heard + at + 1 == begun;
        let task = worker.current().filter(|_| is_blamed);
        match task.and_then(|task| seat.shared.deaths.another(task)) {
            Some(deaths) => {
                let Sent { key, .. } = sent;
                let process = seat.process;
                let why = format!(
                    "{key}: {deaths} worker processes died while they ran it; the last, worker {process}, {how}"
                );
                fail(worker, "KilledWorker", &why);
            }
            None => drop(worker.finish(Outcome::Again)),
        }
        if at + 1 < left.len() {
            advance(worker);
        }
    }
}
