//! Python code that the engine calls, on whatever thread and in the middle of whatever.

use pyo3::prelude::*;

/// Calls `f`, unless Python is coming to its end. The last future on a task may go, and have the engine tell of other ends,
/// while an exception is on its way through the thread that drops it. `f` does not see that exception, which then goes on.
pub(crate) fn beside<R>(f: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    Python::try_attach(|py| {
        let under_way = PyErr::take(py);
        let result = f(py);
        if let Some(error) = under_way {
            error.restore(py);
        }
        result
    })
}
