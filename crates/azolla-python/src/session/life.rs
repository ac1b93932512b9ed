//! How long a client lives: as long as the program refers to the `Client` or to one of its futures.
//!
//! Futures refer to the client's `Shared`, and `Shared` refers to the `Client` only weakly. So there is no cycle that the
//! collector could not see. A `Client` that goes leaves an object with `Shared`, its afterlife. The last future takes the
//! afterlife with it, and that ends the client. Queues and locks keep no client alive: they refer to its quiet twin,
//! or to the guest if the client is one.

use super::shared::Shared;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::{Arc, OnceLock};

/// What a client's `Shared` knows of its life.
#[derive(Default)]
pub(super) struct Life {
    /// What the `Client` has left, if it is gone. Dropping it ends the client.
    afterlife: OnceLock<Py<PyAny>>,
    /// The twin: the same client, and nothing that refers to it keeps the client alive.
    twin: Option<Arc<Shared>>,
    /// True for the twin itself.
    is_quiet: bool,
    /// True for a client that closes its cluster with itself.
    owns: bool,
}

impl Life {
    pub(super) fn quiet() -> Self {
        Self { is_quiet: true, ..Self::default() }
    }

    pub(super) fn with(twin: &Arc<Shared>, owns: bool) -> Self {
        Self { twin: Some(Arc::clone(twin)), owns, ..Self::default() }
    }
}

impl Shared {
    /// Has the client live as long as its futures. The `Client` calls this when nothing refers to it any more. `in_tasks` is
    /// for the futures that a guest makes in tasks.
    pub(crate) fn leave_behind(&self, afterlife: Option<Py<PyAny>>, in_tasks: Py<PyAny>) {
        if let Some(guest) = &self.in_tasks {
            let _ = guest.life.afterlife.set(in_tasks);
        }
        if let Some(afterlife) = afterlife {
            let _ = self.life.afterlife.set(afterlife);
        }
    }

    /// Returns the client for the futures that its cluster keeps. They do not keep it alive, and stay when it leaves.
    pub(crate) fn keeper(self: &Arc<Self>) -> &Arc<Self> {
        self.life.twin.as_ref().unwrap_or(self)
    }

    /// Returns the client for a queue or a lock. A guest is itself, since they must learn that it leaves.
    pub(crate) fn quiet(self: &Arc<Self>) -> &Arc<Self> {
        if self.life.owns { self.keeper() } else { self }
    }

    /// Returns the client for a future.
    pub(crate) fn for_a_future(self: &Arc<Self>) -> Arc<Self> {
        let itself = self.life.is_quiet.then(|| self.cluster.client(self.number)).flatten();
        itself.unwrap_or_else(|| Arc::clone(self))
    }

    fn afterlife<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.life.afterlife.get().map(|afterlife| afterlife.bind(py).clone())
    }

    /// Returns the client object. If it is gone and its futures live, another one stands in for it. Returns Python's None
    /// once the client is closed.
    pub(crate) fn client_or_stand_in<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client(py)?;
        match self.afterlife(py).filter(|_| client.is_none() && !self.engine.is_closing()) {
            Some(afterlife) => afterlife.call_method0(intern!(py, "stand_in")),
            None => Ok(client),
        }
    }

    /// Returns the object that has the client's thread for callbacks, or Python's None.
    pub(crate) fn callbacks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client(py)?;
        match self.afterlife(py).filter(|_| client.is_none()) {
            Some(afterlife) => Ok(afterlife),
            None => Ok(client),
        }
    }
}
