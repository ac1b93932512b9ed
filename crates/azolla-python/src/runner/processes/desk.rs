//! The desk of a worker process: the thread that serves its side line. It answers what is asked aside, tells the process how
//! tasks have ended, and ends those that run there as coroutines. It gives the process its orders.
//!
//! It never waits for anything but the process. A call that may wait has a thread of its own.

use super::Common;
use super::actors::state;
use super::asked::{Asking, By, Reply};
use super::calls::{Asked, Calls};
use super::coroutines;
use super::ended;
use super::holdings::{Coroutine, Holdings};
use super::orders::{self, Closed, Given, Order};
use super::recorded;
use crate::task::job::PyJob;
use azolla::runtime::{Engine, Job, Listen, Status};
use azolla_process::aside::{Aside, News, What};
use azolla_process::fleet::{Leaver, Remote, Side, Sides, StartError, Waker};
use azolla_process::line::{Heard, LineError};
use azolla_process::message::{Ended, Run};
use azolla_process::request::{Answer, How, Request};
use rustc_hash::FxHashSet;
use std::io;
use std::mem;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How long a desk waits until it asks for a line again that could not be had.
const ASIDE: Duration = Duration::from_millis(250);

/// The ends of so many tasks go in one message.
const TOGETHER: usize = 64;

/// What is to be said to the process.
pub(super) struct Outbox {
    queue: Mutex<Vec<Out>>,
    waker: Waker,
    leaver: Leaver,
}

/// Something to say.
pub(super) enum Out {
    /// The answer to the question of this number.
    Answer(u64, Reply),
    /// A task to which the process listens has ended.
    Ended(u64),
    /// The wait of this number may be over.
    Ready(u64),
    /// An order.
    Order(Order),
    /// This task is to stop soon.
    Interrupt(u64),
}

impl Outbox {
    pub(super) fn say(&self, out: Out) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(out);
        self.waker.wake();
    }

    /// Says the last thing: an order to leave. The process gets no tasks any more, and is killed if it takes longer than this.
    pub(super) fn say_leave(&self, order: Order, patience: Duration) {
        self.leaver.leave(patience);
        self.say(Out::Order(order));
    }

    /// The process is killed, and another one takes its place.
    pub(super) fn replace(&self) {
        self.leaver.leave(Duration::ZERO);
    }

    pub(super) fn take(&self) -> Vec<Out> {
        mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Listen for Outbox {
    fn settled(&self, token: usize, _status: Status) {
        self.say(Out::Ended(token as u64));
    }
}

/// Starts the desk of a process. It ends when the fleet is closed, or the process was retired and has ended.
pub(super) fn start(
    common: &Arc<Common>,
    engine: &Arc<Engine<PyJob>>,
    process: usize,
    sides: Sides,
) -> io::Result<()> {
    let (common, engine) = (Arc::clone(common), Arc::downgrade(engine));
    let serve = move || {
        loop {
            match sides.next() {
                Ok(Some(side)) => serve(&common, &engine, process, side),
                Ok(None) => return common.orders.close(process, Closed::Client),
                Err(StartError::Retired { .. }) => {
                    return common.orders.close(process, Closed::Retired);
                }
                // The proxies say why.
                Err(error) => {
                    common.orders.cannot_start(process, &error, || sides.is_starting());
                    if sides.wait_until_closed(ASIDE) {
                        return common.orders.close(process, Closed::Client);
                    }
                }
            }
        }
    };
    thread::Builder::new().name(format!("azolla-desk-{process}")).spawn(serve)?;
    Ok(())
}

fn serve(common: &Arc<Common>, engine: &Weak<Engine<PyJob>>, process: usize, mut side: Side) {
    let Some(holdings) =
        engine.upgrade().map(|engine| common.holdings(process, side.remote.arena(), &engine))
    else {
        return;
    };
    let (waker, leaver) = (side.waker(), side.leaver());
    let outbox = Arc::new(Outbox { queue: Mutex::default(), waker, leaver });
    let calls = Calls::new(&outbox, &holdings, side.remote.watch());
    let given = common.orders.begin(process, &outbox);
    let mut desk = Desk {
        common,
        process,
        engine,
        holdings: &holdings,
        outbox: &outbox,
        calls,
        own: FxHashSet::default(),
        given,
    };
    while desk.go_on(&mut side).unwrap_or(false) {}
    // It has ended, or what it says is of no use.
    let how = side.remote.ended();
    desk.calls.end();
    let is_open = engine.upgrade().is_some_and(|engine| !engine.is_closing());
    common.orders.end(desk.given, &outbox, is_open.then_some(how));
    let running = holdings.end_all();
    if let Some(engine) = engine.upgrade() {
        coroutines::died(&engine, &common.deaths, running, (process, how));
    }
    holdings.clear();
}

struct Desk<'a> {
    common: &'a Arc<Common>,
    process: usize,
    engine: &'a Weak<Engine<PyJob>>,
    holdings: &'a Arc<Holdings>,
    outbox: &'a Arc<Outbox>,
    calls: Calls,
    /// The tasks whose coroutines have ended in the process, until it is told.
    own: FxHashSet<u64>,
    /// What the process was told to do.
    given: Given,
}

impl Desk<'_> {
    /// Says what is to be said, and waits for what the process says. Returns false if the process is gone.
    fn go_on(&mut self, side: &mut Side) -> Result<bool, LineError> {
        let mut ended = Vec::new();
        for out in self.outbox.take() {
            match out {
                Out::Ended(task) => ended.push(task),
                Out::Order(order) => self.given.add(order),
                Out::Interrupt(task) => {
                    if !side.line.send(&News::Interrupt(task))? {
                        return Ok(false);
                    }
                }
                Out::Ready(number) => {
                    if let Some(engine) = self.engine.upgrade() {
                        self.calls.ready(number, &engine);
                    }
                }
                Out::Answer(number, reply) => {
                    if !self.answer(side, number, reply)? {
                        return Ok(false);
                    }
                }
            }
        }
        for ended in ended.chunks(TOGETHER) {
            if !self.tell(side, ended)? {
                return Ok(false);
            }
        }
        if !self.given.send(side)? {
            return Ok(false);
        }
        if !side.wait()? {
            return Ok(true);
        }
        let Side { line, remote, .. } = side;
        match line.hear::<Aside<'_>>()? {
            Heard::Message(Aside { released, forgotten, given_back, what }) => {
                given_back.into_iter().for_each(|range| remote.give_back(range));
                let Some(engine) = self.engine.upgrade() else { return Ok(false) };
                let answer = self.hear(&engine, remote, what)?;
                self.holdings.release(&released);
                self.holdings.forget_shared(&forgotten);
                match answer {
                    Some((number, reply)) => self.answer(side, number, reply),
                    None => Ok(true),
                }
            }
            Heard::Nothing => Ok(true),
            Heard::End => Ok(false),
        }
    }

    fn answer(&self, side: &mut Side, number: u64, reply: Reply) -> Result<bool, LineError> {
        let Side { line, remote, .. } = side;
        match reply.send(remote, |answer| line.send(&News::Answer(number, answer))) {
            Some(Err(LineError::Frame(error))) => {
                let why = error.to_string();
                let answer = Answer::Told("AzollaError", &why);
                line.send(&News::Answer(number, answer))
            }
            Some(sent) => sent,
            None => Ok(false),
        }
    }

    /// Tells the process how these tasks have ended.
    fn tell(&mut self, side: &mut Side, tasks: &[u64]) -> Result<bool, LineError> {
        let Side { line, remote, .. } = side;
        let held =
            tasks.iter().map(|task| self.holdings.jobs(&[*task]).and_then(|mut it| it.pop()));
        let held: Vec<_> = held.collect();
        let (mut jobs, mut own, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (task, job) in tasks.iter().zip(held) {
            match job {
                Some(job) if self.own.remove(task) => own.push(job),
                Some(job) => jobs.push(job),
                // The process has given it up meanwhile.
                None => gone.push((*task, How::Cancelled(None, None))),
            }
        }
        if !gone.is_empty() && !line.send(&News::Ends(Answer::Ends(gone)))? {
            return Ok(false);
        }
        for ends in [Reply::Ends(jobs, true), Reply::Own(own)] {
            if matches!(&ends, Reply::Ends(jobs, _) | Reply::Own(jobs) if jobs.is_empty()) {
                continue;
            }
            let sent = ends.send(remote, |answer| line.send(&News::Ends(answer)));
            if !sent.unwrap_or(Ok(false))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands over what is recorded of a coroutine. It is there before its future's end is.
    fn note(&self, coroutine: &Coroutine, run: Option<Run<'_>>) {
        let Coroutine { sent, worker, recording, .. } = coroutine;
        if let Some(run) = run
            && *recording == self.common.records.current()
            && let Some(cluster) = self.common.cluster()
        {
            recorded::note(&cluster, *worker, slice::from_ref(sent), &[run]);
        }
    }

    /// Does what a message says. Returns the answer that can be given at once, and the number of its question.
    fn hear(
        &mut self,
        engine: &Arc<Engine<PyJob>>,
        remote: &Remote,
        what: What<'_>,
    ) -> Result<Option<(u64, Reply)>, LineError> {
        match what {
            What::Nothing => {}
            What::Asks {
                number,
                task,
                request: request @ (Request::Call(what) | Request::Stand(what)),
            } => {
                let coroutine = task.and_then(|task| self.holdings.coroutine(task));
                let client = coroutine.as_ref().map_or(0, |job| job.client());
                let stands = matches!(request, Request::Stand(_));
                let asked = Asked { number, task, coroutine, client, stands, what };
                self.calls.begin(&asked, self.common.cluster(), engine);
            }
            What::Asks { number, request: Request::GiveUp(wait), .. } => {
                return Ok(Some((number, Reply::Done(self.calls.give_up(wait)))));
            }
            What::Asks { number, task, request } => {
                let coroutine = task.and_then(|task| self.holdings.coroutine(task));
                let mut asking = Asking {
                    by: By::Aside { engine, coroutine },
                    holdings: self.holdings,
                    cluster: self.common.cluster(),
                    remote,
                    shelf: &self.common.shelf,
                };
                return Ok(Some((number, asking.answer(request))));
            }
            What::Over { number, taken } => self.calls.over(number, taken),
            What::Listen(tasks) => {
                let listener: Arc<dyn Listen> = Arc::<Outbox>::clone(self.outbox);
                for task in tasks {
                    match self.holdings.jobs(&[task]).and_then(|mut jobs| jobs.pop()) {
                        Some(job) => job.header().listen(&listener, task as usize),
                        None => self.outbox.say(Out::Ended(task)),
                    }
                }
            }
            What::Ended { number, task, ended, run, futures } => {
                if let Some(coroutine) = self.holdings.end(task) {
                    self.own.insert(task);
                    self.note(&coroutine, run);
                    let (job, from) = (&coroutine.sent.job, (remote, &*self.common.shelf));
                    let futures = futures.into_iter();
                    let state = || state(job, self.process, remote, self.common, engine);
                    let outcome = ended::store(job, &ended, futures, engine, from, state)?;
                    coroutines::end(engine, coroutine, outcome);
                } else if let Ended::Done(blob) | Ended::Stays(blob) | Ended::Failed(blob) = ended {
                    // Nor is what stays in the process needed.
                    self.common.let_go(self.process, task, engine);
                    // What is large in it is this process's to give back.
                    drop(ended::read(&blob, remote, &self.common.shelf)?);
                }
                return Ok(number.map(|number| (number, Reply::Done(true))));
            }
            What::Obeyed { number, order, ended, futures } => {
                let from = (remote, &*self.common.shelf);
                let outcome = orders::Outcome::read(&ended, futures, engine, from)?;
                self.given.obeyed(order, outcome);
                return Ok(number.map(|number| (number, Reply::Done(true))));
            }
        }
        Ok(None)
    }
}
