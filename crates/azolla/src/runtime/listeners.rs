//! The listeners of a task, which are called when it settles. Most tasks have none or one.

use super::header::Status;
use super::locked::caught;
use std::mem;
use std::sync::Arc;
use thin_vec::{ThinVec, thin_vec};

/// A listener: it is called when tasks settle.
pub trait Listen: Send + Sync {
    /// Called when a task has settled, once for each time that the listener was added. It runs on
    /// the thread that settled the task, with no lock held. `token` is what was given when the
    /// listener was added.
    fn settled(&self, token: usize, status: Status);
}

pub(super) struct Listener {
    pub(super) who: Arc<dyn Listen>,
    pub(super) token: usize,
}

/// Listeners in the order in which they were added. A single one takes no allocation.
pub(super) enum Listeners {
    One(Listener),
    Listed(ThinVec<Listener>),
}

impl Listeners {
    pub(super) const fn new() -> Self {
        Self::Listed(ThinVec::new())
    }

    pub(super) fn push(&mut self, listener: Listener) {
        match self {
            Self::Listed(listed) if listed.is_empty() => *self = Self::One(listener),
            Self::Listed(listed) => listed.push(listener),
            Self::One(_) => {
                if let Self::One(first) = mem::take(self) {
                    *self = Self::Listed(thin_vec![first, listener]);
                }
            }
        }
    }

    /// Removes this listener, as often as it is there. The caller keeps it alive, so nothing of the
    /// user's is dropped here.
    pub(super) fn remove(&mut self, who: &Arc<dyn Listen>) {
        match self {
            Self::One(listener) if Arc::ptr_eq(&listener.who, who) => *self = Self::new(),
            Self::Listed(listed) => listed.retain(|listener| !Arc::ptr_eq(&listener.who, who)),
            Self::One(_) => {}
        }
    }

    /// Calls them all.
    pub(super) fn tell(self, status: Status) {
        let call = |Listener { who, token }| {
            // A listener that panics does not stop the others.
            caught(|| who.settled(token, status));
            caught(|| drop(who));
        };
        match self {
            Self::One(listener) => call(listener),
            Self::Listed(listed) => listed.into_iter().for_each(call),
        }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self::new()
    }
}
