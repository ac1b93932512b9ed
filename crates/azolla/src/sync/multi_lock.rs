//! `MultiLock`: several locks at once, or some of several.

use super::{after, block};
use crate::error::Error;
use crate::lending::lending;
use crate::runtime::{Named, Names, Resource, Turn};
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::time::Duration;

/// Several locks that are taken all at once, so that two tasks that want several cannot block each
/// other, in whatever order they name them. Their names are separate from those of single locks.
///
/// ```
/// use azolla::sync::MultiLock;
///
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let left = MultiLock::new(&client, ["fork 1", "fork 2"]);
/// let right = MultiLock::new(&client, ["fork 2", "fork 1"]);
/// let diners = client.map(|forks: MultiLock| forks.acquire().map(drop), [left, right]);
/// assert!(client.gather(&diners)?.into_iter().all(Result::is_ok));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MultiLock {
    all: Named<Holds>,
    names: Arc<[Arc<str>]>,
}

/// Which names are locked.
#[derive(Default)]
pub struct Holds {
    held: FxHashSet<Arc<str>>,
    /// The names that waiters further ahead in line want.
    wanted: FxHashSet<Arc<str>>,
}

/// A request for this number of these names.
pub struct Wanted {
    names: Arc<[Arc<str>]>,
    number: usize,
}

/// Locks that are held until this is dropped.
#[must_use = "locks that are dropped are free"]
pub struct MultiLease {
    all: Named<Holds>,
    names: Vec<Arc<str>>,
}

impl Resource for Holds {
    type Want = Wanted;
    type Gift = Vec<Arc<str>>;
    const KIND: &'static str = "multi-lock";

    fn give(&mut self, want: &mut Wanted) -> Option<Vec<Arc<str>>> {
        let free = |name: &&Arc<str>| !self.held.contains(*name) && !self.wanted.contains(*name);
        let free: Vec<_> =
            want.names.iter().filter(free).take(want.number).map(Arc::clone).collect();
        if free.len() < want.number {
            return None;
        }
        self.held.extend(free.iter().map(Arc::clone));
        Some(free)
    }

    fn begin_pass(&mut self) {
        self.wanted.clear();
    }

    fn passes(&mut self, want: &Wanted) -> bool {
        self.wanted.extend(want.names.iter().map(Arc::clone));
        true
    }

    fn take_back(&mut self, gift: &mut Vec<Arc<str>>) {
        for name in gift {
            self.held.remove(name);
        }
    }

    fn is_new(&self) -> bool {
        self.held.is_empty()
    }
}

impl MultiLock {
    /// The locks of these names.
    pub fn new(
        client: impl AsRef<Names>,
        names: impl IntoIterator<Item = impl Into<Arc<str>>>,
    ) -> Self {
        let all = client.as_ref().find(Some("all"), Holds::default);
        let mut distinct: Vec<Arc<str>> = Vec::new();
        for name in names {
            let name = name.into();
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        Self { all: all.expect("these are of one type"), names: distinct.into() }
    }

    /// The names, each once.
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Waits until all locks are free, and locks them until the lease is dropped.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn acquire(&self) -> Result<MultiLease, Error> {
        block(self.turn_to_acquire(self.names.len()), None).map(|names| self.lease(names))
    }

    /// As [`acquire`](Self::acquire), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<MultiLease, Error> {
        block(self.turn_to_acquire(self.names.len()), after(timeout)).map(|names| self.lease(names))
    }

    /// Waits until `number` of the locks are free, and locks that many.
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// If there are not so many.
    pub fn acquire_some(&self, number: usize) -> Result<MultiLease, Error> {
        assert!(number <= self.names.len(), "{number} of {} locks", self.names.len());
        block(self.turn_to_acquire(number), None).map(|names| self.lease(names))
    }

    /// As [`acquire`](Self::acquire), to be awaited.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn acquire_async(&self) -> Result<MultiLease, Error> {
        let names = lending(self.turn_to_acquire(self.names.len())).await?;
        Ok(self.lease(names))
    }

    /// A wait for `number` of the locks, for callers that wait in their own way. They make a
    /// [`lease`](Self::lease) of what it gives.
    pub fn turn_to_acquire(&self, number: usize) -> Turn<Holds> {
        Turn::new(self.all.clone(), Wanted { names: Arc::clone(&self.names), number })
    }

    /// The locks that a [turn](Self::turn_to_acquire) has given.
    pub fn lease(&self, names: Vec<Arc<str>>) -> MultiLease {
        MultiLease { all: self.all.clone(), names }
    }
}

impl MultiLease {
    /// Which are held.
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }
}

impl Drop for MultiLease {
    fn drop(&mut self) {
        // A closed monitor takes nothing back.
        let _ = self.all.monitor().with(|holds| holds.take_back(&mut self.names));
    }
}
