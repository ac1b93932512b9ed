//! The clients of a cluster, by the numbers that their tasks carry. One that is gone leaves nothing behind.

use super::shared::Shared;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

#[derive(Default)]
pub(super) struct Clients {
    open: BTreeMap<u32, Weak<Shared>>,
    /// How many there have been.
    numbers: u32,
}

impl Clients {
    /// Returns the number of a client that is about to be added.
    pub(super) fn next_number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers - 1
    }

    /// Adds a client. Returns true if it is not the first.
    pub(super) fn add(&mut self, number: u32, client: &Arc<Shared>) -> bool {
        self.open.insert(number, Arc::downgrade(client));
        self.numbers > 1
    }

    pub(super) fn get(&self, number: u32) -> Option<Arc<Shared>> {
        self.open.get(&number).and_then(Weak::upgrade)
    }

    pub(super) fn all(&self) -> Vec<Arc<Shared>> {
        self.open.values().filter_map(Weak::upgrade).collect()
    }

    /// Forgets the client of this number, if it is gone. What tasks use in its place has the same number, and may go
    /// before it or after it.
    pub(super) fn forget_gone(&mut self, number: u32) {
        if self.open.get(&number).is_some_and(|client| client.strong_count() == 0) {
            self.open.remove(&number);
        }
    }
}
