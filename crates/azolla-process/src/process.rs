//! A process that this one has started, and the line by which it is told what to do.
//!
//! The process has the other end of the line as its standard input. When this process dies, whatever its state, that
//! line ends, and the other process ends itself. When the other process dies, this one learns it from the system, since
//! a process that a task has forked may hold the line open.

use crate::line::Line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that was started. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Becomes readable when the process ends.
    end: OwnedFd,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
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
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        match end {
            Ok(end) => Ok(Self { child, end }),
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
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits until the process has ended, but not beyond the deadline. Returns `None` if it goes on.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<Ended>> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.into()));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            self.sleep(left)?;
        }
    }

    /// Sleeps until the process ends or the time is over, or somewhat shorter.
    fn sleep(&self, left: Option<Duration>) -> io::Result<()> {
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&self.end, PollFlags::IN)], left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}
