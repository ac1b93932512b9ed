//! A line: two connected sockets, one in the client, one in a worker process.

use crate::frame::{FrameError, Frames, append};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One end of a line.
#[derive(Debug)]
pub struct Line {
    socket: UnixStream,
    frames: Frames,
    /// The message that is sent. It stays allocated.
    out: Vec<u8>,
}

/// What came over a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// A message.
    Message(T),
    /// Nothing, for as long as was agreed.
    Nothing,
    /// The end: the other process has closed its end, or has died.
    End,
}

/// Why a line is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// What came is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The system says so.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Line {
    /// Makes a line, and returns both ends of it.
    ///
    /// # Errors
    /// If the system has no more sockets to give.
    pub fn pair() -> io::Result<(Self, Self)> {
        UnixStream::pair().map(|(one, other)| (Self::from(one), Self::from(other)))
    }

    /// Sends a message. Returns false if nobody is there to read it.
    ///
    /// # Errors
    /// If the message is too long, or the system cannot send it.
    pub fn send(&mut self, message: &impl Serialize) -> Result<bool, LineError> {
        self.out.clear();
        append(message, &mut self.out)?;
        match self.socket.write_all(&self.out) {
            Ok(()) => Ok(true),
            Err(error) if is_end(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// For how long [`hear`](Self::hear) waits before it says [`Heard::Nothing`]; for ever without one. It must not be
    /// zero.
    ///
    /// # Errors
    /// If it is zero.
    pub fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(patience)
    }

    /// Waits for the next message. A signal that this thread handles ends the wait with [`Heard::Nothing`].
    ///
    /// # Errors
    /// If what comes is no message, or was cut off.
    pub fn hear<'a, T: Deserialize<'a>>(&'a mut self) -> Result<Heard<T>, LineError> {
        while !self.frames.is_whole()? {
            let read = self.socket.read(self.frames.space());
            match read {
                Ok(0) => return self.ended(),
                Ok(bytes) => self.frames.filled(bytes),
                Err(error) if is_end(&error) => return self.ended(),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => return Ok(Heard::Nothing),
                    _ => return Err(error.into()),
                },
            }
        }
        Ok(self.frames.next()?.map_or(Heard::Nothing, Heard::Message))
    }

    fn ended<T>(&self) -> Result<Heard<T>, LineError> {
        if self.frames.is_in_the_middle() { Err(FrameError::CutOff.into()) } else { Ok(Heard::End) }
    }
}

/// Returns true if the other process is gone.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl From<UnixStream> for Line {
    fn from(socket: UnixStream) -> Self {
        Self { socket, frames: Frames::default(), out: Vec::new() }
    }
}

impl From<OwnedFd> for Line {
    fn from(socket: OwnedFd) -> Self {
        UnixStream::from(socket).into()
    }
}

impl From<Line> for OwnedFd {
    fn from(line: Line) -> Self {
        line.socket.into()
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
