//! What this process tells its client of a run that the client records.

use crate::interpreter::imports::python;
use azolla_process::message;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::time::{Duration, Instant, SystemTime};

/// When a call has ended: now. It is read before the result is pickled.
#[derive(Clone, Copy)]
pub(super) struct Stop(SystemTime, Instant);

impl Stop {
    pub(super) fn now() -> Self {
        Self(SystemTime::now(), Instant::now())
    }
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Run {
    start: u64,
    stop: u64,
    about: Vec<u8>,
}

impl Run {
    /// The run that began then, ended at `stop`, and failed or not: with this error or result. User code may run.
    pub(super) fn new(
        began: Instant,
        Stop(stop, ended): Stop,
        outcome: &Bound<'_, PyAny>,
        failed: bool,
    ) -> Self {
        let stop = stop.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let start = stop.saturating_sub(ended.duration_since(began));
        let nanoseconds = |since: Duration| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self {
            start: nanoseconds(start),
            stop: nanoseconds(stop),
            about: about(outcome, failed).unwrap_or_default(),
        }
    }

    pub(super) fn message(&self) -> message::Run<'_> {
        message::Run { start: self.start, stop: self.stop, about: &self.about }
    }
}

fn about(outcome: &Bound<'_, PyAny>, failed: bool) -> PyResult<Vec<u8>> {
    static ABOUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let about = python(outcome.py(), &ABOUT, "azolla._run.recorder", "about")?;
    Ok(about.call1((outcome, failed))?.cast::<PyBytes>()?.as_bytes().to_vec())
}
