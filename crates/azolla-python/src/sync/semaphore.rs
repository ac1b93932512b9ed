//! The native half of `Semaphore` and `Lock`.

use super::turn::Given;
use super::{Handle, PyTurn, shown};
use crate::session::core::Core;
use azolla::sync::{Lease, Semaphore};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

#[doc = stub!(SemaphoreCore)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct SemaphoreCore(Handle<Held>);

struct Held {
    semaphore: Semaphore,
    leases: Arc<Mutex<VecDeque<Lease>>>,
}

#[pymethods]
impl SemaphoreCore {
    #[new]
    fn new(client: &Bound<'_, Core>, name: &str, max_leases: usize) -> PyResult<Self> {
        let handle = Handle::new(client, |shared| {
            let found = Semaphore::named(shared.engine.names(), name, max_leases);
            let semaphore = found.map_err(|error| {
                PyValueError::new_err(format!(
                    "Inconsistent max leases: {max_leases}, expected: {} (semaphore {:?})",
                    error.is,
                    shown(name)
                ))
            })?;
            Ok(Held { semaphore, leases: Arc::default() })
        })?;
        Ok(Self(handle))
    }

    #[doc = stub!(SemaphoreCore.acquire)]
    fn acquire(&self) -> PyResult<PyTurn> {
        let Held { semaphore, leases } = self.0.get()?;
        let (turn, what) = (semaphore.turn_to_acquire(), semaphore.name().to_owned());
        let (semaphore, leases) = (semaphore.clone(), Arc::clone(leases));
        Ok(PyTurn::new(self.0.shared(), what, turn, move |py, ()| {
            let lease = semaphore.lease();
            leases.lock().unwrap_or_else(PoisonError::into_inner).push_back(lease);
            let value = PyBool::new(py, true).to_owned().into_any().unbind();
            Ok(Given::new(value, move || {
                // One lease is as good as another.
                let lease = leases.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
                drop(lease);
                true
            }))
        }))
    }

    #[doc = stub!(SemaphoreCore.release)]
    fn release(&self) -> PyResult<bool> {
        let Held { leases, semaphore } = self.0.get()?;
        let lease = leases.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match lease {
            Some(lease) => {
                drop(lease);
                Ok(true)
            }
            None => Err(PyRuntimeError::new_err(format!(
                "Released too often: {:?} is not held by this object",
                shown(semaphore.name())
            ))),
        }
    }

    #[doc = stub!(SemaphoreCore.value)]
    fn value(&self, py: Python<'_>) -> PyResult<usize> {
        let what = self.0.get()?.semaphore.name();
        self.0.when_open(py, what, |held| held.semaphore.taken())
    }

    #[doc = stub!(SemaphoreCore.close)]
    fn close(&self) -> PyResult<usize> {
        Ok(self.0.get()?.semaphore.close())
    }
}
