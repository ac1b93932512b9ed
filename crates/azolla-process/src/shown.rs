//! The arena of a worker process, as its client knows it.
//!
//! The process takes the ranges, and the client says which of them are free again. So that the process learns it, the next
//! frame to any of its threads brings these. The client gives the memory itself back at once, if much of it is unused. It
//! can read the arena after its process has ended.

use crate::arena::Seen;
use crate::message::Range;
use crate::place::{Contents, Home, Place};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The arena of another process.
#[derive(Debug)]
pub struct Shown {
    number: u32,
    seen: Seen,
    /// How many bytes of it are in use.
    live: AtomicU64,
    /// What the process is to be told.
    freed: Mutex<Vec<Range>>,
    /// The process has ended.
    over: AtomicBool,
}

impl Shown {
    /// The arena of this number.
    #[must_use]
    pub fn new(number: u32, seen: Seen) -> Arc<Self> {
        let (live, freed) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { number, seen, live, freed, over: AtomicBool::new(false) })
    }

    /// What every process sees of it.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How many bytes of it are in use.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// The process says that it has stored something there, once.
    ///
    /// # Errors
    /// If that is not in its own arena.
    pub fn place(self: &Arc<Self>, range: Range) -> io::Result<Place> {
        if range.arena != self.number {
            let what = "a process has stored something where it cannot";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.seen.check(range)?;
        self.live.fetch_add(range.pages(), Ordering::Relaxed);
        Ok(Place::new(Arc::clone(self) as Arc<dyn Home>, range))
    }

    /// Takes the ranges that the process is to be told of: they are free.
    #[must_use]
    pub fn take_freed(&self) -> Vec<Range> {
        std::mem::take(&mut *self.freed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The process could not be told of these.
    pub fn keep_freed(&self, freed: Vec<Range>) {
        self.freed.lock().unwrap_or_else(PoisonError::into_inner).extend(freed);
    }

    /// The process has ended: what is free is of no use to it.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Home for Shown {
    fn number(&self) -> u32 {
        self.number
    }

    fn contents(&self) -> &dyn Contents {
        &self.seen
    }

    fn put_back(&self, range: Range) {
        let live = self.live.fetch_sub(range.pages(), Ordering::Relaxed) - range.pages();
        let over = self.over.load(Ordering::Relaxed);
        // The process learns of the range afterwards: it cannot have stored anything there yet.
        self.seen.give_back_memory(range, if over { None } else { Some(live) });
        if !over {
            self.keep_freed(vec![range]);
        }
    }
}
