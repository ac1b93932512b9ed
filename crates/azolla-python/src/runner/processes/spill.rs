//! How much large data stays in memory: the rest moves to a file.

use azolla_process::shelf::Limit;
use pyo3::prelude::*;
use std::io;
use std::path::PathBuf;

/// Returns how many bytes of the data of processes stay in memory that may take so many bytes, all together. As Dask's `target`,
/// it is 60 %.
pub(super) fn share(bytes: u64) -> u64 {
    bytes / 10 * 6
}

/// Returns the limit of the data of processes that may take so many bytes, all together.
pub(super) fn limit(bytes: u64, folder: PathBuf) -> Limit {
    let shown = folder.clone();
    let full = move |error: &io::Error| {
        let _ = Python::try_attach(|py| warn(py, &shown, error));
    };
    Limit { bytes: share(bytes), folder, full: Box::new(full) }
}

/// Logs why data stays in memory.
fn warn(py: Python<'_>, folder: &PathBuf, error: &io::Error) -> PyResult<()> {
    let log = py.import("logging")?.call_method1("getLogger", ("azolla",))?;
    let format = "results stay in memory, though there are many: they cannot be moved to %s: %s";
    log.call_method1("warning", (format, folder, error.to_string()))?;
    Ok(())
}
