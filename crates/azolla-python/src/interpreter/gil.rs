//! Long native work on a thread that holds the GIL: it lets other threads run from time to time, as a loop in
//! Python would.

use pyo3::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// After how many dropped futures a thread lets others run.
const DROPS: u32 = 256;

/// After how many steps a long loop looks at the time, and for Ctrl-C.
const STEPS: u32 = 4096;

/// How long a thread keeps the GIL while others wait for it: as long as Python's own loops do by default.
const TURN: Duration = Duration::from_millis(5);

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

/// The steps of a long loop on a thread that holds the GIL.
#[derive(Clone, Copy, Default)]
pub(crate) struct Steps {
    taken: u32,
    /// When the thread has let others run. It is not read before the first look, since most loops are short.
    since: Option<Instant>,
}

impl Steps {
    /// Takes a step. Now and then it looks for Ctrl-C, which it raises, and lets other threads run.
    #[inline]
    pub(crate) fn step(&mut self, py: Python<'_>) -> PyResult<()> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(STEPS) { self.look(py) } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self, py: Python<'_>) -> PyResult<()> {
        py.check_signals()?;
        if self.since.is_some_and(|since| since.elapsed() >= TURN) {
            py.detach(|| ());
            self.since = None;
        }
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }
}
