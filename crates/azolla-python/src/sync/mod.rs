//! What programs share by name: the native halves of `Queue`, `Variable`, `Lock`, `MultiLock`, `Semaphore` and `Event`.

mod event;
mod multi_lock;
mod queue;
mod semaphore;
mod stored;
mod turn;
mod variable;

pub(crate) use event::EventCore;
pub(crate) use multi_lock::MultiLockCore;
pub(crate) use queue::QueueCore;
pub(crate) use semaphore::SemaphoreCore;
pub(crate) use turn::PyTurn;
pub(crate) use variable::VariableCore;

use crate::session::core::Core;
use crate::session::shared::Shared;
use azolla::runtime::{IsClosed, Names};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// A shared object, and the client that this handle on it was made with. The child of a fork does not drop the object:
/// dropping takes locks, and in the child a lock may stay held for ever by a thread that is not there.
pub(crate) struct Handle<T> {
    shared: Arc<Shared>,
    object: Arc<T>,
}

/// Returns the names of a client's cluster. If `own` is true, the name is made up, and what it names goes with its last
/// handle.
fn names(shared: &Shared, own: bool) -> Names {
    let names = shared.engine.names();
    if own { names.own() } else { names.clone() }
}

impl<T> Handle<T> {
    fn new(client: &Bound<'_, Core>, make: impl FnOnce(&Shared) -> PyResult<T>) -> PyResult<Self> {
        // An argument of a queued task must not keep that task's own client alive.
        let shared = client.get().shared()?.quiet();
        shared.check_process()?;
        let object = Arc::new(make(shared)?);
        Ok(Self { shared: Arc::clone(shared), object })
    }

    /// Returns the object. In the child of a fork it raises an error.
    fn get(&self) -> PyResult<&T> {
        self.shared.check_process()?;
        Ok(&self.object)
    }

    /// Returns the object, except in the child of a fork.
    fn in_this_process(&self) -> Option<&T> {
        (!self.shared.is_forked()).then_some(&*self.object)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Does an operation that can fail only because its object is closed. `name` is the object's, for the error.
    fn when_open<V>(
        &self,
        py: Python<'_>,
        name: &str,
        f: impl FnOnce(&T) -> Result<V, IsClosed>,
    ) -> PyResult<V> {
        let what = &shown(name);
        if self.shared.has_left() {
            self.shared.check_open(py, what)?;
        }
        f(self.get()?).map_err(|IsClosed| closed(py, &self.shared, what))
    }
}

/// Returns a name as errors show it. The engine's text for a name that is no text begins with a character of its own.
fn shown(name: &str) -> Cow<'_, str> {
    match name.contains('\0') {
        true => Cow::Owned(name.replace('\0', "")),
        false => Cow::Borrowed(name),
    }
}

/// The error for an object that is closed, by itself or with its client.
fn closed(py: Python<'_>, shared: &Shared, what: &str) -> PyErr {
    match shared.check_open(py, what) {
        Err(error) => error,
        // Only semaphores are closed by themselves. The words are Dask's.
        Ok(()) => {
            PyRuntimeError::new_err(format!("Semaphore `{what}` not known or already closed."))
        }
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.shared.is_forked() {
            std::mem::forget(Arc::clone(&self.object));
        }
    }
}
