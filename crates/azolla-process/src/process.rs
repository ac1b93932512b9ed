//! A process that this one has started, and the line by which it is told what to do.
//!
//! The process has the other end of the line as its standard input. When this process dies, whatever its state, that
//! line ends, and the other process ends itself. When the other process dies, this one learns it from the system, since
//! a process that a task has forked may hold the line open.

use crate::line::Line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that was started. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Becomes readable when the process ends.
    end: OwnedFd,
    /// How it has ended, once that is known.
    ended: Option<Ended>,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// In a way that the system does not tell any more: other code in this process has waited for it, as code does that
    /// waits for any child.
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        // One of the two is there once a process has been waited for.
        status.signal().map_or_else(|| Self::Code(status.code().unwrap_or_default()), Self::Signal)
    }
}

impl Process {
    /// Starts a process, and returns this end of its control line. The line takes descriptors.
    ///
    /// # Errors
    /// If the system cannot start it.
    pub fn start(command: &mut Command) -> io::Result<(Self, Line)> {
        let (here, there) = Line::pair()?;
        let child = command.stdin(OwnedFd::from(there)).spawn();
        // The command would keep the other end open here.
        command.stdin(Stdio::null());
        let process = Self::of(child?)?;
        Ok((process, here.taking_descriptors()))
    }

    fn of(mut child: Child) -> io::Result<Self> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(end) => Ok(Self { child, end, ended: None }),
            Err(error) => {
                let _ = (child.kill(), child.wait());
                Err(error.into())
            }
        }
    }

    /// The number by which the system knows the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process, if it has not ended.
    ///
    /// # Errors
    /// As the system says.
    pub fn kill(&self) -> io::Result<()> {
        // By its descriptor, since its number may belong to another process by now.
        match pidfd_send_signal(&self.end, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process has ended, but not beyond the deadline. Returns `None` if it goes on.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<Ended>> {
        while self.ended.is_none() {
            self.ended = match self.child.try_wait() {
                Ok(status) => status.map(Ended::from),
                Err(error) if error.raw_os_error() == Some(Errno::CHILD.raw_os_error()) => {
                    Some(Ended::Unknown)
                }
                Err(error) => return Err(error),
            };
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if self.ended.is_some() || left == Some(Duration::ZERO) {
                break;
            }
            self.sleep(left)?;
        }
        Ok(self.ended)
    }

    /// Sleeps until the process ends or the time is over, or somewhat shorter.
    fn sleep(&self, left: Option<Duration>) -> io::Result<()> {
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&self.end, PollFlags::IN)], left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Process {
    /// A descriptor that becomes readable when the process ends.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.kill(), self.wait(None));
    }
}
