//! The engine's half of `as_completed`: futures in the order in which they end.

use super::away;
use super::callbacks::LoopCallback;
use super::handle::Future;
use super::wait;
use crate::child::upstream::task_here;
use crate::interpreter::beside::beside;
use crate::interpreter::forks::{check_forks, forks};
use crate::session::away::listen;
use crate::session::shared::Shared;
use crate::task::job::PyJob;
use azolla::runtime::{Completions, Job, Listen, WaitError};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTimeoutError, PyTypeError};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

#[doc = stub!(Endings)]
#[pyclass(frozen, subclass, module = "azolla._azolla")]
pub(crate) struct Endings {
    completions: Arc<Completions<PyJob>>,
    pending: Mutex<Pending>,
    deadline: Option<Instant>,
    forks: u64,
}

#[derive(Default)]
struct Pending {
    futures: HashMap<usize, Py<Future>>,
    /// Released futures: they count as cancelled, and so as ended.
    ended: Vec<Py<Future>>,
    added: usize,
    /// Those of them that run for a client in another process.
    away: Option<away::Set>,
    /// The client of the first future. It says where iterating must not block.
    client: Weak<Shared>,
}

impl Endings {
    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the future that has this token; None if it was forgotten. The thread that takes the last future sends away
    /// the other threads that wait here.
    fn taken(&self, token: usize) -> Option<Py<Future>> {
        let mut pending = self.pending();
        let future = pending.futures.remove(&token)?;
        let none_left = pending.futures.is_empty();
        drop(pending);
        if none_left {
            self.completions.send_away();
        }
        Some(future)
    }

    fn taken_now(&self) -> Option<Py<Future>> {
        if let Some(future) = self.pending().ended.pop() {
            return Some(future);
        }
        while let Some(token) = self.completions.try_next() {
            if let Some(future) = self.taken(token) {
                return Some(future);
            }
        }
        None
    }
}

impl Endings {
    /// Has the futures end here that run for a client in another process.
    fn listen(&self, py: Python<'_>) -> PyResult<()> {
        let new = self.pending().away.as_mut().map(away::Set::new_ones);
        listen(py, &new.unwrap_or_default())
    }

    fn timed_out(&self) -> PyErr {
        let left = self.count();
        let futures = if left == 1 { "future" } else { "futures" };
        PyTimeoutError::new_err(format!(
            "the time was up before the next of {left} {futures} had ended"
        ))
    }

    /// Takes the listener off these futures. A long task would otherwise remember every iterator that it was ever in.
    fn unlisten(&self, futures: &HashMap<usize, Py<Future>>) {
        let listener: Arc<dyn Listen> = Arc::<Completions<PyJob>>::clone(&self.completions);
        for future in futures.values().map(Py::get) {
            // After a fork, no task reports its end any more, and the locks may be held for ever.
            if future.shared().is_ok_and(|shared| !shared.is_forked())
                && let Some(job) = future.live()
            {
                job.header().unlisten(&listener);
            }
        }
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        let futures = std::mem::take(&mut self.pending().futures);
        self.unlisten(&futures);
        if let Some(set) = self.pending().away.take() {
            beside(|py| away::forget(py, &set));
        }
    }
}

#[pymethods]
impl Endings {
    #[new]
    #[pyo3(signature = (timeout=None))]
    fn new(timeout: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(Self {
            completions: Completions::new(),
            pending: Mutex::default(),
            deadline: wait::deadline(timeout.as_ref())?,
            forks: forks(),
        })
    }

    /// Adds one future.
    fn _add(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(future) = future.cast::<Future>() else {
            let message = format!("Input must be a future, not {}", future.get_type().qualname()?);
            return Err(PyTypeError::new_err(message));
        };
        check_forks(self.forks)?;
        future.get().shared()?.check_process()?;
        let token = {
            let mut pending = self.pending();
            pending.added += 1;
            if pending.added == 1 {
                pending.client = Arc::downgrade(future.get().shared()?);
            }
            let token = pending.added;
            pending.futures.insert(token, future.clone().unbind());
            token
        };
        match future.get().job(future.py()) {
            Ok(job) => {
                self.completions.add(&job, token);
                if job.away().is_some() {
                    self.pending().away.get_or_insert_with(away::Set::new).add(&job);
                }
                let listener: Arc<dyn Listen> = Arc::<Completions<PyJob>>::clone(&self.completions);
                future.get().shared()?.listen_for_leaving(&listener, token, Some(&job));
            }
            Err(_) => {
                let mut pending = self.pending();
                let future = pending.futures.remove(&token);
                pending.ended.extend(future);
            }
        }
        Ok(())
    }

    /// Waits for the next future that ends, and returns it. Raises StopIteration if none is to come.
    fn _next(&self, py: Python<'_>) -> PyResult<Py<Future>> {
        check_forks(self.forks)?;
        let client = self.pending().client.upgrade();
        let is_away = client.as_ref().is_some_and(|client| client.cluster.is_away());
        if client.is_some_and(|client| client.is_async_here(py).unwrap_or(false)) {
            return Err(PyRuntimeError::new_err(
                "as_completed on a running event loop: a plain `for` would block the loop; write `async for`, also with batches()",
            ));
        }
        loop {
            let since = self.completions.times_sent_away();
            if let Some(future) = self.pending().ended.pop() {
                return Ok(future);
            }
            if self.is_empty() {
                return Err(PyStopIteration::new_err(()));
            }
            let waited = match is_away && self.completions.ready() == 0 {
                true if task_here().is_none() => self.listen(py).map_err(WaitError::Interrupted),
                true => {
                    let asks = self.pending().away.as_mut().and_then(away::Set::asks);
                    let take = |ends| match self.pending().away.as_mut() {
                        Some(set) => set.take(ends),
                        None => Vec::new(),
                    };
                    asks.map_or(Ok(()), |asks| away::next(py, asks, self.deadline, take))
                }
                false => Ok(()),
            };
            let next =
                waited.and_then(|()| wait::next(py, &self.completions, self.deadline, since));
            let next = next.map_err(|error| match error {
                WaitError::TimedOut => self.timed_out(),
                error => wait::exception(py, error),
            })?;
            if let Some(token) = next
                && let Some(future) = self.taken(token)
            {
                return Ok(future);
            }
        }
    }

    /// Returns the next future that has ended, or None.
    fn _try_next(&self) -> PyResult<Option<Py<Future>>> {
        check_forks(self.forks)?;
        Ok(self.taken_now())
    }

    /// Returns the next future that has ended. If there is none yet, returns None, and calls
    /// `loop.call_soon_threadsafe(callback)` when there may be one.
    fn _next_or_listen(
        &self,
        py: Python<'_>,
        r#loop: Py<PyAny>,
        callback: Py<PyAny>,
    ) -> PyResult<Option<Py<Future>>> {
        check_forks(self.forks)?;
        self.listen(py)?;
        let listener: Arc<dyn Listen> = Arc::new(LoopCallback { r#loop, callback });
        loop {
            if let Some(future) = self.taken_now() {
                return Ok(Some(future));
            }
            let Some(token) = self.completions.next_or_listen(&listener) else {
                // Another thread may have taken the last future in between. Then no other call would wake this
                // listener.
                if self.is_empty() {
                    self.completions.send_away();
                }
                return Ok(None);
            };
            if let Some(future) = self.taken(token) {
                return Ok(Some(future));
            }
        }
    }

    /// Returns the error of a wait for the next future when its time is up.
    fn _timed_out<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.timed_out().into_value(py).into_bound(py).into_any()
    }

    /// Returns the futures that are still to come, in no order.
    fn _to_come(&self, py: Python<'_>) -> Vec<Py<Future>> {
        let pending = self.pending();
        pending.futures.values().chain(&pending.ended).map(|future| future.clone_ref(py)).collect()
    }

    /// Seconds until the time is up; None if there is no limit.
    #[getter]
    fn _seconds_left(&self) -> Option<f64> {
        Some(self.deadline?.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    #[doc = stub!(Endings.count)]
    fn count(&self) -> usize {
        let pending = self.pending();
        pending.futures.len() + pending.ended.len()
    }

    /// Returns how many futures have not ended, and how many have ended and are still to come.
    fn _waiting_and_done(&self) -> (usize, usize) {
        let pending = self.pending();
        let ready = self.completions.ready().min(pending.futures.len());
        (pending.futures.len() - ready, ready + pending.ended.len())
    }

    #[doc = stub!(Endings.has_ready)]
    fn has_ready(&self) -> PyResult<bool> {
        check_forks(self.forks)?;
        Ok(self.completions.ready() > 0 || !self.pending().ended.is_empty())
    }

    #[doc = stub!(Endings.is_empty)]
    fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(pending) = self.pending.try_lock() else { return Ok(()) };
        let mut futures = pending.futures.values().chain(&pending.ended);
        futures.try_for_each(|future| visit.call(future))
    }

    fn __clear__(&self) {
        let (futures, ended) = {
            let mut pending = self.pending();
            (std::mem::take(&mut pending.futures), std::mem::take(&mut pending.ended))
        };
        self.unlisten(&futures);
        drop((futures, ended));
    }

    #[doc = stub!(Endings.clear)]
    fn clear(&self) -> PyResult<()> {
        check_forks(self.forks)?;
        let (futures, ended, next) = {
            let mut pending = self.pending();
            let futures = std::mem::take(&mut pending.futures);
            (futures, std::mem::take(&mut pending.ended), pending.added + 1)
        };
        self.completions.clear(next);
        self.unlisten(&futures);
        drop((futures, ended));
        Ok(())
    }
}
