//! The members of a fleet, as threads share them: the keeper says what becomes of a process, and others wait for that.
//!
//! `member.rs` decides, and knows no thread. Nothing here knows the system, so the model checker runs it
//! (`tests/model`).

mod life;
mod member;
mod memory;

pub use life::Life;
pub use member::TRIES;
pub use memory::{Entry, Memory};

use crate::line::LineError;
use crate::primitives::{Condvar, Mutex, MutexGuard, lock, wait, wait_while};
use crate::process::Ended;
use member::{Member, Take};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The members of a fleet. `P` is what is shared by all who use a process that is ready.
#[derive(Debug)]
pub struct Members<P> {
    state: Mutex<State<P>>,
    /// A member has changed, or the fleet is closed.
    changed: Condvar,
}

#[derive(Debug)]
struct State<P> {
    closed: bool,
    /// Processes that become ready have to be fitted out.
    fits: bool,
    /// How many threads each has.
    threads: u16,
    members: Vec<Member<P>>,
}

/// A thread of a process that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<P> {
    /// The process.
    pub process: P,
    /// How many times it had been started.
    pub start: u32,
}

/// Why a process of the fleet has no link to give.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// It has ended like this before it was ready, at the last of several tries.
    #[error("worker process {process} {ended} before it was ready, in the last of {tries} tries")]
    Ended {
        /// The number of the process in the fleet.
        process: usize,
        /// How it has ended.
        ended: Ended,
        /// How often it was tried.
        tries: usize,
    },
    /// It has said something else than that it is ready, or nothing, at the last of several tries.
    #[error("worker process {process} does not become ready: {error}")]
    Unready {
        /// The number of the process in the fleet.
        process: usize,
        /// What came instead.
        error: Arc<LineError>,
    },
    /// It took too long until it was ready, at the last of several tries.
    #[error(
        "worker process {process} was not ready after {limit:?} and was killed, in the last of {tries} tries"
    )]
    Late {
        /// The number of the process in the fleet.
        process: usize,
        /// How long it could take.
        limit: Duration,
        /// How often it was tried.
        tries: usize,
    },
    /// It was retired.
    #[error("worker process {process} was retired")]
    Retired {
        /// The number of the process in the fleet.
        process: usize,
    },
    /// The system does not start it, or has no descriptors for it.
    #[error("worker process {process} cannot be started: {error}")]
    System {
        /// The number of the process in the fleet.
        process: usize,
        /// What the system says.
        error: Arc<io::Error>,
    },
}

/// What is known of a process of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The number by which the system knows it. `None` while it starts, when it was told to leave, and when it cannot be
    /// started.
    pub id: Option<u32>,
    /// How many times it was started.
    pub starts: u32,
    /// True if it is ready and fitted out: its threads may get tasks.
    pub ready: bool,
    /// True once the fleet has given up starting it.
    pub failed: bool,
    /// True once it was retired. It may go on until it ends.
    pub retired: bool,
}

/// What the keeper is to do about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It is to run, and is not ready: the keeper starts it, unless it has, or the start is put off.
    Start,
    /// It is to end, or not to start.
    End,
    /// It stays as it is.
    Nothing,
}

impl<P: Clone> Members<P> {
    /// So many processes of so many threads each. None is started yet.
    #[must_use]
    pub fn new(processes: usize, threads: u16) -> Self {
        let members = (0..processes).map(|_| Member::new(threads)).collect();
        Self {
            state: Mutex::new(State { closed: false, fits: false, threads, members }),
            changed: Condvar::new(),
        }
    }

    /// There is one more process. Returns its number.
    pub fn add(&self) -> usize {
        let mut state = self.lock();
        let member = Member::new(state.threads);
        state.members.push(member);
        state.members.len() - 1
    }

    /// This process is not started again. It goes on if it is ready and fitted out; otherwise the keeper ends it.
    pub fn retire(&self, process: usize) {
        self.lock().members[process].retire();
        self.changed.notify_all();
    }

    /// If this process could not be started, it is tried again.
    pub fn start_again(&self, process: usize) {
        self.lock().members[process].start_again();
        self.changed.notify_all();
    }

    /// For the keeper: what is to be done about each process.
    #[must_use]
    pub fn due(&self) -> Vec<Due> {
        self.lock().members.iter().map(Member::due).collect()
    }

    /// What is known of this process now.
    #[must_use]
    pub fn seen_of(&self, process: usize) -> Seen {
        self.lock().members[process].seen()
    }

    /// Returns true if this process is not ready or not fitted out yet, and may be some time.
    #[must_use]
    pub fn is_starting(&self, process: usize) -> bool {
        self.lock().members[process].is_starting()
    }

    /// Returns true if this process was retired.
    #[must_use]
    pub fn is_retired(&self, process: usize) -> bool {
        self.lock().members[process].is_retired()
    }

    /// For the keeper: it starts a process. Returns false if that was retired, and is not to be started.
    #[must_use]
    pub fn started(&self, process: usize) -> bool {
        self.lock().members[process].started()
    }

    /// For the keeper: a process is ready. The system knows it by `id`.
    pub fn ready(&self, process: usize, shared: P, id: u32) {
        let mut state = self.lock();
        let fits = state.fits;
        state.members[process].ready(shared, id, fits);
        drop(state);
        self.changed.notify_all();
    }

    /// From now on, a process that becomes ready has to be fitted out, over its last link, before any other is taken.
    pub fn fit(&self) {
        self.lock().fits = true;
    }

    /// This process is fitted out, if it is the one for which `is_it` holds.
    pub fn open(&self, process: usize, is_it: impl FnOnce(&P) -> bool) {
        self.lock().members[process].open(is_it);
        self.changed.notify_all();
    }

    /// This process ends soon, if it is the one for which `is_it` holds. It does not count as there any more.
    pub fn leaves(&self, process: usize, is_it: impl FnOnce(&P) -> bool) {
        self.lock().members[process].leaves(is_it);
        self.changed.notify_all();
    }

    /// For the keeper: a process has ended, or could not be started. Returns how long the next start is put off, or `None`
    /// if there is no next one. Then `why` is what those who wait are told.
    pub fn ended(&self, process: usize, why: StartError) -> Option<Duration> {
        let delay = self.lock().members[process].ended(why);
        self.changed.notify_all();
        delay
    }

    /// Waits until a thread of a process can be taken, and takes it. It can be taken once for each start of the process.
    /// Returns `None` once the fleet is closed.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn take(&self, process: usize, thread: u16) -> Option<Result<Taken<P>, StartError>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.members[process].take(process, thread) {
                Take::Now { process, start } => return Some(Ok(Taken { process, start })),
                Take::Never(error) => return Some(Err(error)),
                Take::Later => state = wait(&self.changed, state),
            }
        }
    }

    /// A thread that was taken at this start of its process is of no use to its taker, and can be taken again.
    pub fn put_back(&self, process: usize, thread: u16, start: u32) {
        self.lock().members[process].put_back(thread, start);
        self.changed.notify_all();
    }

    /// Ends every wait, now and from now on.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Returns true once the fleet is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until a process is ready or cannot be started, or the fleet is closed. Returns false if the limit comes first.
    pub fn wait_until_started(&self, process: usize, limit: Option<Duration>) -> bool {
        let starts = |state: &mut State<P>| !state.closed && state.members[process].is_starting();
        let mut state = self.lock();
        match limit {
            Some(limit) => {
                state = wait_while(&self.changed, (&self.state, state), limit, starts);
            }
            None => {
                while starts(&mut state) {
                    state = wait(&self.changed, state);
                }
            }
        }
        !starts(&mut state)
    }

    /// Waits until the fleet is closed, but not longer than this.
    pub fn wait_until_closed(&self, limit: Duration) {
        let is_open = |state: &mut State<P>| !state.closed;
        drop(wait_while(&self.changed, (&self.state, self.lock()), limit, is_open));
    }

    /// What is known of each process now.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().members.iter().map(Member::seen).collect()
    }

    /// The processes that are ready now; `None` in place of the others.
    #[must_use]
    pub fn processes(&self) -> Vec<Option<P>> {
        self.lock().members.iter().map(|member| member.process().cloned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        lock(&self.state)
    }
}
