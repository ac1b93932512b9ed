//! A line: two connected sockets, one in the client, one in a worker process.
//!
//! Descriptors travel with messages, to lines that take them: the control line of a process takes its arena and its
//! other lines.

use crate::frame::{FrameError, Frames, KEPT, append};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How many descriptors may go with one message.
pub const DESCRIPTORS: usize = 8;

/// One end of a line.
#[derive(Debug)]
pub struct Line {
    socket: UnixStream,
    frames: Frames,
    /// The message that is sent. It stays allocated, unless it is long.
    out: Vec<u8>,
    /// The descriptors that have come and were not taken, if the line takes any.
    descriptors: Option<VecDeque<OwnedFd>>,
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

    /// The same end, which takes descriptors from now on.
    #[must_use]
    pub fn taking_descriptors(self) -> Self {
        Self { descriptors: Some(VecDeque::new()), ..self }
    }

    /// The next of the descriptors that came with the messages that were heard.
    pub fn take_descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.as_mut()?.pop_front()
    }

    /// Sends a message. Returns false if nobody is there to read it.
    ///
    /// # Errors
    /// If the message is too long, or the system cannot send it.
    pub fn send(&mut self, message: &impl Serialize) -> Result<bool, LineError> {
        self.send_with(message, &[])
    }

    /// Sends a message and up to [`DESCRIPTORS`] descriptors, to an end that takes them.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(
        &mut self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<bool, LineError> {
        self.out.clear();
        append(message, &mut self.out)?;
        let sent = match descriptors {
            [] => Ok(0),
            some => send_some(&self.socket, &self.out, some),
        };
        let sent = sent.and_then(|sent| self.socket.write_all(&self.out[sent..]));
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        match sent {
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

    /// Returns true if the next message has come, and need not be waited for.
    ///
    /// # Errors
    /// If what has come is no message.
    pub fn has_come(&self) -> Result<bool, LineError> {
        Ok(self.frames.is_whole()?)
    }

    /// Waits for the next message. A signal that this thread handles ends the wait with [`Heard::Nothing`].
    ///
    /// # Errors
    /// If what comes is no message, or was cut off.
    pub fn hear<'a, T: Deserialize<'a>>(&'a mut self) -> Result<Heard<T>, LineError> {
        while !self.frames.is_whole()? {
            let space = self.frames.space();
            let read = match &mut self.descriptors {
                None => self.socket.read(space),
                Some(descriptors) => receive(&self.socket, space, descriptors),
            };
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

/// Sends the beginning of a message, and the descriptors with it. Returns how long the beginning is.
fn send_some(
    socket: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !rights.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "too many descriptors"));
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut rights, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Reads what has come, and appends the descriptors that came with it.
fn receive(
    socket: &UnixStream,
    space: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut rights_space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut rights = RecvAncillaryBuffer::new(&mut rights_space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(space)], &mut rights, flags)?;
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(several) = message {
            descriptors.extend(several);
        }
    }
    Ok(received.bytes)
}

/// Returns true if the other process is gone.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl From<UnixStream> for Line {
    fn from(socket: UnixStream) -> Self {
        Self { socket, frames: Frames::default(), out: Vec::new(), descriptors: None }
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
