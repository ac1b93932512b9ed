//! Calls that a process asks for aside. Each has a thread, since it may wait; but a wait that a coroutine awaits takes none.
//! What is taken out of a queue, say, is the process's only when that has the answer.

use super::asked::Reply;
use super::desk::{Out, Outbox};
use super::holdings::Holdings;
use super::rare::{AtHand, Call, given, is_true};
use crate::session::shared::Cluster;
use crate::session::thread::watching;
use crate::task::job::PyJob;
use azolla::runtime::Engine;
use azolla_process::fleet::Watch;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The calls of one process.
pub(super) struct Calls {
    outbox: Arc<Outbox>,
    holdings: Arc<Holdings>,
    process: Watch,
    open: Arc<Mutex<Open>>,
}

/// Those of which the process has not said that they are over.
#[derive(Default)]
struct Open {
    by_number: HashMap<u64, State>,
    /// The process has ended.
    is_over: bool,
}

enum State {
    /// It goes on. True once nobody wants its answer any more.
    On(Arc<AtomicBool>, Option<u64>),
    /// It is a wait, for this task: the `Turn`, of what, and the name of the method.
    Stands(Py<PyTuple>, Option<u64>),
    /// It was answered, for this task.
    Answered(AtHand, Option<u64>),
}

/// A call that is asked for.
pub(super) struct Asked<'a> {
    pub(super) number: u64,
    /// The task whose coroutine asks, if one does.
    pub(super) task: Option<u64>,
    /// Its job.
    pub(super) coroutine: Option<Arc<PyJob>>,
    /// The number of its client.
    pub(super) client: u32,
    /// It is a wait for something shared, which takes no thread.
    pub(super) stands: bool,
    /// A pickle that says what is called.
    pub(super) what: &'a [u8],
}

impl Calls {
    pub(super) fn new(outbox: &Arc<Outbox>, holdings: &Arc<Holdings>, process: Watch) -> Self {
        let (outbox, holdings) = (Arc::clone(outbox), Arc::clone(holdings));
        Self { outbox, holdings, process, open: Arc::default() }
    }

    /// Begins a call.
    pub(super) fn begin(
        &self,
        asked: &Asked<'_>,
        cluster: Option<Arc<Cluster>>,
        engine: &Arc<Engine<PyJob>>,
    ) {
        let Asked { number, task, client, stands, what, .. } = *asked;
        let Some(cluster) = cluster else {
            let gone = Reply::Told("ClosedClientError", "the client is gone".into());
            return self.outbox.say(Out::Answer(number, gone));
        };
        let (holdings, of) = (Arc::clone(&self.holdings), asked.coroutine.clone());
        let call = Call { cluster, client, of, holdings };
        if stands {
            // Here, so that waits stand in their order.
            return self.stand(&call, number, task, what);
        }
        let unwanted = Arc::new(AtomicBool::new(false));
        locked(&self.open).by_number.insert(number, State::On(Arc::clone(&unwanted), task));
        let (open, outbox) = (Arc::clone(&self.open), Arc::clone(&self.outbox));
        let (process, engine, what) = (self.process.clone(), Arc::clone(engine), what.to_vec());
        let run = move || {
            let is_unwanted = move || process.is_over() || unwanted.load(Ordering::Acquire);
            let mut at_hand = AtHand::of_answer();
            let called = || Python::try_attach(|py| call.call(py, &engine, &mut at_hand, &what));
            let Some(reply) = watching(is_unwanted, called) else { return };
            drop(call);
            match answered(&mut locked(&open), number, at_hand) {
                Ok(()) => outbox.say(Out::Answer(number, reply)),
                Err(mut at_hand) => _ = at_hand.give_back(),
            }
        };
        let name = format!("azolla-call-{number}");
        if let Err(error) = thread::Builder::new().name(name).spawn(run) {
            locked(&self.open).by_number.remove(&number);
            let why = format!("the client's process has no thread for this: {error}");
            self.outbox.say(Out::Answer(number, Reply::Told("RuntimeError", why)));
        }
    }

    /// Begins a wait for something shared. The outbox hears when it may be over.
    fn stand(&self, call: &Call, number: u64, task: Option<u64>, what: &[u8]) {
        let _ = Python::try_attach(|py| match call.turn(py, what) {
            Ok(turn) => {
                let stands = State::Stands(turn.clone().unbind(), task);
                locked(&self.open).by_number.insert(number, stands);
                let standing = Standing { outbox: Arc::clone(&self.outbox), number };
                let there = Py::new(py, standing).and_then(|standing| {
                    turn.get_item(0)?.call_method1(intern!(py, "stand"), (standing, py.None()))
                });
                // An error is raised again by what asks for the answer.
                if there.map_or(true, |there| there.is_truthy().unwrap_or(true)) {
                    self.outbox.say(Out::Ready(number));
                }
            }
            Err(reply) => self.outbox.say(Out::Answer(number, reply)),
        });
    }

    /// A wait may be over.
    pub(super) fn ready(&self, number: u64, engine: &Arc<Engine<PyJob>>) {
        let stands = {
            let mut open = locked(&self.open);
            match open.by_number.get(&number) {
                Some(State::Stands(..)) => open.by_number.remove(&number),
                _ => None,
            }
        };
        let Some(State::Stands(turn, task)) = stands else { return };
        let mut at_hand = AtHand::of_answer();
        let given = Python::try_attach(|py| given(py, engine, &turn, &mut at_hand));
        let (Some(reply), mut open) = (given, locked(&self.open)) else { return };
        match reply {
            Some(reply) => {
                open.by_number.insert(number, State::Answered(at_hand, task));
                drop(open);
                drop_turn(turn);
                self.outbox.say(Out::Answer(number, reply));
            }
            None => _ = open.by_number.insert(number, State::Stands(turn, task)),
        }
    }

    /// The process has the answer to a call, or does not want it any more.
    pub(super) fn over(&self, number: u64, taken: bool) {
        if !taken {
            self.give_up(number);
            return;
        }
        let Some(State::Answered(mut at_hand, task)) = self.ended(number) else { return };
        let Some((task, mut own)) = task.and_then(|it| Some((it, self.holdings.take_at_hand(it)?)))
        else {
            return at_hand.end();
        };
        own.add(at_hand);
        if let Err(mut own) = self.holdings.hand(task, own) {
            own.end();
        }
    }

    /// The process does not want the answer to a call any more. Returns false if what it asked for has been done, and cannot
    /// be undone.
    pub(super) fn give_up(&self, number: u64) -> bool {
        match self.ended(number) {
            Some(State::Answered(mut at_hand, _)) => at_hand.give_back(),
            Some(State::Stands(turn, _)) => give_up(turn),
            _ => true,
        }
    }

    /// Takes a call out that does not go on. Nobody wants the answer of one that does.
    fn ended(&self, number: u64) -> Option<State> {
        let mut open = locked(&self.open);
        if let State::On(unwanted, _) = open.by_number.get(&number)? {
            unwanted.store(true, Ordering::Release);
            return None;
        }
        open.by_number.remove(&number)
    }

    /// The process has ended.
    pub(super) fn end(&self) {
        let open = {
            let mut open = locked(&self.open);
            open.is_over = true;
            std::mem::take(&mut open.by_number)
        };
        for state in open.into_values() {
            match state {
                State::Answered(mut at_hand, _) => _ = at_hand.give_back(),
                State::Stands(turn, _) => _ = give_up(turn),
                State::On(..) => {}
            }
        }
    }
}

/// Takes the place of an event loop for a `Turn`.
#[pyclass(frozen)]
struct Standing {
    outbox: Arc<Outbox>,
    number: u64,
}

#[pymethods]
impl Standing {
    fn call_soon_threadsafe(&self, _callback: &Bound<'_, PyAny>) {
        self.outbox.say(Out::Ready(self.number));
    }
}

/// Gives a wait up: what it was given goes to others. Returns false if it is too late for that.
fn give_up(turn: Py<PyTuple>) -> bool {
    let given_up = Python::try_attach(|py| {
        let turn = turn.into_bound(py);
        let given_up = turn.get_item(0).and_then(|it| it.call_method0(intern!(py, "give_up")));
        is_true(py, given_up)
    });
    given_up.unwrap_or(true)
}

/// Drops a `Turn` whose wait is over.
fn drop_turn(turn: Py<PyTuple>) {
    let _ = Python::try_attach(|py| drop(turn.into_bound(py)));
}

/// A call has been made. Gives back what it has taken if nobody wants its answer.
fn answered(open: &mut Open, number: u64, at_hand: AtHand) -> Result<(), AtHand> {
    let Some(State::On(unwanted, task)) = open.by_number.get(&number) else { return Err(at_hand) };
    if unwanted.load(Ordering::Acquire) || open.is_over {
        open.by_number.remove(&number);
        return Err(at_hand);
    }
    let task = *task;
    open.by_number.insert(number, State::Answered(at_hand, task));
    Ok(())
}

fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
