//! A task is cancelled only if it has not begun. So it is with the futures of executors.

use super::engine::Engine;
use super::job::Job;
use azolla_core::{Event, State};

impl<J: Job + ?Sized> Engine<J> {
    /// Cancels a task and what depends on it, unless it has begun or ended. Returns true if this has cancelled the task:
    /// then no worker begins it.
    pub fn cancel_unless_begun(&self, job: &J) -> bool {
        let Some(task) = job.header().id() else { return false };
        self.with(|locked| {
            let is_held = match locked.state.scheduler.state(task) {
                Some(State::Waiting { .. } | State::Ready) => true,
                // Its worker begins it without the lock.
                Some(State::Claimed { .. }) => job.header().take_back(),
                _ => false,
            };
            if is_held {
                drop(locked.handle(Event::Cancel(task)));
            }
            is_held
        })
    }
}
