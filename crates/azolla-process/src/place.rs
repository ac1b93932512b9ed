//! Places: where large data lies, and for how long it stays there.
//!
//! A place is a range of an arena, or of the file that takes what memory has no room for. It lasts as long as anything
//! refers to it: the results and arguments that lie there, the arrays that are mapped from there, and the processes that
//! may have such arrays. When the last of them lets go, its *home* may use the range again.

use crate::message::Range;
use crate::primitives::{AtomicU64, Mutex, Ordering, into_inner, lock};
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// What is longer than so many bytes lies in an arena; the rest travels in messages.
pub const LARGE: usize = 64 * 1024;

/// What is longer than so many bytes is mapped, not copied.
pub const MAPPED: u64 = 1024 * 1024;

/// What a place is a range of.
pub trait Home: Debug + Send + Sync {
    /// The number by which messages name it.
    fn number(&self) -> u32;

    /// What lies in it.
    fn contents(&self) -> &dyn Contents;

    /// Nothing refers to the range any more.
    fn put_back(&self, range: Range);
}

/// What can be read.
pub trait Contents: Debug + Send + Sync {
    /// The file, which other processes read.
    #[cfg(unix)]
    fn file(&self) -> std::os::fd::BorrowedFd<'_>;

    /// Copies what lies in a range, which is as long as `into`.
    ///
    /// # Errors
    /// If there is no such range, or the system cannot read it.
    fn read(&self, range: Range, into: &mut [u8]) -> io::Result<()>;

    /// Maps a range. What is written to the mapping, nothing else sees.
    ///
    /// # Errors
    /// If there is no such range, or the system has no memory for it.
    fn map(&self, range: Range) -> io::Result<Box<dyn Memory>>;
}

/// Memory that is mapped.
pub trait Memory: Debug + Send + Sync {
    /// Where it begins.
    fn start(&self) -> *mut u8;

    /// How many bytes it has.
    fn length(&self) -> usize;
}

/// Takes large data.
pub trait Store: Debug + Send + Sync {
    /// Stores a copy of these bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`] if there is no room, or as the system says.
    fn store(&self, bytes: &[u8]) -> io::Result<Arc<Stored>>;
}

/// A range that is in use. When it is dropped, its home may use the range again.
#[derive(Debug)]
pub struct Place {
    home: Arc<dyn Home>,
    range: Range,
    /// The process that has made it. A copy that a fork has made has no say in what becomes of the range.
    process: u32,
    is_given_away: bool,
}

impl Place {
    /// The place of this range, which is in use from now on.
    #[must_use]
    pub fn new(home: Arc<dyn Home>, range: Range) -> Self {
        Self { home, range, process: std::process::id(), is_given_away: false }
    }

    /// What messages call it.
    #[must_use]
    pub fn range(&self) -> Range {
        self.range
    }

    /// What it is a range of.
    #[must_use]
    pub fn home(&self) -> &Arc<dyn Home> {
        &self.home
    }

    /// Copies what lies there. `into` is as long as that.
    ///
    /// # Errors
    /// As [`Contents::read`].
    pub fn read(&self, into: &mut [u8]) -> io::Result<()> {
        self.home.contents().read(self.range, into)
    }

    /// Maps what lies there. The mapping must not outlive the place.
    ///
    /// # Errors
    /// As [`Contents::map`].
    pub fn map(&self) -> io::Result<Box<dyn Memory>> {
        self.home.contents().map(self.range)
    }

    /// Leaves the range to another process, which says when it is free.
    #[must_use]
    pub fn give_away(mut self) -> Range {
        self.is_given_away = true;
        self.range
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_given_away && self.process == std::process::id() {
            self.home.put_back(self.range);
        }
    }
}

/// Some data that lies in a place now, and may be moved to another one.
#[derive(Debug)]
pub struct Stored {
    length: u64,
    at: Mutex<At>,
}

/// Where data lies, and that it counts as data in memory, if it does.
#[derive(Debug)]
struct At {
    place: Arc<Place>,
    _counted: Option<Counted>,
}

/// So many bytes count, until this is dropped.
#[derive(Debug)]
pub struct Counted {
    all: Arc<AtomicU64>,
    bytes: u64,
}

/// What has become of an attempt to move data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It lies at the other place.
    There,
    /// It is being read where it is.
    InUse,
}

impl Stored {
    /// The data that lies in this place.
    #[must_use]
    pub fn new(place: Place) -> Arc<Self> {
        Self::at(place, None)
    }

    /// The data that lies in this place, and counts.
    #[must_use]
    pub fn counted(place: Place, counted: Counted) -> Arc<Self> {
        Self::at(place, Some(counted))
    }

    fn at(place: Place, counted: Option<Counted>) -> Arc<Self> {
        let length = place.range.length;
        Arc::new(Self { length, at: Mutex::new(At { place: Arc::new(place), _counted: counted }) })
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where it lies now.
    #[must_use]
    pub fn place(&self) -> Arc<Place> {
        Arc::clone(&lock(&self.at).place)
    }

    /// Moves it to where `put` puts a copy, unless anything refers to its place. From then on it does not count.
    ///
    /// # Errors
    /// If it cannot be mapped where it is, and those of `put`.
    pub fn move_to(&self, put: impl FnOnce(&[u8]) -> io::Result<Place>) -> io::Result<Moved> {
        let place = self.place();
        if Arc::strong_count(&place) > 2 {
            return Ok(Moved::InUse);
        }
        let memory = place.map()?;
        // SAFETY: so many bytes are mapped there, and nothing writes to them.
        let bytes = unsafe { std::slice::from_raw_parts(memory.start(), memory.length()) };
        let new = At { place: Arc::new(put(bytes)?), _counted: None };
        // What has begun to read it meanwhile still has the old place.
        let old = std::mem::replace(&mut *lock(&self.at), new);
        drop(old);
        Ok(Moved::There)
    }

    /// Leaves the range to another process. Returns `None` if anything else refers to it.
    #[must_use]
    pub fn give_away(self: Arc<Self>) -> Option<Range> {
        let at = into_inner(Arc::into_inner(self)?.at);
        Some(Arc::into_inner(at.place)?.give_away())
    }
}

impl Counted {
    /// Adds so many bytes to those of all.
    #[must_use]
    pub fn new(all: &Arc<AtomicU64>, bytes: u64) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Self { all: Arc::clone(all), bytes }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A home that counts what is put back.
    #[derive(Debug, Default)]
    pub(crate) struct Counted {
        pub(crate) put_back: AtomicUsize,
    }

    impl Home for Counted {
        fn number(&self) -> u32 {
            1
        }

        fn contents(&self) -> &dyn Contents {
            self
        }

        fn put_back(&self, _: Range) {
            self.put_back.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Contents for Counted {
        #[cfg(unix)]
        fn file(&self) -> std::os::fd::BorrowedFd<'_> {
            unreachable!("no test asks for it")
        }

        fn read(&self, _: Range, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }

        fn map(&self, _: Range) -> io::Result<Box<dyn Memory>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(crate) fn place(home: &Arc<Counted>, start: u64) -> Place {
        let home: Arc<dyn Home> = Arc::clone(home) as _;
        Place::new(home, Range { arena: 1, start, length: 1 })
    }

    #[test]
    fn a_range_is_put_back_when_the_last_lets_go_unless_it_was_given_away() {
        let home = Arc::new(Counted::default());
        let put_back = || home.put_back.load(Ordering::Relaxed);
        let stored = Stored::new(place(&home, 0));
        let reader = stored.place();
        drop(stored);
        assert_eq!(put_back(), 0);
        drop(reader);
        assert_eq!(put_back(), 1);
        let stored = Stored::new(place(&home, 0));
        let reader = Arc::clone(&stored);
        assert_eq!(stored.give_away(), None, "something else refers to it");
        assert_eq!(reader.give_away().map(|range| range.length), Some(1));
        assert_eq!(put_back(), 1);
        let mut copy = place(&home, 0);
        copy.process = 0;
        drop(copy);
        assert_eq!(put_back(), 1, "a fork has made this copy");
    }
}
