//! Which tasks' futures are in a pickle: the pickle names them by their keys, and somebody must keep the tasks until it is read.

use std::cell::RefCell;

thread_local! {
    /// The tasks of the futures that were pickled on this thread, while a caller collects them.
    static COLLECTED: RefCell<Option<Vec<u64>>> = const { RefCell::new(None) };
}

/// Calls `f`, which pickles something, and returns the numbers of the tasks whose futures are in it.
pub(crate) fn collecting<R>(f: impl FnOnce() -> R) -> (R, Vec<u64>) {
    let before = COLLECTED.replace(Some(Vec::new()));
    let result = f();
    (result, COLLECTED.replace(before).unwrap_or_default())
}

/// A future on the task of this number in the client's engine is being pickled.
pub(crate) fn note(task: u64) {
    COLLECTED.with_borrow_mut(|collected| {
        if let Some(collected) = collected {
            collected.push(task);
        }
    });
}
