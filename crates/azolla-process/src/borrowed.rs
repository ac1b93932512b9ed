//! The arenas that a worker process reads: its own, the client's, and those of other worker processes.
//!
//! The client shows it each of them once, on the control line, before a message names it. A message comes on another
//! line, so it may be the first to arrive: then its reader waits.

use crate::arena::Seen;
use crate::message::Range;
use crate::place::{Contents, Home, Place};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The arenas that this process reads.
#[derive(Debug, Default)]
pub struct Arenas {
    shown: Mutex<HashMap<u32, Arc<Borrowed>>>,
    /// Another one is shown.
    changed: Condvar,
    given_back: Arc<Mutex<Vec<Range>>>,
}

/// One of them.
#[derive(Debug)]
struct Borrowed {
    number: u32,
    seen: Seen,
    given_back: Arc<Mutex<Vec<Range>>>,
}

impl Arenas {
    /// The client shows an arena.
    pub fn show(&self, number: u32, seen: Seen) {
        let given_back = Arc::clone(&self.given_back);
        let borrowed = Arc::new(Borrowed { number, seen, given_back });
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert(number, borrowed);
        self.changed.notify_all();
    }

    /// No message will name this arena any more.
    pub fn forget(&self, number: u32) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Returns a place that a message has named. When it is dropped, the client gets the lease back. This waits until the
    /// arena is shown. The calling thread does not hold the GIL.
    #[must_use]
    pub fn place(&self, range: Range) -> Place {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing =
            |shown: &mut HashMap<u32, Arc<Borrowed>>| !shown.contains_key(&range.arena);
        let waited = self.changed.wait_while(shown, is_missing);
        let home = Arc::clone(&waited.unwrap_or_else(PoisonError::into_inner)[&range.arena]);
        Place::new(home, range)
    }

    /// Takes the leases that the client is to get back.
    #[must_use]
    pub fn take_given_back(&self) -> Vec<Range> {
        std::mem::take(&mut *self.given_back.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Home for Borrowed {
    fn number(&self) -> u32 {
        self.number
    }

    fn contents(&self) -> &dyn Contents {
        &self.seen
    }

    fn put_back(&self, range: Range) {
        self.given_back.lock().unwrap_or_else(PoisonError::into_inner).push(range);
    }
}
