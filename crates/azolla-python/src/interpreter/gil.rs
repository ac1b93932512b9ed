//! Long native work on a thread that holds the GIL: it lets other threads run from time to time, as a loop in
//! Python would.

use pyo3::prelude::*;
use std::cell::Cell;

/// After how many dropped futures a thread lets others run.
const DROPS: u32 = 256;

thread_local! {
    /// How many futures this thread has dropped since it let others run.
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// If this thread holds the GIL, hands it to a thread that waits for it.
pub(crate) fn let_others_run() {
    if may_hold_the_gil() {
        let _ = Python::try_attach(|py| py.detach(|| ()));
    }
}

#[cfg(not(feature = "abi3"))]
fn may_hold_the_gil() -> bool {
    // SAFETY: this only looks at the thread's own state, and may be called on any thread.
    unsafe { pyo3::ffi::PyGILState_Check() == 1 }
}

/// The stable ABI has no way to tell. A thread without the GIL then takes it for a moment.
#[cfg(feature = "abi3")]
fn may_hold_the_gil() -> bool {
    true
}

/// Counts one more dropped future. A list of half a million is dropped in one go.
pub(crate) fn one_more_dropped() {
    let dropped = DROPPED.get() + 1;
    DROPPED.set(dropped % DROPS);
    if dropped == DROPS {
        let_others_run();
    }
}
