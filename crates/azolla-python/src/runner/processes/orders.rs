//! Orders: what the client has its processes do beside their tasks.
//!
//! An order waits until its process is there. Some orders are *gear*, which every process has: a plugin, say. A process
//! that starts later is given all gear, piece after piece, before it gets a task or another order.

use super::desk::{Out, Outbox};
use super::ended;
use crate::interpreter::blobs::Packed;
use crate::interpreter::imports::python;
use crate::task::job::PyJob;
use crate::task::kept::Kept;
use crate::task::packed::Unread;
use azolla::runtime::Engine;
use azolla_process::aside::News;
use azolla_process::fleet::{Remote, Side, StartError};
use azolla_process::line::LineError;
use azolla_process::message;
use azolla_process::process::Ended;
use azolla_process::shelf::Shelf;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is to be done, for any number of processes.
pub(crate) struct Parcel {
    pub(crate) packed: Packed,
    /// The tasks of the futures in it.
    #[expect(dead_code, reason = "it is kept")]
    pub(crate) futures: Kept,
}

/// What has come of an order.
pub(crate) enum Outcome {
    /// This, with the tasks of the futures in it.
    Done(Packed, Option<Kept>),
    Failed(Packed),
    /// The process is there and fitted out.
    There,
    /// Nothing: an exception of this class with this message says why.
    Told(&'static str, String),
}

impl Outcome {
    /// Reads what a process has answered. `futures` are the tasks of the futures in it.
    ///
    /// # Errors
    /// If it cannot be read, or is no answer to an order.
    pub(super) fn read(
        ended: &message::Ended<'_>,
        futures: Vec<u64>,
        engine: &Arc<Engine<PyJob>>,
        (remote, shelf): (&Remote, &Shelf),
    ) -> io::Result<Self> {
        match ended {
            message::Ended::Done(blob) => {
                let packed = ended::read(blob, remote, shelf)?;
                let futures = (!futures.is_empty()).then(|| Kept::new(engine, futures));
                Ok(Self::Done(packed, futures))
            }
            message::Ended::Failed(blob) => Ok(Self::Failed(ended::read(blob, remote, shelf)?)),
            message::Ended::Stays(_) => {
                Err(io::Error::other("the result of an order does not stay"))
            }
            message::Ended::Again => Err(io::Error::other("an order does not run again")),
        }
    }
}

/// Takes what has come of an order. It is called on the thread of a desk.
pub(crate) type Hear = Box<dyn FnOnce(Outcome) + Send>;

/// An order to one process.
pub(super) struct Order {
    /// None if the order is carried out when the process is there and fitted out.
    what: Option<Arc<Parcel>>,
    /// The number of the gear that it is.
    gear: Option<u64>,
    /// It says that the process is to leave: only the one that is there.
    leaves: bool,
    /// None if this is gear that the process gets since it has started.
    hear: Option<Hear>,
}

/// The orders to the processes of a fleet, over all that take the places of others.
pub(super) struct Orders(Mutex<State>);

struct State {
    places: Vec<Place>,
    /// What every process has, by numbers.
    gear: Vec<(u64, Arc<Parcel>)>,
    last: u64,
}

#[derive(Default)]
struct Place {
    /// That of the process, if it is there and was not told to leave.
    outbox: Option<Arc<Outbox>>,
    /// The orders for the next process.
    waiting: Vec<Order>,
    /// There is none any more, and why.
    closed: Option<Closed>,
}

/// Why there is no process to give orders to.
#[derive(Clone, Copy)]
pub(super) enum Closed {
    /// The fleet is closed.
    Client,
    /// The process was retired.
    Retired,
}

impl Order {
    fn end(self, process: usize, outcome: Outcome) {
        match (self.hear, outcome) {
            (Some(hear), outcome) => hear(outcome),
            (None, Outcome::Failed(error)) => _ = Python::try_attach(|py| log(py, process, error)),
            (None, _) => {}
        }
    }
}

/// A process has not got a piece of gear: no caller waits for that.
fn log(py: Python<'_>, process: usize, error: Packed) {
    static LOG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let error = Unread::new(error).raised(py).exception().error(py);
    let logged = python(py, &LOG, "azolla._cluster.orders", "not_fitted")
        .and_then(|log| log.call1((process, error.value(py))));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

impl Orders {
    pub(super) fn new(processes: usize) -> Self {
        let places = (0..processes).map(|_| Place::default()).collect();
        Self(Mutex::new(State { places, gear: Vec::new(), last: 0 }))
    }

    /// Nothing is heard, and so no Python runs, while this is locked.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an order to processes, as [`Reins::give`](super::Reins::give) says. If every process that starts later is to get it
    /// too, returns the number of this gear. What is ordered after an order to leave waits for the next process.
    pub(super) fn give(
        &self,
        what: Option<&Arc<Parcel>>,
        stays: bool,
        leave: Option<Duration>,
        to: impl IntoIterator<Item = (usize, Hear)>,
    ) -> Option<u64> {
        let (mut refused, mut over) = (Vec::new(), Vec::new());
        let mut state = self.lock();
        let gear = what.filter(|_| stays).map(|what| {
            state.last += 1;
            let number = state.last;
            state.gear.push((number, Arc::clone(what)));
            number
        });
        for (process, hear) in to {
            let leaves = leave.is_some();
            let order = Order { what: what.cloned(), gear, leaves, hear: Some(hear) };
            match (state.places.get_mut(process), leave) {
                (Some(Place { closed: None, outbox, .. }), Some(patience)) => match outbox.take() {
                    Some(outbox) => outbox.say_leave(order, patience),
                    None => over.push((process, order)),
                },
                (Some(Place { closed: None, outbox: Some(outbox), .. }), None) => {
                    outbox.say(Out::Order(order));
                }
                (Some(Place { closed: None, waiting, .. }), None) => waiting.push(order),
                (Some(Place { closed: Some(why), .. }), _) => refused.push((process, order, *why)),
                (None, _) => refused.push((process, order, Closed::Client)),
            }
        }
        drop(state);
        refuse(refused);
        for (process, order) in over {
            order.end(process, has_ended(process, Ended::Restarted));
        }
        gear
    }

    /// Tells a process that the task at hand is to stop soon, if it still is this one.
    pub(super) fn interrupt(&self, process: usize, task: u64) {
        let outbox = self.lock().places.get(process).and_then(|place| place.outbox.clone());
        if let Some(outbox) = outbox {
            outbox.say(Out::Interrupt(task));
        }
    }

    /// Has another process take the place of this one at once.
    pub(super) fn replace(&self, process: usize) {
        let outbox = self.lock().places.get_mut(process).and_then(|place| place.outbox.take());
        if let Some(outbox) = outbox {
            outbox.replace();
        }
    }

    /// Processes that start from now on do not get this gear.
    pub(super) fn take_off(&self, gear: u64) {
        let mut state = self.lock();
        let at = state.gear.iter().position(|(number, _)| *number == gear);
        let gone = at.map(|at| state.gear.remove(at));
        drop(state);
        drop(gone);
    }

    /// A process is there. Returns what it is to be told first.
    pub(super) fn begin(&self, process: usize, outbox: &Arc<Outbox>) -> Given {
        let mut state = self.lock();
        let State { places, gear, .. } = &mut *state;
        let place = &mut places[process];
        place.outbox = Some(Arc::clone(outbox));
        let mut waiting = mem::take(&mut place.waiting);
        let one = |(number, what): &(u64, Arc<Parcel>)| match waiting
            .iter()
            .position(|order| order.gear == Some(*number))
        {
            Some(at) => waiting.remove(at),
            None => {
                let what = Some(Arc::clone(what));
                Order { what, gear: Some(*number), leaves: false, hear: None }
            }
        };
        let first = gear.iter().map(one).collect();
        let then = waiting.into();
        Given { process, first, then, ..Given::default() }
    }

    /// The process has ended like this, or with the client (`None`). What it was not told of, the next one is told.
    pub(super) fn end(&self, given: Given, outbox: &Outbox, how: Option<Ended>) {
        let Given { process, sent, first, then, .. } = given;
        let mut state = self.lock();
        let place = &mut state.places[process];
        place.outbox = None;
        let said = outbox.take().into_iter().filter_map(|out| match out {
            Out::Order(order) => Some(order),
            _ => None,
        });
        let first = first.into_iter().filter(|order| order.hear.is_some());
        let later = mem::take(&mut place.waiting);
        let unsent = first.chain(then).chain(said).chain(later);
        let (over, waiting) = unsent.partition(|order| order.leaves);
        place.waiting = waiting;
        drop(state);
        for order in sent.into_values().chain::<Vec<_>>(over) {
            let closed = || Closed::Client.outcome(process);
            order.end(process, how.map_or_else(closed, |how| has_ended(process, how)));
        }
    }

    /// The process cannot be started, unless it is tried again by now.
    pub(super) fn cannot_start(
        &self,
        process: usize,
        error: &StartError,
        is_starting: impl FnOnce() -> bool,
    ) {
        let mut state = self.lock();
        // The thread that has it tried again gives the orders for the next process after that.
        let waiting = match is_starting() {
            true => Vec::new(),
            false => mem::take(&mut state.places[process].waiting),
        };
        drop(state);
        for order in waiting {
            order.end(process, Outcome::Told("KilledWorker", error.to_string()));
        }
    }

    /// There is no such process any more.
    pub(super) fn close(&self, process: usize, why: Closed) {
        let mut state = self.lock();
        let place = &mut state.places[process];
        place.closed = place.closed.or(Some(why));
        let waiting = mem::take(&mut place.waiting);
        drop(state);
        refuse(waiting.into_iter().map(|order| (process, order, why)).collect());
    }

    /// There is one more process.
    pub(super) fn make_room(&self) {
        self.lock().places.push(Place::default());
    }
}

/// The process has ended like this before it had answered.
fn has_ended(process: usize, how: Ended) -> Outcome {
    Outcome::Told("ConnectionError", format!("worker {process} {how} before it had answered"))
}

fn refuse(orders: Vec<(usize, Order, Closed)>) {
    orders.into_iter().for_each(|(process, order, why)| order.end(process, why.outcome(process)));
}

impl Closed {
    fn outcome(self, process: usize) -> Outcome {
        match self {
            Self::Client => {
                Outcome::Told("ClosedClientError", "the client was closed during the call".into())
            }
            Self::Retired => {
                Outcome::Told("ConnectionError", format!("worker {process} was retired"))
            }
        }
    }
}

/// What one process was told to do, and is to be told.
#[derive(Default)]
pub(super) struct Given {
    process: usize,
    /// The number of the last order.
    last: u64,
    /// The orders that it has not answered.
    sent: FxHashMap<u64, Order>,
    /// The gear that it is to be given yet.
    first: VecDeque<Order>,
    /// The number of the gear that it is at.
    fits: Option<u64>,
    /// What comes after that.
    then: VecDeque<Order>,
    /// It gets tasks.
    is_fitted: bool,
}

impl Given {
    pub(super) fn add(&mut self, order: Order) {
        self.then.push_back(order);
    }

    /// Tells the process what it is to be told by now. Returns false if it is gone.
    pub(super) fn send(&mut self, side: &mut Side) -> Result<bool, LineError> {
        while self.fits.is_none() {
            let next = self.first.pop_front();
            if next.is_none() && !mem::replace(&mut self.is_fitted, true) {
                side.open();
            }
            let is_gear = next.is_some();
            let Some(order) = next.or_else(|| self.then.pop_front()) else { break };
            let Some(what) = order.what.clone() else {
                order.end(self.process, Outcome::There);
                continue;
            };
            self.last += 1;
            self.fits = is_gear.then_some(self.last);
            self.sent.insert(self.last, order);
            let Side { line, remote, .. } = side;
            let what = what.packed.blob(|place| remote.lend(place))?;
            if !line.send(&News::Order(self.last, what))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The process has carried out an order.
    pub(super) fn obeyed(&mut self, number: u64, outcome: Outcome) {
        self.fits = self.fits.filter(|fits| *fits != number);
        if let Some(order) = self.sent.remove(&number) {
            order.end(self.process, outcome);
        }
    }
}
