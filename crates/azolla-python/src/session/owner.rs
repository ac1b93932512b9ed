//! The cluster of this thread's worker.
//!
//! The runner sets it when the thread begins. A task reads it when it needs its client.

use super::shared::Cluster;
use super::thread::with_worker;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock, Weak};

/// A weak reference to a worker's cluster. It is set only after the first workers have begun. It is dead
/// once the cluster object, its clients and their futures are all gone.
pub(crate) type Owner = Arc<OnceLock<Weak<Cluster>>>;

thread_local! {
    /// The cluster of this thread's worker.
    static OWNER: RefCell<Option<Owner>> = const { RefCell::new(None) };
}

/// Sets the cluster of this thread's worker; `None` when the worker leaves the thread.
pub(crate) fn set_owner(owner: Option<Owner>) {
    drop(OWNER.replace(owner));
}

/// Returns the cluster of this thread's worker, if the thread has a worker and the cluster still exists.
pub(crate) fn cluster_here() -> Option<Arc<Cluster>> {
    OWNER.with_borrow(|owner| owner.as_ref()?.get()?.upgrade())
}

/// Returns true on a worker's thread outside tasks. This happens in a finalizer: the worker hands over a
/// result, say, and drops an object whose finalizer calls azolla.
pub(crate) fn is_between_tasks() -> bool {
    OWNER.with_borrow(Option::is_some) && with_worker(|worker| worker.is_none())
}
