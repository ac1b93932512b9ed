//! A fleet: so many worker processes, kept alive.
//!
//! One thread, the *keeper*, starts the processes, sees them end, and starts others in their place. It does all that can
//! block, so a client's own threads never wait for the system. The client has a thread for each thread of each
//! process; that one asks the fleet for a *link*, uses it until the process ends, and asks for the next.
//!
//! What becomes of a process is decided in `member`, and done in `keeper`. Whoever wants something done leaves word and
//! wakes the keeper. So a copy of this process that a fork has made has no power over the processes.

mod keeper;
mod link;
mod member;
mod memory;
mod wake;

pub use link::{Link, Remote};

use crate::arena::THREADS;
use crate::line::LineError;
use crate::process::Ended;
use crate::program::Program;
use keeper::Keeper;
use link::Running;
use member::{Member, Take};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use wake::Wake;

/// So many worker processes, kept alive. They end when this is closed or dropped.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
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
    /// The number by which the system knows it. `None` while it starts, and when it cannot be started.
    pub id: Option<u32>,
    /// How many times it was started.
    pub starts: u32,
    /// True once the fleet has given up starting it.
    pub failed: bool,
}

/// What the memory of a process is used for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// What it takes itself.
    pub own: u64,
    /// What it has stored in its arena, and is still needed.
    pub stored: u64,
}

/// What the fleet and its keeper share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A member has changed, or the fleet is closed.
    changed: Condvar,
    /// Wakes the keeper.
    wake: Arc<Wake>,
    /// How many bytes of memory each process may take.
    memory: Option<u64>,
}

#[derive(Debug)]
struct State {
    closed: bool,
    members: Vec<Member<Arc<Running>>>,
}

impl Fleet {
    /// Starts so many processes of so many threads each, in the background.
    ///
    /// `program` says what the process with this number runs. The keeper calls it on its own thread, for each start of
    /// the process. If it panics, the fleet is closed. A process that is not ready after the limit is killed, and started
    /// again. `memory` is how many bytes each may take, if that is limited: see `memory.rs`.
    ///
    /// # Errors
    /// If a process cannot have so many threads, or the system cannot start the keeper's thread.
    pub fn start(
        processes: usize,
        threads: u16,
        limit: Duration,
        memory: Option<u64>,
        program: impl FnMut(usize) -> Program + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        if usize::from(threads) > THREADS {
            let message = format!("a worker process has at most {THREADS} threads");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let members = (0..processes).map(|_| Member::new(threads)).collect();
        let shared = Arc::new(Shared {
            state: Mutex::new(State { closed: false, members }),
            changed: Condvar::new(),
            wake: Arc::new(Wake::new()?),
            memory,
        });
        let keeper = Keeper::new(Arc::clone(&shared), processes, limit, program);
        thread::Builder::new().name("azolla-keeper".into()).spawn(|| keeper.run())?;
        Ok(Arc::new(Self { shared }))
    }

    /// Waits for the link to a thread of a process, and returns it. There is one for each time that the process is
    /// started: another call waits until the process has ended and the next one is ready. Returns `None` once the fleet
    /// is closed.
    ///
    /// # Errors
    /// If the process cannot be started, as several tries in a row have shown; it is not tried again. If there are no
    /// descriptors for the link; then a later call may succeed.
    ///
    /// # Panics
    /// If there is no such process or thread.
    pub fn link(&self, process: usize, thread: u16) -> Result<Option<Link>, StartError> {
        let mut state = self.shared.lock();
        loop {
            if state.closed {
                return Ok(None);
            }
            match state.members[process].take(thread) {
                Take::Later => {
                    let woken = self.shared.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                Take::Never(error) => return Err(error),
                Take::Now { process: running, start } => {
                    drop(state);
                    let linked = Link::open(running, thread);
                    state = self.shared.lock();
                    match linked {
                        Ok(Some(link)) => return Ok(Some(link)),
                        // It has ended meanwhile.
                        Ok(None) => {}
                        Err(error) => {
                            state.members[process].put_back(thread, start);
                            return Err(StartError::System { process, error: Arc::new(error) });
                        }
                    }
                }
            }
        }
    }

    /// Ends all processes, and every wait for a link. It does not wait until they have ended. Once the fleet is closed,
    /// this does nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// What is known of each process now.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.lock().members.iter().map(Member::seen).collect()
    }

    /// Returns what the memory of each process is used for. What it takes itself was seen up to 100 ms ago.
    #[must_use]
    pub fn used(&self) -> Vec<Used> {
        let used = |running: &Arc<Running>| running.used();
        let state = self.shared.lock();
        state.members.iter().map(|it| it.process().map(used).unwrap_or_default()).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
        self.wake.wake();
    }
}
