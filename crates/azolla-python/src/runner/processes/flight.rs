//! One frame of tasks, on its way to a thread of a worker process and back.
//!
//! The frame is the current task and those that the worker begins ahead. When no result has come for a while, the proxy
//! takes back what has not begun over there, so that other workers run it. When the process dies, the task that was in the
//! middle of running is to blame; all that had no result yet run again.

use super::actors::state;
use super::asked::{Asking, By, Reply};
use super::coroutines;
use super::ended;
use super::frame::{Inputs, Sent, load, send};
use super::holdings::{Coroutine, Holdings};
use super::proxy::{Connection, Own, fail};
use super::rare::{AtHand, Call, call_for_task};
use super::{Seat, Shared, recorded};
use crate::session::reasons;
use azolla_core::Outcome;
use azolla_process::fleet::{Link, Remote};
use azolla_process::frame::FrameError;
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::{Ended, Results, Run, Tasks};
use azolla_process::request::{Answer, Request, Said};
use pyo3::Python;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most tasks in one frame.
const MOST: usize = 32;

/// A frame holds about so much work, if its tasks take as long as the last ones. The rest stays where others can take it.
const WORK: Duration = Duration::from_millis(2);

/// For how long no result may come before what has not begun is taken back, and the engine hears which tasks have ended.
const PATIENCE: Duration = Duration::from_millis(2);

/// Sends the current task of the worker, and those that come next, and takes their results. Returns false if the process
/// has died, or says what it should not: then the connection is of no use any more.
pub(super) fn fly(worker: &mut Own, connection: &mut Connection, seat: &Seat) -> bool {
    let alone = std::mem::take(&mut connection.alone);
    let most = (WORK.as_nanos() as u64).checked_div(connection.took).unwrap_or(MOST as u64);
    let most = if alone { 1 } else { most.clamp(2, MOST as u64) as usize };
    let mut sent = load(worker, most, seat.shared.veil);
    if sent.is_empty() {
        fail(worker, "FutureCancelledError", "the task was cancelled");
        return true;
    }
    let complete = Inputs::of(&sent).complete(&sent);
    if complete == 0 {
        cancel_by_inputs(worker, &sent[0]);
        return true;
    }
    sent.truncate(complete);
    let read = Inputs::of(&sent);
    if read.complete(&sent) < sent.len() {
        // Another one was cancelled just now. The next look finds it.
        return true;
    }
    seat.current.set(worker.current());
    let frame = connection.link.claim().open(sent.len() as u16);
    let recording = seat.shared.common.records.current();
    let landed = match send(connection, seat, frame, (&sent, &read), recording.is_some()) {
        Ok(true) => {
            let (heard, limit) = (0, sent.len());
            let confirms = false;
            Flight { worker, seat, frame, sent: &sent, recording, heard, limit, confirms }
                .hear(connection)
        }
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

/// An input of the current task was cancelled, and its result is gone. So the task is cancelled too.
fn cancel_by_inputs(worker: &mut Own, sent: &Sent) {
    let Some(job) = worker.job().map(Arc::clone) else { return };
    let (engine, inputs) = (Arc::clone(worker.engine()), &sent.call.inputs);
    Python::try_attach(|py| reasons::set_by_cancelled(py, &engine, &job, inputs));
    engine.cancel(&*job);
    drop(worker.finish(Outcome::Failed));
}

/// A frame on its way.
struct Flight<'a> {
    worker: &'a mut Own,
    seat: &'a Seat,
    frame: u32,
    sent: &'a [Sent],
    /// The recording that its runs belong to.
    recording: Option<u64>,
    /// How many of its tasks have ended, and how many may.
    heard: usize,
    limit: usize,
    /// Results have named futures: the thread wants to know that they have come.
    confirms: bool,
}

/// Tells a thread that its results have come: a frame without tasks says so.
fn confirm(connection: &mut Connection, frame: u32) -> bool {
    let nothing = Tasks { frame, ..Tasks::default() };
    connection.link.line.send(&nothing).unwrap_or(false)
}

impl Flight<'_> {
    /// Takes the results of the frame, and answers what its tasks ask. When it returns, each of its tasks has ended or was
    /// taken back. If the process dies meanwhile, returns how many had ended.
    fn hear(&mut self, connection: &mut Connection) -> Result<(), usize> {
        while self.heard < self.limit {
            if !self.go_on(connection) {
                return Err(self.heard);
            }
        }
        if self.confirms && !confirm(connection, self.frame) {
            return Err(self.heard);
        }
        Ok(())
    }

    /// Hears what the thread says next. Returns false if the connection is of no use any more.
    fn go_on(&mut self, connection: &mut Connection) -> bool {
        // Some of those ahead may not be in the frame.
        let holds_up_others = self.limit == self.sent.len() && self.worker.ahead().next().is_some();
        let patience = Some(PATIENCE).filter(|_| holds_up_others || self.worker.keeps_ends());
        if connection.set_patience(patience).is_err() {
            return false;
        }
        let Connection { link: Link { line, remote }, holdings, at_hand, took, .. } = connection;
        let reply = match line.hear::<Said<'_>>() {
            Ok(Heard::Message(Said { ended, futures, released, forgotten, asks })) => {
                if let Some(results) = ended {
                    if !results.ended.is_empty() {
                        *took = results.took;
                    }
                    self.confirms |= !futures.is_empty();
                    if !self.land(&results, &futures, remote, at_hand) {
                        return false;
                    }
                }
                holdings.release(&released);
                holdings.forget_shared(&forgotten);
                match asks {
                    None => return true,
                    Some(_) if !self.is_current() => return false,
                    Some(Request::Detach) => self.detach(holdings, at_hand),
                    Some(request) => self.answer(request, remote, holdings, at_hand),
                }
            }
            Ok(Heard::Nothing) if patience.is_some() => {
                self.worker.tell_ends();
                return !holds_up_others || self.take_back(connection);
            }
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
        // What the thread gives back when it rests names the frame before.
        if results.frame != self.frame && !results.ended.is_empty() {
            return false;
        }
        results.given_back.iter().for_each(|range| remote.give_back(*range));
        if !results.ended.is_empty() {
            self.worker.ran_for(results.took.saturating_mul(results.ended.len() as u64));
        }
        self.note(&results.runs);
        for (place, ended) in results.ended.iter().enumerate() {
            let own = futures.iter().filter(|(of, _)| *of as usize == place);
            let own = own.map(|(_, task)| *task);
            // A loan that the task has left open ends first: that waits for a slot.
            self.worker.end_loan();
            let is_next = self.heard < self.limit && self.is_current();
            if !is_next || !settle(self.worker, ended, own, remote, self.seat) {
                return false;
            }
            at_hand.end();
            self.heard += 1;
            if self.heard < self.limit {
                advance(self.worker);
                self.seat.current.set(self.worker.current());
            }
        }
        true
    }

    /// Hands over what is recorded of the next tasks. It is there before their futures' ends are.
    fn note(&self, runs: &[Run<'_>]) {
        let common = &self.seat.shared.common;
        if runs.is_empty() || self.recording != common.records.current() {
            return;
        }
        if let Some(cluster) = common.cluster() {
            recorded::note(&cluster, self.worker.number(), &self.sent[self.heard..], runs);
        }
    }

    /// Answers what the current task asks.
    fn answer(
        &mut self,
        request: Request<'_>,
        remote: &Remote,
        holdings: &Arc<Holdings>,
        at_hand: &mut AtHand,
    ) -> Reply {
        let waits = waits(&request);
        if waits {
            // Those behind the task have not begun, since the thread is this task's.
            self.limit = usize::from(remote.claim().take_back()).max(self.heard);
            self.worker.fall_back(0);
        }
        let _waits = waits.then(|| remote.waits());
        let Shared { common, .. } = &*self.seat.shared;
        let (shelf, cluster) = (&common.shelf, common.cluster());
        match (request, cluster) {
            (Request::Call(what), Some(cluster)) => {
                let client = self.worker.job().map_or(0, |job| job.client());
                let holdings = Arc::clone(holdings);
                let call = Call { cluster, client, of: None, holdings };
                call_for_task(self.worker, remote, &call, at_hand, what)
            }
            (Request::Call(_), None) => {
                Reply::Told("ClosedClientError", "the client is gone".into())
            }
            (request, cluster) => {
                let by = By::Task(self.worker);
                Asking { by, holdings, cluster, remote, shelf }.answer(request)
            }
        }
    }

    /// The current task goes on without the thread, as a coroutine.
    fn detach(&mut self, holdings: &Holdings, at_hand: &mut AtHand) -> Reply {
        let worker = self.worker.number();
        if self.worker.detach().is_none() {
            return Reply::Dead;
        }
        let sent = self.sent[self.heard].clone();
        self.heard += 1;
        if self.heard < self.limit {
            advance(self.worker);
            self.seat.current.set(self.worker.current());
        }
        let (at_hand, recording) = (std::mem::take(at_hand), self.recording);
        let coroutine = Coroutine { sent, worker, recording, since: Instant::now(), at_hand };
        coroutines::begin(self.worker.engine(), holdings, coroutine)
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
            | Request::Sleep(_)
            | Request::Secede
            | Request::Rejoin
            | Request::Lend { .. }
            | Request::EndLoan(_)
            | Request::Call(_)
    )
}

/// Sends the answer to what a task has asked. Returns false if the process is gone.
fn say(line: &mut Line, remote: &Remote, reply: Reply) -> bool {
    match reply.send(remote, |answer| line.send(&answer)) {
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
    seat: &Seat,
) -> bool {
    let Some(job) = worker.job() else { return false };
    let (engine, common) = (worker.engine(), &seat.shared.common);
    let state = || state(job, seat.process, remote, common, engine);
    let from = (remote, &*common.shelf);
    let Ok(outcome) = ended::store(job, ended, futures, engine, from, state) else { return false };
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
    let how = (seat.process, connection.link.ended());
    connection.holdings.clear();
    connection.at_hand.give_back();
    worker.end_loan();
    let begun = usize::from(connection.link.claim().take_back());
    for (at, sent) in left.iter().enumerate() {
        // Those behind may have fallen back before.
        if !is_current(worker, Some(sent)) {
            return;
        }
        let is_blamed = heard + at + 1 == begun;
        let outcome = match is_blamed {
            true => ended::died(&sent.job, &sent.key, &seat.shared.common.deaths, how),
            false => Outcome::Again,
        };
        drop(worker.finish(outcome));
        if at + 1 < left.len() {
            advance(worker);
        }
    }
}
