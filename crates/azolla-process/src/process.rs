//! A process that this one has started, and the line by which it is told what to do.
//!
//! The process has the other end of the line as its standard input. When this process dies, whatever its state, that
//! line ends, and the other process ends itself. When the other process dies, this one learns it from the system, since
//! a process that a task has forked may hold the line open.

use crate::line::Line;
use crate::program::{Program, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, pidfd_open,
    pidfd_send_signal, waitid,
};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A process that was started. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    id: Pid,
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
    /// It was killed since it took more memory than this, in bytes.
    OverLimit(u64),
    /// It was told to leave, so that another process can take its place.
    Restarted,
    /// In a way that the system does not tell any more: other code in this process has waited for it, as code does that
    /// waits for any child.
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::OverLimit(limit) => {
                write!(f, "was killed over its memory limit of {}", Size(*limit))
            }
            Self::Restarted => f.write_str("was restarted"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

impl From<WaitIdStatus> for Ended {
    fn from(status: WaitIdStatus) -> Self {
        // One of the two is there once a process has been waited for.
        let code = || Self::Code(status.exit_status().unwrap_or_default());
        status.terminating_signal().map_or_else(code, Self::Signal)
    }
}

/// A number of bytes as text.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 as f64 / (1 << 20) as f64 {
            small if small < 1024.0 => write!(f, "{small:.0} MiB"),
            large => write!(f, "{:.2} GiB", large / 1024.0),
        }
    }
}

impl Process {
    /// Starts a process, and returns this end of its control line. The line takes descriptors.
    ///
    /// # Errors
    /// If the system cannot start it.
    pub fn start(program: &Program) -> io::Result<(Self, Line)> {
        let (here, there) = Line::pair()?;
        let process = Self::of(spawn(program, there)?)?;
        Ok((process, here.taking_descriptors()))
    }

    fn of(id: Pid) -> io::Result<Self> {
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(end) => Ok(Self { id, end, ended: None }),
            Err(error) => {
                let _ = kill_process(id, Signal::KILL);
                let _ = waitid(WaitId::Pid(id), WaitIdOptions::EXITED);
                Err(error.into())
            }
        }
    }

    /// The number by which the system knows the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id.as_raw_pid().unsigned_abs()
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
            let now = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            self.ended = match waitid(WaitId::PidFd(self.end.as_fd()), now) {
                Ok(status) => status.map(Ended::from),
                Err(Errno::CHILD) => Some(Ended::Unknown),
                Err(Errno::INTR) => None,
                Err(error) => return Err(error.into()),
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

/// Returns how many bytes of memory a process takes that are its own. Returns `None` if there is no such process.
#[must_use]
pub fn own_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
