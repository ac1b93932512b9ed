//! Turns the values that a walk meets into bytes that stand for nothing else, and these bytes into a digest. Every
//! value begins with its tag, and a value whose length varies writes its length.

use azolla::runtime::{digest, secret};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Says what the bytes that follow stand for. No two kinds of value share a tag, so 1, True and 1.0 differ.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Tag {
    // The roots of a digest.
    Call = 1,
    Function,
    Value,
    Code,
    SortKey,
    // Plain values.
    None,
    False,
    True,
    Int,
    BigInt,
    Float,
    Complex,
    Str,
    Bytes,
    ByteArray,
    MemoryView,
    Buffer,
    Ellipsis,
    NotImplemented,
    // Containers.
    Tuple,
    List,
    Dict,
    Set,
    FrozenSet,
    Proxy,
    Slice,
    Range,
    // What Python programs are made of.
    PyFunction,
    Builtin,
    Method,
    MethodWrapper,
    Descriptor,
    Partial,
    Cached,
    Property,
    StaticMethod,
    ClassMethod,
    CachedProperty,
    Cell,
    EmptyCell,
    Module,
    Type,
    Class,
    TypeVariable,
    // Where a function's globals are found.
    Importable,
    Local,
    Absent,
    Described,
    // Everything else.
    Future,
    Path,
    Array,
    Derived,
    Scalar,
    Tokenized,
    Global,
    Object,
    NewObject,
    // Marks for what was written elsewhere.
    Again,
    Digest,
    Named,
}

/// Up to this many bytes are hashed in one call and without allocating. Most calls need fewer.
const BUFFER: usize = 512;

/// Collects tagged bytes and digests them.
#[derive(Clone)]
pub(super) struct Writer {
    buffer: [u8; BUFFER],
    filled: usize,
    /// The hash of the bytes that no longer fitted into the buffer. Streaming gives the same digest as one call does.
    spilled: Option<Box<Xxh3>>,
    /// The digest depends on the process's secret: what has it may be taken for the value.
    pub(super) is_secret: bool,
}

impl Writer {
    /// An empty writer whose digest is of the given kind.
    pub(super) fn new(root: Tag, is_secret: bool) -> Self {
        let mut writer = Writer { buffer: [0; BUFFER], filled: 0, spilled: None, is_secret };
        writer.tag(root);
        writer
    }

    /// Writes a tag.
    #[inline]
    pub(super) fn tag(&mut self, tag: Tag) {
        self.raw(&[tag as u8]);
    }

    /// Writes a number, which is mostly a length or a position.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    /// Writes a digest made earlier.
    #[inline]
    pub(super) fn digest(&mut self, digest: u128) {
        self.raw(&digest.to_le_bytes());
    }

    /// Writes bytes behind their length.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Writes bytes as they are. They have a fixed length, or their length was written before.
    #[inline]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.filled..self.filled + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            None => self.spill(bytes),
        }
    }

    /// Returns the digest of all that was written.
    pub(super) fn finish(self) -> u128 {
        let rest = &self.buffer[..self.filled];
        match self.spilled {
            None if self.is_secret => digest(rest),
            None => xxh3_128(rest),
            Some(mut hasher) => {
                hasher.update(rest);
                hasher.digest128()
            }
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let hasher = self.spilled.get_or_insert_with(|| {
            Box::new(if self.is_secret { Xxh3::with_secret(*secret()) } else { Xxh3::new() })
        });
        hasher.update(&self.buffer[..self.filled]);
        hasher.update(bytes);
        self.filled = 0;
    }
}
