//! What wakes the keeper: a counter of the system that can be polled.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Wake(OwnedFd);

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Wakes the keeper, now or when it sleeps next.
    pub(super) fn wake(&self) {
        // This fails only if the counter is full. Then the keeper wakes anyway.
        let _ = write(&self.0, &1_u64.to_ne_bytes());
    }

    /// For the keeper: it is awake, and looks at everything now.
    pub(super) fn woken(&self) {
        let _ = read(&self.0, &mut [0; size_of::<u64>()]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
