//! The runner of Python threads: it asks Python to start a thread for each worker that the engine wants.

use super::unseen::unseen;
use super::worker::PyWorker;
use crate::interpreter::beside::beside;
use crate::interpreter::gil::let_others_run;
use crate::interpreter::interrupting::insist;
use crate::session::at_hand::Running;
use crate::session::owner::Owner;
use crate::task::job::PyJob;
use azolla::runtime::{Runner, Worker};
use pyo3::prelude::*;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Starts Python threads.
pub(crate) struct Threads {
    /// Takes a [`PyWorker`] and starts a thread for it.
    pub(crate) start: Py<PyAny>,
    pub(crate) owner: Owner,
    /// The exception that a signal handler raised while a thread was being started.
    pub(crate) interrupt: Arc<Mutex<Option<PyErr>>>,
}

impl Runner<PyJob> for Threads {
    fn start(&self, worker: Worker<PyJob>) -> io::Result<()> {
        let waiting = Arc::new(Mutex::new(Some(worker)));
        let worker = PyWorker::new(Arc::clone(&waiting), Arc::clone(&self.owner));
        let started = beside(|py| self.start.call1(py, (worker,)).map(drop));
        let error = match started {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => error,
            None => return Err(io::Error::other("Python is coming to its end")),
        };
        let mut locked = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = locked.take();
        drop(locked);
        if worker.is_none() {
            // The thread has taken its worker and runs. The signal only interrupted the wait for its start.
            *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return Ok(());
        }
        Err(io::Error::other(error))
    }

    fn breathe(&self) {
        let_others_run();
    }

    fn unseen(&self, job: &Arc<PyJob>) {
        unseen(&self.owner, job);
    }

    fn interrupt(&self, jobs: Vec<Arc<PyJob>>) {
        let of = |job: &Arc<PyJob>| Running(Arc::downgrade(job));
        let of: Vec<_> = jobs.iter().map(of).collect();
        beside(|py| of.into_iter().for_each(|it| insist(py, Box::new(it))));
    }

    fn asking(&self, f: &mut dyn FnMut()) {
        // `f` reads keys, which are Python objects. The thread attaches once for all of them.
        let _ = beside(|_| f());
    }
}
