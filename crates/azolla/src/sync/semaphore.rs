//! `Semaphore`: a limited number of leases.

use super::{after, block};
use crate::error::Error;
use crate::lending::lending;
use crate::runtime::{IsClosed, Named, Names, Resource, Turn};
use std::time::Duration;

/// A limited number of leases, say on the connections of a database.
///
/// A lease is given back when it is dropped, and never runs out before.
///
/// ```
/// use azolla::sync::Semaphore;
///
/// let client = azolla::Client::builder().threads_per_worker(4).build()?;
/// let connections = Semaphore::named(&client, "database", 2)?;
/// let reads = connections.clone();
/// let rows = client.map(move |row: u32| reads.acquire().map(|_lease| row * 2), 0..10);
/// assert!(client.gather(&rows)?.into_iter().all(Result::is_ok)); // never more than two at once
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Semaphore(Named<Leases>);

/// The leases of a semaphore.
pub struct Leases {
    most: usize,
    taken: usize,
}

/// A lease of a semaphore or lock, given back when this is dropped.
#[must_use = "a lease that is dropped is given back"]
pub struct Lease(Semaphore);

/// The semaphore of that name has another number of leases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the semaphore {name:?} has {is} leases, not {wanted}")]
pub struct OtherSize {
    /// The name.
    pub name: String,
    /// How many it has.
    pub is: usize,
    /// How many it was to have.
    pub wanted: usize,
}

impl From<OtherSize> for Error {
    fn from(error: OtherSize) -> Self {
        Self::Name(error.to_string().into())
    }
}

impl Resource for Leases {
    type Want = ();
    type Gift = ();
    const KIND: &'static str = "semaphore";

    fn give(&mut self, (): &mut ()) -> Option<()> {
        (self.taken < self.most).then(|| self.taken += 1)
    }

    fn take_back(&mut self, (): &mut ()) -> bool {
        self.taken -= 1;
        true
    }

    fn is_new(&self) -> bool {
        self.taken == 0
    }
}

impl Semaphore {
    /// A semaphore of its own, with so many leases.
    #[must_use]
    pub fn new(client: impl AsRef<Names>, leases: usize) -> Self {
        Self::find(client.as_ref(), None, leases)
    }

    /// The semaphore of this name, made with so many leases if there is none yet.
    ///
    /// # Errors
    /// It has another number of leases.
    pub fn named(client: impl AsRef<Names>, name: &str, leases: usize) -> Result<Self, OtherSize> {
        let found = Self::find(client.as_ref(), Some(name), leases);
        match found.0.monitor().with(|leases| leases.most) {
            Ok(is) if is != leases => Err(OtherSize { name: name.to_owned(), is, wanted: leases }),
            _ => Ok(found),
        }
    }

    fn find(names: &Names, name: Option<&str>, most: usize) -> Self {
        let found = names.find(name, || Leases { most, taken: 0 });
        Self(found.expect("semaphores are of one type"))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Takes a lease, once there is one.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn acquire(&self) -> Result<Lease, Error> {
        block(self.turn_to_acquire(), None).map(|()| self.lease())
    }

    /// As [`acquire`](Self::acquire), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Lease, Error> {
        block(self.turn_to_acquire(), after(timeout)).map(|()| self.lease())
    }

    /// As [`acquire`](Self::acquire), to be awaited. If that is given up, the lease goes to the next.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn acquire_async(&self) -> Result<Lease, Error> {
        lending(self.turn_to_acquire()).await?;
        Ok(self.lease())
    }

    /// The number of leases that are taken.
    ///
    /// # Errors
    /// It is closed.
    pub fn taken(&self) -> Result<usize, IsClosed> {
        self.0.monitor().with(|leases| leases.taken)
    }

    /// Frees the name, and ends all waits for a lease. Returns how many leases were taken.
    pub fn close(&self) -> usize {
        self.0.close().map_or(0, |leases| leases.taken)
    }

    /// A wait for a lease, for callers that wait in their own way. They make a
    /// [`lease`](Self::lease) of what it gives.
    pub fn turn_to_acquire(&self) -> Turn<Leases> {
        Turn::new(self.0.clone(), ())
    }

    /// The lease that a [turn](Self::turn_to_acquire) has given.
    pub fn lease(&self) -> Lease {
        Lease(self.clone())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A closed semaphore takes nothing back.
        let _ = self.0.0.monitor().with(|leases| leases.taken -= 1);
    }
}
