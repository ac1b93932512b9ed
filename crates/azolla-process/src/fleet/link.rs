//! A link: a client's end of the line to one thread of a process, and what it needs of that process.
//!
//! The line ends when the process does, even if a process that a task has forked holds the other end open: the keeper
//! shuts down this end then.

use super::Used;
use super::wake::Wake;
use crate::claim::Claim;
use crate::leases::Leases;
use crate::line::{Line, LineError};
use crate::members::{Entry, Life, Memory};
use crate::message::{Order, Range};
use crate::place::{Home, Place};
use crate::process::{Ended, own_memory};
use crate::shown::Shown;
use rustix::net::{Shutdown, shutdown};
use rustix::process::Signal;
use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a process may take to end after one of its lines has. Then it is killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client's end of a thread's line, with the thread at the other end. When it is dropped, the thread sees the line
/// end.
#[derive(Debug)]
pub struct Link {
    /// The line.
    pub line: Line,
    /// The thread. It stands apart from the line, so that it can be used while a message from the line is read.
    pub remote: Remote,
}

/// A thread of a worker process.
#[derive(Debug)]
pub struct Remote {
    running: Arc<Running>,
    thread: u16,
}

/// Says that a task waits for others.
#[derive(Debug)]
pub struct Waits(Arc<Running>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.memory.go_on();
    }
}

/// Tells whether a process has ended.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Running>);

impl Watch {
    /// Returns true if it has.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.life.is_over()
    }
}

/// An actor is in a process until this is dropped.
#[derive(Debug)]
pub struct Resident(Arc<Running>);

impl Resident {
    /// Returns how the process has ended, if it has: the actor is lost.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.life.ended()
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.memory.drop_actor();
    }
}

/// A process that has been ready.
#[derive(Debug)]
pub(super) struct Running {
    arena: Arc<Shown>,
    /// The arenas that it reads, by number: what was sent of each is on its way.
    shows: Mutex<HashMap<u32, Weak<dyn Home>>>,
    /// What it may have mapped.
    leases: Mutex<Leases>,
    /// The number by which the system knows it.
    id: u32,
    memory: Memory,
    control: Mutex<Line>,
    /// With copies of the client's ends of its lines.
    life: Life<OwnedFd>,
    condemned: AtomicBool,
    /// When it is killed, once it was told to leave.
    leaves: OnceLock<Instant>,
    wake: Arc<Wake>,
}

impl Link {
    /// Makes the link of this number, and gives the process its end with an order. Returns `None` if the process has ended.
    pub(super) fn open(
        running: Arc<Running>,
        thread: u16,
        order: Order,
    ) -> io::Result<Option<Self>> {
        let (line, there) = Line::pair()?;
        let copy = line.as_fd().try_clone_to_owned()?;
        if !running.life.join(thread, copy) {
            return Ok(None);
        }
        // From here on the link's end closes the copy too.
        let remote = Remote { running, thread };
        let sent = remote.running.control().send_with(&order, &[there.as_fd()]);
        match sent {
            Ok(true) => Ok(Some(Self { line, remote })),
            Ok(false) => Ok(None),
            Err(LineError::System(error)) => Err(error),
            Err(LineError::Frame(error)) => Err(io::Error::other(error)),
        }
    }
}

impl Deref for Link {
    type Target = Remote;

    fn deref(&self) -> &Remote {
        &self.remote
    }
}

impl Remote {
    /// The thread's claim.
    #[must_use]
    pub fn claim(&self) -> Claim<'_> {
        self.running.arena.seen().claim(self.thread.into())
    }

    /// The arena of the thread's process. It can be read after the process has ended.
    #[must_use]
    pub fn arena(&self) -> &Arc<Shown> {
        &self.running.arena
    }

    /// The thread is to get tasks. Returns false if the process gets none any more: it has ended or will, say since it takes
    /// too much memory. This waits while it does and other threads of it have tasks.
    #[must_use]
    pub fn enter(&self) -> bool {
        match self.running.memory.enter(|| own_memory(self.running.id)) {
            Entry::Open => return true,
            Entry::Closed => {}
            Entry::Kill => self.kill(),
        }
        false
    }

    /// The tasks of the thread have ended.
    pub fn leave(&self) {
        self.running.memory.leave();
    }

    /// A task of the thread waits for others until this is dropped. The process gets those too, whatever memory it takes.
    #[must_use]
    pub fn waits(&self) -> Waits {
        self.running.memory.wait();
        Waits(Arc::clone(&self.running))
    }

    /// The state of an actor, or a result that cannot be pickled, is in the process until what this returns is dropped. Such
    /// a process is not replaced for its memory.
    #[must_use]
    pub fn resident(&self) -> Resident {
        self.running.memory.keep_actor();
        Resident(Arc::clone(&self.running))
    }

    /// Returns what a message to the process calls this place. The place lasts until the process gives back what it was
    /// lent, which may be many times, or ends.
    ///
    /// # Errors
    /// If the process must be shown the arena first, and the system cannot do that. The process is of no use then.
    pub fn lend(&self, place: &Arc<Place>) -> io::Result<Range> {
        self.running.show(place.home())?;
        locked(&self.running.leases).lend(place);
        Ok(place.range())
    }

    /// The process gives back what it was lent once.
    pub fn give_back(&self, range: Range) {
        let place = locked(&self.running.leases).give_back(range);
        drop(place);
    }

    /// Tells the process to send the results that the thread holds back. Returns false if the process is gone.
    ///
    /// # Errors
    /// If the system cannot send it.
    pub fn flush(&self) -> Result<bool, LineError> {
        self.running.control().send(&Order::Flush(self.thread))
    }

    /// Waits until the process has ended, and says how. It is for a client whose line has ended: a process that goes on
    /// nevertheless is killed after a second.
    #[must_use]
    pub fn ended(&self) -> Ended {
        let life = &self.running.life;
        life.wait_for(PATIENCE).unwrap_or_else(|| {
            self.kill();
            life.wait()
        })
    }

    /// Returns true if the process has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running.life.is_over()
    }

    /// What tells whether the process has ended, also where the link is not at hand.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.running))
    }

    /// Has the process killed, if it has not ended. It does not wait for that.
    pub fn kill(&self) {
        self.running.kill();
    }

    /// Returns true if this is the process.
    pub(super) fn is_of(&self, running: &Arc<Running>) -> bool {
        Arc::ptr_eq(&self.running, running)
    }

    pub(super) fn running(&self) -> &Arc<Running> {
        &self.running
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        drop(self.running.life.leave(self.thread));
    }
}

impl Running {
    pub(super) fn new(
        id: u32,
        limit: Option<u64>,
        arena: Arc<Shown>,
        control: Line,
        wake: Arc<Wake>,
    ) -> Self {
        let home: Arc<dyn Home> = Arc::clone(&arena) as _;
        Self {
            shows: Mutex::new(HashMap::from([(arena.number(), Arc::downgrade(&home))])),
            leases: Mutex::default(),
            arena,
            id,
            memory: Memory::new(limit),
            control: Mutex::new(control),
            life: Life::default(),
            condemned: AtomicBool::new(false),
            leaves: OnceLock::new(),
            wake,
        }
    }

    /// Has the process killed, if it has not ended. It does not wait for that.
    pub(super) fn kill(&self) {
        self.condemned.store(true, Ordering::Release);
        self.wake.wake();
    }

    pub(super) fn used(&self) -> Used {
        let stays = self.memory.actors();
        Used { own: self.memory.used(), stored: self.arena.live(), stays }
    }

    /// The process is told to leave. It gets no tasks any more, and is killed if it takes longer than this.
    pub(super) fn leave(&self, patience: Duration) {
        self.memory.close();
        self.leaves.get_or_init(|| Instant::now() + patience);
        self.wake.wake();
    }

    /// For the keeper: when the process is to be killed, if it was told to leave.
    pub(super) fn leaves(&self) -> Option<Instant> {
        self.leaves.get().copied().filter(|_| !self.is_condemned())
    }

    /// For the keeper: returns true if any of its threads has tasks.
    pub(super) fn is_busy(&self) -> bool {
        self.memory.is_busy()
    }

    /// For the keeper: looks how much memory the process takes. Returns true if it is to be killed for that.
    pub(super) fn takes_too_much(&self) -> bool {
        own_memory(self.id).is_some_and(|used| self.memory.saw(used))
    }

    /// For the keeper: returns true if the process is to be killed.
    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// For the keeper: the process has ended like this.
    pub(super) fn end(&self, ended: Ended) {
        let over = self.memory.end().filter(|_| ended == Ended::Signal(Signal::KILL.as_raw()));
        let ended = if self.leaves.get().is_some() { Ended::Restarted } else { ended };
        let ended = over.map_or(ended, Ended::OverLimit);
        self.arena.end();
        let leases = locked(&self.leases).end();
        drop(leases);
        for copy in self.life.end(ended) {
            let _ = shutdown(copy, Shutdown::Both);
        }
    }

    /// Shows the process an arena that is new to it, and tells it which of the others are gone.
    fn show(&self, home: &Arc<dyn Home>) -> io::Result<()> {
        let mut shows = locked(&self.shows);
        if shows.contains_key(&home.number()) {
            return Ok(());
        }
        let gone: Vec<_> = shows.extract_if(|_, home| home.strong_count() == 0).collect();
        shows.insert(home.number(), Arc::downgrade(home));
        drop(shows);
        let mut control = self.control();
        for (number, _) in gone {
            control.send(&Order::Forget(number)).map_err(io::Error::other)?;
        }
        // If the process has ended, the line to its thread says so too.
        let sent = control.send_with(&Order::Arena(home.number()), &[home.contents().file()]);
        sent.map(|_| ()).map_err(io::Error::other)
    }

    /// The control line. A client that sends holds it until the process reads, or ends.
    fn control(&self) -> MutexGuard<'_, Line> {
        locked(&self.control)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
