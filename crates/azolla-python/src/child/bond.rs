//! What ties a worker process to its threads for tasks: if one of them cannot serve any more, the process ends.
//!
//! The client would wait for such a thread for ever. The end of a process it sees: it runs the tasks again.

use super::process::die;
use rustix::process::{Pid, getpid};
use std::cell::Cell;
use std::mem;
use std::thread::panicking;

/// Ends the process when it is dropped. So it does when the thread that has it ends, in whatever way.
#[derive(Debug)]
pub(super) struct Bond {
    process: Pid,
}

thread_local! {
    /// The bond of this thread, if it runs tasks.
    static BOND: Cell<Option<Bond>> = const { Cell::new(None) };
}

impl Bond {
    pub(super) fn new() -> Self {
        Self { process: getpid() }
    }

    /// Ties the process to this thread.
    pub(super) fn tie(self) {
        BOND.set(Some(self));
    }

    /// Unties it: the client has ended the thread's line, so the thread may end.
    pub(super) fn untie() {
        mem::forget(BOND.take());
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        // A task may have forked. The child ends as it likes.
        if self.process == getpid() {
            die();
        }
    }
}

/// Ends the process if it is dropped by a panic: the thread may have lost what it had at hand.
pub(super) struct NoPanic;

impl Drop for NoPanic {
    fn drop(&mut self) {
        if panicking() {
            die();
        }
    }
}
