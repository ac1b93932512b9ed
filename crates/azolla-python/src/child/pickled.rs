//! Which tasks' futures are in a pickle: the pickle names them by their keys, and somebody must keep the tasks until it is read.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// The tasks whose futures are in a pickle.
#[derive(Clone, Default)]
pub(crate) struct Named {
    /// Their numbers in the client's engine.
    pub(crate) tasks: Vec<u64>,
    /// Their jobs: as long as these are there, this process does not give up the tasks. A message that names them must
    /// have been read before it does.
    pub(crate) keep: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Named {
    /// Adds those of another pickle.
    pub(crate) fn add(&mut self, more: Self) {
        self.tasks.extend(more.tasks);
        self.keep.extend(more.keep);
    }
}

thread_local! {
    /// The tasks of the futures that were pickled on this thread, while a caller collects them.
    static COLLECTED: RefCell<Option<Named>> = const { RefCell::new(None) };
}

/// Calls `f`, which pickles something, and returns the tasks whose futures are in it.
pub(crate) fn collecting<R>(f: impl FnOnce() -> R) -> (R, Named) {
    let before = COLLECTED.replace(Some(Named::default()));
    let result = f();
    (result, COLLECTED.replace(before).unwrap_or_default())
}

/// A future on the task of this number in the client's engine is being pickled.
pub(crate) fn note(task: u64, job: Arc<dyn Any + Send + Sync>) {
    COLLECTED.with_borrow_mut(|collected| {
        if let Some(Named { tasks, keep }) = collected {
            tasks.push(task);
            keep.push(job);
        }
    });
}
