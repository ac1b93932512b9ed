//! Several clients of one engine: which of them are open, and what becomes of a client's work when
//! the client leaves.

use crate::client::{Client, ClientInner};
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// The clients that share an engine.
pub(crate) struct Cluster(Mutex<Clients>);

#[derive(Default)]
struct Clients {
    /// The clients that have not left, oldest first.
    open: Vec<(u32, Weak<ClientInner>)>,
    numbers: u32,
    /// The last client has left, so no client can join any more.
    closed: bool,
}

/// A client's place in its cluster.
pub(crate) struct Membership {
    pub(crate) cluster: Arc<Cluster>,
    /// The client's number, from 0. Its tasks carry it in their headers.
    pub(crate) number: u32,
    has_left: AtomicBool,
}

impl Membership {
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Leaves the cluster. Returns `Some(true)` if all clients have left now, `Some(false)` if
    /// others are open, and `None` if this client had left before and others are open.
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

    /// Has one more client join, which `make` makes. In a closed cluster the new client counts as
    /// one that has left.
    pub(crate) fn join(
        self: &Arc<Self>,
        make: impl FnOnce(Membership) -> Arc<ClientInner>,
    ) -> Arc<ClientInner> {
        let (number, closed) = {
            let mut clients = self.0.lock();
            let number = clients.numbers;
            clients.numbers += 1;
            // The place is held while the client is made, so that another client that leaves now is
            // not the last.
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

    /// The client with this number, or the latest one if that has left. `None` if all have left.
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
    /// Another client on the same threads. Both find tasks by the keys that either has given. They
    /// share the names of queues, locks and the like, and take each other's futures as inputs.
    ///
    /// Each client is closed on its own. Closing cancels the tasks that were submitted through it
    /// and what has grown from them, except tasks whose key the other client has submitted too, or
    /// that the other's tasks depend on. After that nothing can be submitted through it. Closing
    /// waits for running tasks only if it closes the last client. (A clone is not another client,
    /// but another handle on the same.)
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
