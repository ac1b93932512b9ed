//! The side line of a process, as its client has it: it sleeps until the process says something, or another thread of the
//! client has something to say.

use super::link::{Link, Remote, Running};
use super::wake::Wake;
use super::{Shared, StartError};
use crate::line::{Line, LineError};
use crate::message::Order;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where the side lines of a process come from, one for each time that it is started. It does not keep the fleet alive.
#[derive(Debug)]
pub struct Sides {
    pub(super) shared: Arc<Shared>,
    pub(super) process: usize,
}

impl Sides {
    /// Waits for the side line of the process, and returns it. Another call waits until the process has ended and the next
    /// one is ready. Returns `None` once the fleet is closed.
    ///
    /// # Errors
    /// As for the links to its threads.
    pub fn next(&self) -> Result<Option<Side>, StartError> {
        let order = Order::Side;
        let Some(link) = self.shared.link(self.process, self.shared.threads, order)? else {
            return Ok(None);
        };
        let wake = match Wake::new() {
            Ok(wake) => Arc::new(wake),
            Err(error) => {
                link.remote.kill(); // it has got its end, and gets no other
                let (process, error) = (self.process, Arc::new(error));
                return Err(StartError::System { process, error });
            }
        };
        let Link { line, remote } = link;
        let (shared, process) = (Arc::clone(&self.shared), self.process);
        Ok(Some(Side { line, remote, wake, shared, process }))
    }

    /// Returns true if the process is not ready or not fitted out yet, and may be some time.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.shared.members.is_starting(self.process)
    }

    /// Waits until the fleet is closed, but not longer than this. Returns true if it is closed.
    #[must_use]
    pub fn wait_until_closed(&self, limit: Duration) -> bool {
        self.shared.members.wait_until_closed(limit);
        self.shared.members.is_closed()
    }
}

/// The client's end of a side line.
#[derive(Debug)]
pub struct Side {
    /// The line.
    pub line: Line,
    /// The process. It has no claim.
    pub remote: Remote,
    wake: Arc<Wake>,
    shared: Arc<Shared>,
    process: usize,
}

/// Has a process make way for the next one. It does not keep the process alive.
#[derive(Clone, Debug)]
pub struct Leaver {
    shared: Arc<Shared>,
    process: usize,
    running: Weak<Running>,
}

impl Leaver {
    /// The process is told to leave. It gets no tasks any more, does not count as there, and is killed if it takes longer than
    /// this. Another one takes its place.
    pub fn leave(&self, patience: Duration) {
        if let Some(leaves) = self.running.upgrade() {
            self.shared.members.leaves(self.process, |running| Arc::ptr_eq(running, &leaves));
            leaves.leave(patience);
        }
    }
}

/// Wakes the thread that waits at a side line.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Wake>);

impl Side {
    /// The process is fitted out: its threads may get tasks. Before that they get none if [the fleet waits for
    /// this](super::Fleet::wait_for_gear).
    pub fn open(&self) {
        self.shared.members.open(self.process, |running| self.remote.is_of(running));
    }

    /// What has the process make way for the next one.
    #[must_use]
    pub fn leaver(&self) -> Leaver {
        let (shared, running) = (Arc::clone(&self.shared), self.remote.running());
        Leaver { shared, process: self.process, running: Arc::downgrade(running) }
    }

    /// What wakes the thread that waits here.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    /// Waits until a message comes or the line ends, or another thread wakes this one. Returns true if something is to be
    /// heard.
    ///
    /// # Errors
    /// If what has come is no message.
    pub fn wait(&self) -> Result<bool, LineError> {
        if self.line.has_come()? {
            return Ok(true);
        }
        let mut both =
            [PollFd::new(&self.line, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let [line, wake] = both.map(|polled| !polled.revents().is_empty());
        if wake {
            self.wake.woken();
        }
        Ok(line)
    }
}

impl Waker {
    /// Wakes the thread, now or when it waits next.
    pub fn wake(&self) {
        self.0.wake();
    }
}
