//! The shelf: all large data that a client keeps, in the arenas of its worker processes and in its own.
//!
//! When there is more in memory than may be, the oldest data moves to a file without a name. The thread that has stored
//! something moves it, so tasks store no faster than the disk takes it. Data that a process may have mapped, or the client
//! itself, stays: it would go on taking memory. So does all data if the disk is full.

use crate::arena::Arena;
use crate::place::{Counted, Moved, Place, Store, Stored};
use crate::primitives::{AtomicU64, Ordering};
use rustix::fs::{Mode, OFlags, open};
use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// The large data that a client keeps.
pub struct Shelf {
    /// What the client itself stores.
    arena: Arc<Arena>,
    limit: Option<Limit>,
    /// How many bytes may be in memory.
    most: AtomicU64,
    /// How many bytes of the data are in memory.
    live: Arc<AtomicU64>,
    /// What is in memory, the oldest first, and what is gone.
    oldest: Mutex<VecDeque<Weak<Stored>>>,
    /// The file that takes the data for which there is no room in memory. It is made when it is needed.
    file: OnceLock<Arc<Arena>>,
    /// The system has refused something. From then on all data stays in memory. The thread that moves data holds the lock.
    is_unusable: Mutex<bool>,
}

/// How much may be in memory.
pub struct Limit {
    /// In bytes, at first.
    pub bytes: u64,
    /// Where the file for the rest is made.
    pub folder: PathBuf,
    /// Told why data stays in memory nevertheless.
    pub full: Box<dyn Fn(&io::Error) + Send + Sync>,
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub fn new(arena: Arc<Arena>, limit: Option<Limit>) -> Arc<Self> {
        let (oldest, is_unusable) = (Mutex::default(), Mutex::default());
        let most = AtomicU64::new(limit.as_ref().map_or(0, |limit| limit.bytes));
        Arc::new(Self {
            arena,
            limit,
            most,
            live: Arc::default(),
            oldest,
            file: OnceLock::new(),
            is_unusable,
        })
    }

    /// From now on so many bytes may be in memory, if that is limited. What is there stays until more is kept.
    pub fn set_limit(&self, bytes: u64) {
        self.most.store(bytes, Ordering::Relaxed);
    }

    /// Keeps what lies in this place.
    #[must_use]
    pub fn keep(&self, place: Place) -> Arc<Stored> {
        let Some(limit) = &self.limit else { return Stored::new(place) };
        let counted = Counted::new(&self.live, place.range().pages());
        let stored = Stored::counted(place, counted);
        let mut oldest = self.oldest();
        if oldest.len() == oldest.capacity() {
            oldest.retain(|stored| stored.strong_count() > 0);
        }
        oldest.push_back(Arc::downgrade(&stored));
        drop(oldest);
        self.make_room(limit);
        stored
    }

    /// How many bytes have moved to the disk.
    #[must_use]
    pub fn on_disk(&self) -> u64 {
        self.file.get().map_or(0, |file| file.used())
    }

    fn make_room(&self, limit: &Limit) {
        let is_too_much = || self.live.load(Ordering::Relaxed) > self.most.load(Ordering::Relaxed);
        if !is_too_much() {
            return;
        }
        // One thread at a time. The others wait, as there is no room yet for what they have stored.
        let mut is_unusable = self.is_unusable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.oldest().len();
        while left > 0 && is_too_much() && !*is_unusable {
            left -= 1;
            let Some(next) = self.oldest().pop_front() else { return };
            let Some(stored) = next.upgrade() else { continue };
            match self.file(&limit.folder).and_then(|file| stored.move_to(|bytes| file.put(bytes)))
            {
                Ok(Moved::There) => {}
                // It may be given back.
                Ok(Moved::InUse) => self.oldest().push_back(next),
                Err(error) => {
                    *is_unusable = true;
                    (limit.full)(&error);
                }
            }
        }
    }

    fn oldest(&self) -> MutexGuard<'_, VecDeque<Weak<Stored>>> {
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the thread that moves data.
    fn file(&self, folder: &Path) -> io::Result<&Arc<Arena>> {
        if self.file.get().is_none() {
            let _ = self.file.set(Arena::on_disk(without_a_name(folder)?)?);
        }
        Ok(self.file.get().expect("it is made"))
    }
}

/// Makes a file in a folder that is gone when no process has it open any more.
fn without_a_name(folder: &Path) -> io::Result<OwnedFd> {
    let mode = Mode::RUSR | Mode::WUSR;
    match open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
        Ok(file) => Ok(file),
        // Not every file system can do that at once.
        Err(_) => {
            let path = folder.join(format!("azolla-{}-{:x}", std::process::id(), random()));
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            Ok(file.into())
        }
    }
}

/// A number that other files in the folder do not have in their names. If they do, the file is not made.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

impl Store for Arc<Shelf> {
    fn store(&self, bytes: &[u8]) -> io::Result<Arc<Stored>> {
        self.arena.put(bytes).map(|place| self.keep(place))
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("live", &self.live).finish_non_exhaustive()
    }
}
