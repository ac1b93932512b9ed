//! `MultiLock`: several locks at once, or some of several.

use super::{after, block};
use crate::error::Error;
use crate::lending::lending;
use crate::runtime::{Named, Names, Resource, Turn};
use rustc_hash::FxHashMap;
use std::collections::{BTreeSet, VecDeque};
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

/// The names that are locked or waited for.
#[derive(Default)]
pub struct Holds {
    names: FxHashMap<Arc<str>, Name>,
    /// The waiters that have come to be the first for a free name since they were looked at last.
    to_look_at: VecDeque<u64>,
}

/// A name is free for the first in its own line alone. So a waiter that cannot be served yet is not overtaken, and
/// holds up none that wants other names.
#[derive(Default)]
struct Name {
    held: bool,
    /// The numbers of the waiters that want it.
    line: BTreeSet<u64>,
}

/// A request for this number of these names.
pub struct Wanted {
    names: Arc<[Arc<str>]>,
    number: usize,
    /// The waiter's number in line, once it has one.
    waiter: Option<u64>,
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
    const PASSES: bool = true;

    fn give(&mut self, want: &mut Wanted) -> Option<Vec<Arc<str>>> {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let free = |name: &&Arc<str>| {
            let is_first = |name: &Name| name.line.first().copied() == want.waiter;
            self.names.get(*name).is_none_or(|name| !name.held && is_first(name))
        };
        let free: Vec<_> =
            want.names.iter().filter(free).take(want.number).map(Arc::clone).collect();
        if free.len() < want.number {
            return None;
        }
        for name in &free {
            self.names.entry(Arc::clone(name)).or_default().held = true;
        }
        self.give_up(want);
        Some(free)
    }

    fn stands(&mut self, want: &mut Wanted, number: u64) {
        want.waiter = Some(number);
        for name in &*want.names {
            self.names.entry(Arc::clone(name)).or_default().line.insert(number);
        }
        self.to_look_at.push_back(number);
    }

    fn next(&mut self, _first: u64) -> Option<u64> {
        self.to_look_at.pop_front()
    }

    fn take_back(&mut self, gift: &mut Vec<Arc<str>>) -> bool {
        for name in gift {
            self.change(name, |name| name.held = false);
        }
        true
    }

    fn give_up(&mut self, want: &mut Wanted) {
        let Some(waiter) = want.waiter.take() else { return };
        for name in &*want.names {
            self.change(name, |name| {
                name.line.remove(&waiter);
            });
        }
    }

    fn is_new(&self) -> bool {
        self.names.is_empty()
    }
}

impl Holds {
    /// Changes a name. Then the first in its line is looked at, if the name is free.
    fn change(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Name)) {
        let Some(of_name) = self.names.get_mut(name) else { return };
        change(of_name);
        if of_name.held {
            return;
        }
        match of_name.line.first() {
            // Mostly the same waiter is the first for several names.
            first @ Some(_) if first == self.to_look_at.back() => {}
            Some(first) => self.to_look_at.push_back(*first),
            None => drop(self.names.remove(name)),
        }
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
        Turn::new(self.all.clone(), Wanted { names: Arc::clone(&self.names), number, waiter: None })
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

#[cfg(test)]
std::thread_local! {
    /// How many looks at waiters this thread has taken.
    static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(all(test, not(azolla_shuttle)))]
mod tests {
    use super::*;
    use crate::Client;
    use crate::runtime::{Listen, Status};

    struct Ignores;

    impl Listen for Ignores {
        fn settled(&self, _: usize, _: Status) {}
    }

    #[test]
    fn a_waiter_is_looked_at_when_it_may_be_served_and_not_for_each_before_it() {
        const MANY: usize = 1_000;
        let client = Client::builder().threads_per_worker(1).build().unwrap();
        let lock = |own: usize| MultiLock::new(&client, [own.to_string(), "all".to_owned()]);
        let held = lock(MANY).acquire().unwrap();
        let listener: Arc<dyn Listen> = Arc::new(Ignores);
        let stands = |at: usize| {
            let mut turn = lock(at).turn_to_acquire(2);
            assert!(!turn.stand(&listener));
            turn
        };
        let looks = LOOKS.get();
        let waits: Vec<_> = (0..MANY).map(stands).collect();
        let given_up: Vec<_> = (0..MANY).map(stands).collect();
        drop(given_up);
        drop(held);
        for (at, mut wait) in waits.into_iter().enumerate() {
            drop(lock(at).lease(wait.now().unwrap().expect("it is the first")));
        }
        assert!(LOOKS.get() - looks <= 5 * MANY, "{} looks", LOOKS.get() - looks);
        drop(lock(0).acquire().unwrap());
    }
}
