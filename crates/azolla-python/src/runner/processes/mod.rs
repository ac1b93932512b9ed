//! The runner of worker processes: a proxy for each slot, which is a thread without Python, has one thread of a process
//! make the calls.

mod deaths;
mod flight;
mod proxy;

use super::unseen::unseen;
use crate::interpreter::gil::let_others_run;
use crate::session::owner::Owner;
use crate::task::job::PyJob;
use azolla::runtime::{Runner, Worker};
use azolla_process::fleet::Fleet;
use deaths::Deaths;
use pyo3::prelude::*;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Has tasks run in the processes of a fleet.
pub(crate) struct Processes {
    shared: Arc<Shared>,
    pub(crate) owner: Owner,
}

/// What the proxies share.
struct Shared {
    fleet: Arc<Fleet>,
    deaths: Deaths,
    /// The number that veils the ids in keys.
    veil: u128,
    /// For each process, which of its threads have a proxy.
    taken: Mutex<Vec<Vec<bool>>>,
}

/// A proxy's thread in a process. Dropping it leaves the thread to another proxy.
struct Seat {
    shared: Arc<Shared>,
    process: usize,
    thread: usize,
}

impl Processes {
    pub(crate) fn new(fleet: Arc<Fleet>, threads: &[usize], veil: u128, owner: Owner) -> Self {
        let taken = Mutex::new(threads.iter().map(|threads| vec![false; *threads]).collect());
        Self { shared: Arc::new(Shared { fleet, deaths: Deaths::default(), veil, taken }), owner }
    }
}

impl Runner<PyJob> for Processes {
    fn start(&self, worker: Worker<PyJob>) -> io::Result<()> {
        let process = usize::from(worker.group().0);
        let Some(seat) = Seat::take(&self.shared, process) else {
            return Err(io::Error::other("every thread of the worker process is taken"));
        };
        let name = format!("azolla-proxy-{}", worker.number());
        std::thread::Builder::new().name(name).spawn(move || proxy::serve(worker, &seat))?;
        Ok(())
    }

    fn breathe(&self) {
        let_others_run();
    }

    fn unseen(&self, job: &Arc<PyJob>) {
        unseen(&self.owner, job);
    }

    fn asking(&self, f: &mut dyn FnMut()) {
        // `f` reads keys, which are Python objects. The thread attaches once for all of them.
        let _ = Python::try_attach(|_| f());
    }
}

impl Seat {
    fn take(shared: &Arc<Shared>, process: usize) -> Option<Self> {
        let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = taken.get(process)?.iter().position(|taken| !taken)?;
        taken[process][thread] = true;
        Some(Self { shared: Arc::clone(shared), process, thread })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken[self.process][self.thread] = false;
    }
}
