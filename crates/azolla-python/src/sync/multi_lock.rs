//! The native half of `MultiLock`.

use super::turn::Given;
use super::{Handle, PyTurn};
use crate::session::core::Core;
use azolla::sync::{MultiLease, MultiLock};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBool;
use std::sync::{Arc, Mutex, PoisonError};

#[doc = stub!(MultiLockCore)]
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct MultiLockCore(Handle<Held>);

struct Held {
    locks: MultiLock,
    leases: Arc<Mutex<Vec<MultiLease>>>,
}

#[pymethods]
impl MultiLockCore {
    #[new]
    fn new(client: &Bound<'_, Core>, names: Vec<String>) -> PyResult<Self> {
        let handle = Handle::new(client, |shared| {
            let locks = MultiLock::new(shared.engine.names(), names);
            Ok(Held { locks, leases: Arc::default() })
        })?;
        Ok(Self(handle))
    }

    #[doc = stub!(MultiLockCore.acquire)]
    #[pyo3(signature = (number=None))]
    fn acquire(&self, number: Option<usize>) -> PyResult<PyTurn> {
        let Held { locks, leases } = self.0.get()?;
        let all = locks.names().len();
        let number = number.unwrap_or(all);
        if number > all {
            return Err(PyValueError::new_err(format!(
                "num_locks is {number}, but there are only {all} locks"
            )));
        }
        let what = format!("the locks {}", locks.names().join(", "));
        let turn = locks.turn_to_acquire(number);
        let (locks, leases) = (locks.clone(), Arc::clone(leases));
        Ok(PyTurn::new(self.0.shared(), what, turn, move |py, names| {
            let lease = locks.lease(names.clone());
            leases.lock().unwrap_or_else(PoisonError::into_inner).push(lease);
            let value = PyBool::new(py, true).to_owned().into_any().unbind();
            Ok(Given::new(value, move || {
                let mut leases = leases.lock().unwrap_or_else(PoisonError::into_inner);
                let at = leases.iter().position(|lease| lease.names() == names);
                let lease = at.map(|at| leases.swap_remove(at));
                drop(leases);
                drop(lease);
                true
            }))
        }))
    }

    #[doc = stub!(MultiLockCore.release)]
    fn release(&self) -> PyResult<()> {
        let leases = &self.0.get()?.leases;
        let leases = std::mem::take(&mut *leases.lock().unwrap_or_else(PoisonError::into_inner));
        if leases.is_empty() {
            return Err(PyValueError::new_err("Lock is not yet acquired"));
        }
        Ok(())
    }

    #[doc = stub!(MultiLockCore.locked)]
    fn locked(&self) -> PyResult<bool> {
        let leases = &self.0.get()?.leases;
        Ok(!leases.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
    }
}
