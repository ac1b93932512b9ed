//! `Event`: a flag to wait for.

use super::{after, block};
use crate::error::Error;
use crate::lending::lending;
use crate::runtime::{IsClosed, Named, Names, Resource, Turn};
use std::time::Duration;

/// A flag that starts as not set. All who wait go on when it is set, even if it is cleared at once.
///
/// ```
/// use azolla::sync::Event;
///
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let start = Event::named(&client, "start");
/// let waits = start.clone();
/// let task = client.submit(move || waits.wait());
/// start.set()?;
/// task.result()?.clone()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Event(Named<Flag>);

/// The state of an event.
pub struct Flag(bool);

impl Resource for Flag {
    type Want = ();
    type Gift = ();
    const KIND: &'static str = "event";

    fn give(&mut self, (): &mut ()) -> Option<()> {
        self.0.then_some(())
    }

    fn is_new(&self) -> bool {
        !self.0
    }
}

impl Event {
    /// An event of its own.
    #[must_use]
    pub fn new(client: impl AsRef<Names>) -> Self {
        Self::find(client.as_ref(), None)
    }

    /// The event of this name.
    #[must_use]
    pub fn named(client: impl AsRef<Names>, name: &str) -> Self {
        Self::find(client.as_ref(), Some(name))
    }

    fn find(names: &Names, name: Option<&str>) -> Self {
        Self(names.find(name, || Flag(false)).expect("events are of one type"))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn wait(&self) -> Result<(), Error> {
        block(self.turn_to_go(), None)
    }

    /// As [`wait`](Self::wait), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        block(self.turn_to_go(), after(timeout))
    }

    /// As [`wait`](Self::wait), to be awaited.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn wait_async(&self) -> Result<(), Error> {
        Ok(lending(self.turn_to_go()).await?)
    }

    /// Sets it: all who wait go on.
    ///
    /// # Errors
    /// The client is closed.
    pub fn set(&self) -> Result<(), IsClosed> {
        self.0.monitor().with(|flag| flag.0 = true)
    }

    /// Clears the event: a wait that begins from now on blocks.
    ///
    /// # Errors
    /// The client is closed.
    pub fn clear(&self) -> Result<(), IsClosed> {
        self.0.monitor().with(|flag| flag.0 = false)
    }

    /// Returns true if the event is set.
    ///
    /// # Errors
    /// The client is closed.
    pub fn is_set(&self) -> Result<bool, IsClosed> {
        self.0.monitor().with(|flag| flag.0)
    }

    /// A wait for the event to be set, for callers that wait in their own way.
    pub fn turn_to_go(&self) -> Turn<Flag> {
        Turn::new(self.0.clone(), ())
    }
}
