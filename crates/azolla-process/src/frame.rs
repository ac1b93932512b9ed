//! How messages lie in a stream of bytes: a head, which says the length, and then the message.
//!
//! Digests turn bytes that were cut or changed into an error: a process that a task has damaged must not hand on
//! something that looks like a result. The head has one of its own, so that no reader waits for the rest of a message whose
//! length is not true.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The longest message, in bytes. What is larger goes through an arena.
pub const LONGEST: usize = 1 << 30;

/// What stands before a message: its length, its digest, and the digest of these two. Each takes four bytes.
const HEAD: usize = 12;

/// The length and the digest.
const FACTS: usize = 8;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It says that it is longer than [`LONGEST`], or it would be.
    #[error("a message of {0} bytes is longer than any can be")]
    TooLong(usize),
    /// A digest does not fit.
    #[error("a message was changed on its way")]
    Changed,
    /// The bytes are no message of the type that was expected.
    #[error("a message cannot be read: {0}")]
    Unreadable(postcard::Error),
    /// The stream ended in the middle of a message.
    #[error("a message was cut off")]
    CutOff,
}

/// Appends a message to `bytes`.
///
/// # Errors
/// [`FrameError::TooLong`]; then `bytes` is as it was. [`FrameError::Unreadable`] if the message itself cannot be written;
/// then `bytes` is empty.
pub fn append(message: &impl Serialize, bytes: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = bytes.len();
    let mut whole = std::mem::take(bytes);
    whole.extend([0; HEAD]);
    *bytes = postcard::to_extend(message, whole).map_err(FrameError::Unreadable)?;
    let length = bytes.len() - start - HEAD;
    if length > LONGEST {
        bytes.truncate(start);
        return Err(FrameError::TooLong(length));
    }
    let (head, body) = bytes[start..].split_at_mut(HEAD);
    head[..4].copy_from_slice(&(length as u32).to_le_bytes());
    head[4..FACTS].copy_from_slice(&digest(body));
    let facts = digest(&head[..FACTS]);
    head[FACTS..].copy_from_slice(&facts);
    Ok(())
}

fn digest(body: &[u8]) -> [u8; 4] {
    (xxh3_64(body) as u32).to_le_bytes()
}

/// The messages in a stream that arrives piece by piece.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where the next message begins.
    at: usize,
    /// Where the bytes end that have arrived.
    end: usize,
}

/// How much space there is for the next piece, at least, in bytes.
const PIECE: usize = 64 * 1024;

/// How much is kept allocated while no message is there, in bytes.
pub(crate) const KEPT: usize = 4 * 1024 * 1024;

impl Frames {
    /// The space for the next piece. [`filled`](Self::filled) says how much of it has been used.
    pub fn space(&mut self) -> &mut [u8] {
        if self.at > 0 {
            self.bytes.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
        }
        if self.end == 0 && self.bytes.len() > KEPT {
            self.bytes = Vec::new();
        }
        let length = self.length().ok().flatten();
        let missing = length.map_or(0, |length| (HEAD + length).saturating_sub(self.end));
        let least = self.end + missing.clamp(PIECE, HEAD + LONGEST);
        if self.bytes.len() < least {
            self.bytes.resize(least, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes have arrived in the space.
    ///
    /// # Panics
    /// If the space was smaller.
    pub fn filled(&mut self, bytes: usize) {
        self.end += bytes;
        assert!(self.end <= self.bytes.len(), "more bytes than there was space for");
    }

    /// Returns true if something has arrived that is no whole message yet.
    #[must_use]
    pub fn is_in_the_middle(&self) -> bool {
        self.end > self.at
    }

    /// Returns true if the next message is there whole.
    ///
    /// # Errors
    /// If there is none, as its head says.
    pub fn is_whole(&self) -> Result<bool, FrameError> {
        Ok(self.whole()?.is_some())
    }

    /// The next message with its head, if it is there whole.
    fn whole(&self) -> Result<Option<&[u8]>, FrameError> {
        let Some(length) = self.length()? else { return Ok(None) };
        Ok(self.bytes[self.at..self.end].get(..HEAD + length))
    }

    /// Takes out the next message, if it is there whole.
    ///
    /// # Errors
    /// If it is none, as [`FrameError`] says. The stream is of no use any more then.
    pub fn next<'a, T: Deserialize<'a>>(&'a mut self) -> Result<Option<T>, FrameError> {
        let Some(whole) = self.whole()? else { return Ok(None) };
        let (head, body) = whole.split_at(HEAD);
        if digest(body) != head[4..FACTS] {
            return Err(FrameError::Changed);
        }
        let start = self.at + HEAD;
        self.at = start + body.len();
        let body = &self.bytes[start..self.at];
        let (message, left) = postcard::take_from_bytes(body).map_err(FrameError::Unreadable)?;
        if left.is_empty() {
            Ok(Some(message))
        } else {
            Err(FrameError::Unreadable(postcard::Error::DeserializeBadEncoding))
        }
    }

    /// The length of the next message without its head, once that is there.
    fn length(&self) -> Result<Option<usize>, FrameError> {
        let Some(head) = self.bytes[self.at..self.end].first_chunk::<HEAD>() else {
            return Ok(None);
        };
        if digest(&head[..FACTS]) != head[FACTS..] {
            return Err(FrameError::Changed);
        }
        let [a, b, c, d, ..] = *head;
        match u32::from_le_bytes([a, b, c, d]) as usize {
            length if length > LONGEST => Err(FrameError::TooLong(length)),
            length => Ok(Some(length)),
        }
    }
}
