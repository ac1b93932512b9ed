//! Tasks in the order in which they end: what `as_completed` is built on.

use super::header::{Header, Status};
use super::job::Job;
use super::listeners::Listen;
use super::wait::{Latch, Patience, WaitError};
use super::worker::Worker;
use crate::primitives::Mutex;
use azolla_core::{TaskId, Wait};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Tasks in the order in which they end, for one or several threads to take.
pub struct Completions<J: Job + ?Sized> {
    state: Mutex<State<J>>,
}

struct State<J: Job + ?Sized> {
    ended: VecDeque<usize>,
    sleepers: VecDeque<Arc<Latch<J>>>,
    /// Listeners to call, once each, when a task has ended.
    listeners: Vec<Arc<dyn Listen>>,
    listed: Listed,
    pending: usize,
    /// The number of calls of `send_away`.
    sent_away: u64,
    /// Tasks with a token below this were cleared away.
    floor: usize,
}

/// The tasks that a sleeping worker waits for, as the engine is told. Some of them may have ended.
#[derive(Default)]
struct Listed {
    tasks: Arc<Vec<TaskId>>,
    /// The token of each of `tasks`.
    tokens: Vec<usize>,
    /// The tokens of the tasks that have ended since `forget_ended` was called.
    ended: Vec<usize>,
    /// The engine that the tasks belong to.
    engine: u32,
    /// Tasks of other engines were added too, which the list leaves out.
    mixed: bool,
}

impl Listed {
    fn add(&mut self, header: &Header, token: usize) {
        let Some(task) = header.id() else { return };
        if self.tasks.is_empty() {
            self.engine = header.engine();
        } else if self.engine != header.engine() {
            self.mixed = true;
            return;
        }
        // The list is pruned, so that it does not grow with every task ever added.
        if self.tokens.len() >= 64 && 2 * self.ended.len() > self.tokens.len() {
            self.forget_ended();
        }
        Arc::make_mut(&mut self.tasks).push(task);
        self.tokens.push(token);
    }

    fn forget_ended(&mut self) {
        self.ended.sort_unstable();
        let all = self.tasks.iter().copied().zip(self.tokens.iter().copied());
        let left = all.filter(|(_, token)| self.ended.binary_search(token).is_err());
        let (tasks, tokens) = left.unzip();
        self.tasks = Arc::new(tasks);
        self.tokens = tokens;
        self.ended.clear();
    }

    /// The list, for a worker of this engine. It is empty if it would leave tasks out.
    fn tasks(&self, engine: u32) -> Arc<Vec<TaskId>> {
        if self.mixed || self.engine != engine { Arc::default() } else { Arc::clone(&self.tasks) }
    }
}

impl<J: Job + ?Sized + 'static> Completions<J> {
    /// Completions with no task yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                ended: VecDeque::new(),
                sleepers: VecDeque::new(),
                listeners: Vec::new(),
                listed: Listed::default(),
                pending: 0,
                sent_away: 0,
                floor: 0,
            }),
        })
    }

    /// Adds a task under `token`, which must be greater than every token before.
    pub fn add(self: &Arc<Self>, job: &Arc<J>, token: usize) {
        {
            let mut state = self.state.lock();
            if token < state.floor {
                return;
            }
            state.pending += 1;
            // If no task was pending, all that are listed have ended.
            if state.pending == 1 {
                state.listed = Listed::default();
            }
            state.listed.add(job.header(), token);
        }
        let listener: Arc<dyn Listen> = Arc::<Self>::clone(self);
        job.header().listen(&listener, token);
    }

    /// Leaves a task out of what a worker waits for. Its token still comes when it ends.
    pub fn forget(&self, token: usize) {
        let mut state = self.state.lock();
        state.listed.ended.push(token);
        state.listed.forget_ended();
    }

    /// Takes the next task that has ended, if there is one now.
    pub fn try_next(&self) -> Option<usize> {
        self.state.lock().ended.pop_front()
    }

    /// Takes the next task that has ended. If there is none, has `who` called once when there may
    /// be one.
    pub fn next_or_listen(&self, who: &Arc<dyn Listen>) -> Option<usize> {
        let mut state = self.state.lock();
        let next = state.ended.pop_front();
        if next.is_none() {
            state.listeners.push(Arc::clone(who));
        }
        next
    }

    #[cfg(test)]
    pub(super) fn listed(&self) -> usize {
        self.state.lock().listed.tasks.len()
    }

    /// The number of tasks that have ended and were not taken.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.state.lock().ended.len()
    }

    /// Forgets all tasks with a token below this, and sends away the threads that wait for them.
    pub fn clear(&self, below: usize) {
        {
            let mut state = self.state.lock();
            state.floor = below;
            state.pending = 0;
            state.ended.clear();
            state.listed = Listed::default();
        }
        self.send_away();
    }

    /// Makes every thread that sleeps in [`next_since`](Self::next_since) return with nothing, and
    /// calls all listeners: the tasks that they wait for may never come.
    pub fn send_away(&self) {
        let (sleepers, listeners) = {
            let mut state = self.state.lock();
            state.sent_away += 1;
            (std::mem::take(&mut state.sleepers), std::mem::take(&mut state.listeners))
        };
        for sleeper in sleepers {
            sleeper.open();
        }
        for listener in listeners {
            listener.settled(0, Status::Cancelled);
        }
    }

    /// The number of calls of [`send_away`](Self::send_away).
    pub fn times_sent_away(&self) -> u64 {
        self.state.lock().sent_away
    }

    /// Waits for the next task that has ended, and takes it. The caller makes sure that one will
    /// come.
    ///
    /// # Errors
    /// As [`WaitError`] says.
    pub fn next<E>(
        &self,
        mut worker: Option<&mut Worker<J>>,
        deadline: Option<Instant>,
        mut interrupt: Option<&mut dyn FnMut() -> Result<(), E>>,
    ) -> Result<usize, WaitError<E>> {
        loop {
            let interrupt: Option<&mut dyn FnMut() -> Result<(), E>> = match &mut interrupt {
                Some(interrupt) => Some(&mut **interrupt),
                None => None,
            };
            let next = self.next_since(worker.as_deref_mut(), deadline, interrupt, None)?;
            if let Some(token) = next {
                return Ok(token);
            }
        }
    }

    /// Waits as [`next`](Self::next) does, for several threads that share the tasks to come.
    /// Returns `None` once `send_away` was called more often than `since` says.
    ///
    /// # Errors
    /// As [`WaitError`] says.
    pub fn next_since<E>(
        &self,
        mut worker: Option<&mut Worker<J>>,
        deadline: Option<Instant>,
        mut interrupt: Option<&mut dyn FnMut() -> Result<(), E>>,
        since: Option<u64>,
    ) -> Result<Option<usize>, WaitError<E>> {
        loop {
            let (latch, tasks) = {
                let mut state = self.state.lock();
                if let Some(token) = state.ended.pop_front() {
                    return Ok(Some(token));
                }
                if since.is_some_and(|since| since != state.sent_away) {
                    return Ok(None);
                }
                let latch = Latch::new(worker.as_deref(), 1, false);
                let engine = worker.as_deref().map_or(0, |worker| worker.engine.number);
                (latch, state.listed.tasks(engine))
            };
            let stand_in_line = || {
                let mut state = self.state.lock();
                if state.ended.is_empty() && since.is_none_or(|since| since == state.sent_away) {
                    state.sleepers.push_back(Arc::clone(&latch));
                } else {
                    drop(state);
                    latch.open();
                }
            };
            let interrupt: Option<&mut dyn FnMut() -> Result<(), E>> = match &mut interrupt {
                Some(interrupt) => Some(&mut **interrupt),
                None => None,
            };
            let patience = Patience { deadline, interrupt };
            let result = match worker.as_deref_mut().filter(|worker| worker.current().is_some()) {
                Some(worker) => {
                    worker.wait(&latch, Wait { tasks, all: false }, stand_in_line, patience)
                }
                None => {
                    stand_in_line();
                    latch.sleep(patience)
                }
            };
            if let Err(error) = result {
                self.leave_line(&latch);
                // A task that ended at the last moment counts, unless the wait timed out: the
                // deadline came first.
                let next = match error {
                    WaitError::Closed | WaitError::Cycle(_) => self.try_next(),
                    _ => None,
                };
                return next.map(Some).ok_or(error);
            }
        }
    }

    /// Removes a sleeper that gives up. If it was just being woken, another one is woken in its
    /// place.
    fn leave_line(&self, latch: &Arc<Latch<J>>) {
        let mut state = self.state.lock();
        let before = state.sleepers.len();
        state.sleepers.retain(|other| !Arc::ptr_eq(other, latch));
        if state.sleepers.len() == before && !state.ended.is_empty() {
            let next = state.sleepers.pop_front();
            drop(state);
            if let Some(next) = next {
                next.open();
            }
        }
    }
}

impl<J: Job + ?Sized + 'static> Listen for Completions<J> {
    fn settled(&self, token: usize, status: Status) {
        let (sleeper, listeners) = {
            let mut state = self.state.lock();
            if token < state.floor {
                return;
            }
            state.ended.push_back(token);
            state.pending -= 1;
            state.listed.ended.push(token);
            (state.sleepers.pop_front(), std::mem::take(&mut state.listeners))
        };
        if let Some(sleeper) = sleeper {
            sleeper.open();
        }
        for listener in listeners {
            listener.settled(token, status);
        }
    }
}
