//! An arena: a file without a name, in memory, that one process fills and others read.
//!
//! Only its own process takes ranges in it. The others have the file and read what they are told of. The first page
//! holds the claims of the process's threads, which the client maps too. The file is sealed, so that nobody can make
//! it shorter: to read a mapping is safe.

use crate::claim::Claim;
use crate::message::{ON_DISK, Range};
use crate::place::{Contents, Home, Memory, Place, Store, Stored};
use crate::primitives::AtomicU64;
use crate::ranges::{PAGE, Ranges};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fstat, ftruncate,
    memfd_create,
};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::{NonNull, null_mut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many threads of a process can have a claim.
pub const THREADS: usize = PAGE as usize / size_of::<AtomicU64>();

/// The most bytes in an arena: memory itself is the limit.
pub const MOST: u64 = 1 << 46;

/// How much memory of an arena may be allocated and unused, in bytes. To write to such memory is several times as fast as
/// to write to new one.
const WARM: u64 = 128 * 1024 * 1024;

/// The arena of this process. It is shared, since what is stored there refers to it.
#[derive(Debug)]
pub struct Arena {
    number: u32,
    seen: Seen,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ranges: Ranges,
    /// The length of the file.
    length: u64,
}

/// An arena that this process can read.
#[derive(Debug)]
pub struct Seen {
    file: File,
    claims: Mapping,
    is_on_disk: bool,
}

/// Makes a file so long. The limit for files (`ulimit -f`) is one for shared memory too.
fn lengthen(file: impl AsFd, length: u64) -> io::Result<()> {
    ftruncate(file, length).map_err(|error| match error {
        Errno::FBIG => {
            let message = format!(
                "the limit for the lengths of files (ulimit -f) is less than {length} bytes"
            );
            Error::new(ErrorKind::FileTooLarge, message)
        }
        error => error.into(),
    })
}

impl Arena {
    /// Makes the arena of the process with this number. It never gets longer than `most` bytes.
    ///
    /// # Errors
    /// If the system has no memory or no descriptor for it.
    pub fn new(number: u32, most: u64) -> io::Result<Arc<Self>> {
        let file = memfd_create("azolla", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        lengthen(&file, PAGE)?;
        fcntl_add_seals(&file, SealFlags::SHRINK)?;
        let state = State { ranges: Ranges::new(PAGE, most), length: PAGE };
        Ok(Arc::new(Self { number, seen: Seen::open(number, file)?, state: Mutex::new(state) }))
    }

    /// Makes an arena of a file on a disk that has no name and is empty. What lies there is read, never mapped.
    ///
    /// # Errors
    /// As the system says.
    pub fn on_disk(file: OwnedFd) -> io::Result<Arc<Self>> {
        lengthen(&file, PAGE)?;
        let state = State { ranges: Ranges::new(PAGE, MOST), length: PAGE };
        let seen = Seen::open(ON_DISK, file)?;
        Ok(Arc::new(Self { number: ON_DISK, seen, state: Mutex::new(state) }))
    }

    /// What other processes have of it.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How many bytes of it are in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state().ranges.used()
    }

    /// Stores a copy of these bytes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] if the arena would grow too long, or as the system says.
    pub fn put(self: &Arc<Self>, bytes: &[u8]) -> io::Result<Place> {
        let length = bytes.len() as u64;
        let start = self.take(length)?;
        let range = Range { arena: self.number, start, length };
        let place = Place::new(Arc::clone(self) as Arc<dyn Home>, range);
        // The system says if it has no memory for these bytes. Had they been written to a mapping, it would kill this process.
        self.seen.file.write_all_at(bytes, start)?;
        Ok(place)
    }

    fn take(&self, length: u64) -> io::Result<u64> {
        let mut state = self.state();
        let State { ranges, length: end } = &mut *state;
        let Some(start) = ranges.take(length) else {
            let message = format!("there is no room for {length} bytes in the shared memory");
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        };
        // No further: were there no room for this, the next range might be shorter.
        let needed = start + Range { arena: self.number, start, length }.pages();
        if *end < needed {
            if let Err(error) = lengthen(&self.seen.file, needed) {
                ranges.give_back(start, length);
                return Err(error);
            }
            *end = needed;
        }
        Ok(start)
    }

    /// Frees a range that was given away, and that nothing reads any more.
    ///
    /// # Panics
    /// If it is free already.
    pub fn free(&self, range: Range) {
        self.state().ranges.give_back(range.start, range.length);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Arc<Arena> {
    fn store(&self, bytes: &[u8]) -> io::Result<Arc<Stored>> {
        self.put(bytes).map(Stored::new)
    }
}
impl Home for Arena {
    fn number(&self) -> u32 {
        self.number
    }

    fn contents(&self) -> &dyn Contents {
        &self.seen
    }

    fn put_back(&self, range: Range) {
        let live = self.used().saturating_sub(range.pages());
        self.seen.give_back_memory(range, Some(live).filter(|_| !self.seen.is_on_disk));
        self.free(range);
    }
}

impl Seen {
    /// Opens the arena of this number behind a descriptor.
    ///
    /// # Errors
    /// If it is no arena, or the system cannot map it.
    pub fn open(number: u32, file: OwnedFd) -> io::Result<Self> {
        if fstat(&file)?.st_size < PAGE as i64 {
            return Err(Error::new(ErrorKind::InvalidData, "this is no arena"));
        }
        let claims = Mapping::new(&file, 0, PAGE as usize, MapFlags::SHARED)?;
        Ok(Self { file: file.into(), claims, is_on_disk: number == ON_DISK })
    }

    /// The claim of a thread.
    ///
    /// # Panics
    /// If the thread's number is not below [`THREADS`].
    #[must_use]
    pub fn claim(&self, thread: usize) -> Claim<'_> {
        assert!(thread < THREADS, "a process has at most {THREADS} threads");
        // SAFETY: the word lies in the page that is mapped, aligned, as long as `self` lives, and every process uses it as an
        // atomic alone.
        Claim::new(unsafe { self.claims.start.cast::<AtomicU64>().add(thread).as_ref() })
    }

    /// Maps a range. What is written to the mapping, nobody else sees.
    ///
    /// # Errors
    /// If it lies beyond the end, or the system cannot map it.
    pub fn mapping(&self, range: Range) -> io::Result<Mapping> {
        self.check(range)?;
        if self.is_on_disk {
            // If the disk fails, reading says so; a mapping would have the system kill this process.
            let mut memory = Mapping::empty(range.length as usize)?;
            self.file.read_exact_at(&mut memory, range.start)?;
            return Ok(memory);
        }
        Mapping::new(&self.file, range.start, range.length as usize, MapFlags::PRIVATE)
    }

    /// Gives the memory of a range that is not in use back to the system: always, or only if much more is allocated than
    /// the bytes in use, of which there are `live`.
    pub(crate) fn give_back_memory(&self, range: Range, live: Option<u64>) {
        // An error leaves the memory allocated.
        let much = live.is_none_or(|live| {
            fstat(&self.file).is_ok_and(|stat| stat.st_blocks as u64 * 512 > live + WARM)
        });
        if much {
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(&self.file, mode, range.start, range.pages());
        }
    }

    pub(crate) fn check(&self, Range { start, length, .. }: Range) -> io::Result<()> {
        let end = start.checked_add(length).filter(|_| start >= PAGE && start % PAGE == 0);
        let size = fstat(&self.file)?.st_size as u64;
        if end.is_some_and(|end| end <= size) {
            return Ok(());
        }
        let message =
            format!("there are no {length} bytes at {start} in shared memory of {size} bytes");
        Err(Error::new(ErrorKind::InvalidData, message))
    }
}

impl Contents for Seen {
    fn file(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn read(&self, range: Range, into: &mut [u8]) -> io::Result<()> {
        self.check(range)?;
        self.file.read_exact_at(into, range.start)
    }

    fn map(&self, range: Range) -> io::Result<Box<dyn Memory>> {
        Ok(Box::new(self.mapping(range)?))
    }
}

impl AsFd for Seen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Memory that is mapped from an arena.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread, and is borrowed as any slice is.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: impl AsFd, start: u64, length: usize, flags: MapFlags) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self { start: NonNull::dangling(), length });
        }
        let may = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system picks the place, and `self` alone unmaps it.
        let mapped = unsafe { mmap(null_mut(), length, may, flags, file, start)? };
        Ok(Self { start: NonNull::new(mapped.cast()).expect("it is mapped"), length })
    }
}

impl Mapping {
    /// Memory that lies in no file.
    fn empty(length: usize) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self { start: NonNull::dangling(), length });
        }
        let may = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system picks the place, and `self` alone unmaps it.
        let mapped = unsafe { mmap_anonymous(null_mut(), length, may, MapFlags::PRIVATE)? };
        Ok(Self { start: NonNull::new(mapped.cast()).expect("it is mapped"), length })
    }
}

impl Memory for Mapping {
    fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn length(&self) -> usize {
        self.length
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped there. They lie in the file, which never gets shorter.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the mapping is private: only `self` gives it out.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: nothing borrows it any more.
            let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}
