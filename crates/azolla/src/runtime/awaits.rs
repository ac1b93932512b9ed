//! What a task awaits on an event loop, where no worker parks for it. The engine is told, so that it refuses what would
//! close a circle of waits.

use super::engine::Engine;
use super::header::Status;
use super::job::Job;
use super::wait::{WaitError, cycle};
use azolla_core::{Event, Refusal, Wait};
use std::convert::Infallible;
use std::sync::Arc;

impl<J: Job + ?Sized> Engine<J> {
    /// This task, which runs without a worker or without a slot, cannot go on before all of these have ended. An empty
    /// list says that it goes on.
    ///
    /// # Errors
    /// [`WaitError::Cycle`]: it would wait for ever.
    pub fn awaits(&self, job: &J, awaited: &[Arc<J>]) -> Result<(), WaitError<Infallible>> {
        let Some(task) = job.header().id() else { return Ok(()) };
        let pending =
            awaited.iter().map(|job| job.header()).filter(|it| it.status() == Status::Pending);
        let tasks = Arc::new(pending.filter_map(|header| header.id_in(self.number)).collect());
        let wait = Wait { tasks, all: true };
        self.unless_cycle(Event::Await { task, wait })
    }

    /// Tells the core that a task is about to wait in this way, and raises if that would never end.
    pub(super) fn unless_cycle(&self, event: Event<Arc<J>>) -> Result<(), WaitError<Infallible>> {
        let refused = self.with(|locked| match locked.handle(event).refused {
            Some(Refusal::Cycle(path)) => Some(cycle(locked, &path)),
            _ => None,
        });
        refused.map_or(Ok(()), |jobs| Err(WaitError::cycle(&jobs)))
    }
}
