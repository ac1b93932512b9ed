//! Several clients of one engine: who of them is there, and what becomes of the work of one that leaves.

use crate::client::{Client, ClientInner};
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// The clients that share an engine.
pub(crate) struct Cluster(Mutex<Clients>);

#[derive(Default)]
struct Clients {
    /// Those that have not left, oldest first.
    open: Vec<(u32, Weak<ClientInner>)>,
    numbers: u32,
    /// The last has left: nobody joins any more.
    closed: bool,
}

/// A client's place in its cluster.
pub(crate) struct Membership {
    pub(crate) cluster: Arc<Cluster>,
    /// Counted from 0; its tasks carry it.
    pub(crate) number: u32,
    has_left: AtomicBool,
}

impl Membership {
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Leaves. Whether it was the last, or that had left before; `None` if this has left before and
    /// others have not.
    pub(crate) fn leave(&self) -> Option<bool> {
        let mut clients = self.cluster.0.lock();
        clients.open.retain(|(number, _)| *number != self.number);
        let had_left = self.has_left.swap(true, Ordering::AcqRel);
        clients.closed |= clients.open.is_empty();
        if had_left && !clients.closed { None } else { Some(clients.closed) }
    }
}

impl Cluster {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Clients::default())))
    }

    /// Has one more client join, which `make` makes; in a cluster that is closed, one that has left.
    pub(crate) fn join(
        self: &Arc<Self>,
        make: impl FnOnce(Membership) -> Arc<ClientInner>,
    ) -> Arc<ClientInner> {
        let (number, closed) = {
            let mut clients = self.0.lock();
            let number = clients.numbers;
            clients.numbers += 1;
            // A place that is held meanwhile: the last to leave is the last all the same.
            if !clients.closed {
                clients.open.push((number, Weak::new()));
            }
            (number, clients.closed)
        };
        let has_left = AtomicBool::new(closed);
        let shared = make(Membership { cluster: Arc::clone(self), number, has_left });
        let mut clients = self.0.lock();
        if let Some((_, place)) = clients.open.iter_mut().find(|(other, _)| *other == number) {
            *place = Arc::downgrade(&shared);
        }
        drop(clients);
        shared
    }

    /// The client with this number, or the latest if that has left; none if all have.
    pub(crate) fn client(&self, number: u32) -> Option<Client> {
        let clients = self.0.lock();
        let own = clients.open.iter().find(|(other, _)| *other == number);
        let found = own.into_iter().chain(clients.open.iter().rev());
        let mut found = found.filter_map(|(_, client)| client.upgrade());
        let client = found.next();
        drop(found);
        drop(clients);
        client.map(Client)
    }
}

impl Client {
    /// Another client of the same threads. Both find tasks by the keys that either has given, names of
    /// queues, locks and the like are shared, and futures of the one are inputs for the other.
    ///
    /// Each is closed for itself: that cancels what was submitted through it, and what has grown from
    /// that, unless the other has submitted the same key or depends on it; and nothing can be submitted
    /// through it any more. It does not wait for what runs: the last one to be closed does. (A clone is
    /// no other client, but another handle on the same.)
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let guest = client.another();
    /// let fern = client.task().key("fern").submit(|| 7);
    /// let same = guest.task().key("fern").submit(|| 8);
    /// let more = guest.submit_with(&fern, |n| n + 1);
    /// client.close();
    /// assert_eq!((*same.result()?, *more.result()?), (7, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn another(&self) -> Self {
        let ClientInner { engine, threads, membership } = &*self.0;
        Self(membership.cluster.join(|membership| {
            let (engine, threads) = (Arc::clone(engine), threads.clone());
            Arc::new(ClientInner { engine, threads, membership })
        }))
    }
}
