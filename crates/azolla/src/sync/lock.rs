//! `Lock`: a semaphore with one lease.

use super::semaphore::{Lease, OtherSize, Semaphore};
use crate::error::Error;
use crate::runtime::{IsClosed, Names};
use std::time::Duration;

/// A lock: one holder at a time. A lock and a semaphore of the same name are the same thing.
///
/// ```
/// use azolla::sync::Lock;
///
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let lock = Lock::new(&client);
/// let lease = lock.acquire()?;
/// let holds = lock.clone();
/// let task = client.submit(move || holds.acquire().map(drop));
/// drop(lease); // and the task goes on
/// task.result()?.clone()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Lock(Semaphore);

impl Lock {
    /// A lock of its own.
    #[must_use]
    pub fn new(client: impl AsRef<Names>) -> Self {
        Self(Semaphore::new(client, 1))
    }

    /// The lock of this name.
    ///
    /// # Errors
    /// The name belongs to a semaphore with more leases.
    pub fn named(client: impl AsRef<Names>, name: &str) -> Result<Self, OtherSize> {
        Semaphore::named(client, name, 1).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Waits until the lock is free, and locks it until the lease is dropped.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn acquire(&self) -> Result<Lease, Error> {
        self.0.acquire()
    }

    /// As [`acquire`](Self::acquire), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Lease, Error> {
        self.0.acquire_timeout(timeout)
    }

    /// As [`acquire`](Self::acquire), to be awaited.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn acquire_async(&self) -> Result<Lease, Error> {
        self.0.acquire_async().await
    }

    /// Returns true if the lock is held.
    ///
    /// # Errors
    /// It is closed.
    pub fn is_locked(&self) -> Result<bool, IsClosed> {
        self.0.taken().map(|taken| taken > 0)
    }
}
