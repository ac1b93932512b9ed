//! Who is to be told when a task settles: mostly nobody, or one.

use super::header::Status;
use std::mem;
use std::sync::Arc;
use thin_vec::{ThinVec, thin_vec};

/// Somebody who wants to be told when tasks settle.
pub trait Listen: Send + Sync {
    /// A task has settled. Called once for each time it was listened to, on whatever thread made
    /// it settle, with no lock held. `token` is what was given when listening began.
    fn settled(&self, token: usize, status: Status);
}

pub(super) struct Listener {
    pub(super) who: Arc<dyn Listen>,
    pub(super) token: usize,
}

/// In the order in which they came. The first one takes no allocation.
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

    /// Takes this one away, as often as it is there. Whoever asks for it keeps it alive.
    pub(super) fn remove(&mut self, who: &Arc<dyn Listen>) {
        match self {
            Self::One(listener) if Arc::ptr_eq(&listener.who, who) => *self = Self::new(),
            Self::Listed(listed) => listed.retain(|listener| !Arc::ptr_eq(&listener.who, who)),
            Self::One(_) => {}
        }
    }

    pub(super) fn each(self, mut f: impl FnMut(Listener)) {
        match self {
            Self::One(listener) => f(listener),
            Self::Listed(listed) => listed.into_iter().for_each(f),
        }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self::new()
    }
}
