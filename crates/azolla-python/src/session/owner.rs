//! The cluster of this thread's worker.
//!
//! The runner notes it when the thread begins. A task asks for it when it needs its client.

use super::shared::Cluster;
use super::thread::with_worker;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock, Weak};

/// A worker's cluster: not there yet when its first workers begin, and gone when nobody has it, a
/// client or a future of it any more.
pub(crate) type Owner = Arc<OnceLock<Weak<Cluster>>>;

thread_local! {
    /// The cluster of this thread's worker.
    static OWNER: RefCell<Option<Owner>> = const { RefCell::new(None) };
}

/// Notes that a worker of this cluster is on this thread, or that none is any more.
pub(crate) fn set_owner(owner: Option<Owner>) {
    drop(OWNER.replace(owner));
}

/// The cluster of this thread's worker, if it has one that is still there.
pub(crate) fn cluster_here() -> Option<Arc<Cluster>> {
    OWNER.with_borrow(|owner| owner.as_ref()?.get()?.upgrade())
}

/// Whether this is a worker's thread, but not in a task: it hands over a result, say, and what it
/// lets go of has a finalizer that has led here.
pub(crate) fn is_between_tasks() -> bool {
    OWNER.with_borrow(Option::is_some) && with_worker(|worker| worker.is_none())
}
