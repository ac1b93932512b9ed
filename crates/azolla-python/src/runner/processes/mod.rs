//! The runner of worker processes: a proxy for each slot, which is a thread without Python, has one thread of a process
//! make the calls.

mod deaths;
mod flight;
mod proxy;
mod spill;

use super::unseen::unseen;
use super::{Start, Started};
use crate::interpreter::gil::let_others_run;
use crate::session::owner::Owner;
use crate::task::job::PyJob;
use azolla::runtime::{self, ProcessInfo, Runner, Worker};
use azolla_process::arena::{Arena, MOST};
pub(crate) use azolla_process::fleet::Fleet;
use azolla_process::fleet::{Seen, Used};
use azolla_process::program::Program;
use azolla_process::shelf::Shelf;
use deaths::Deaths;
use pyo3::prelude::*;
use std::env;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Tasks that take less than this travel together: to take one of them at a time would cost a tenth or so.
const SHORT: Duration = Duration::from_millis(1);

/// How long a process may take until it is ready. It is tried again then: on a slow disk that goes faster. As Dask's
/// `distributed.comm.timeouts.connect`.
const START: Duration = Duration::from_secs(30);

/// Has tasks run in the processes of a fleet.
struct Processes {
    shared: Arc<Shared>,
    owner: Owner,
}

/// What the proxies share.
struct Shared {
    fleet: Arc<Fleet>,
    deaths: Deaths,
    shelf: Arc<Shelf>,
    /// How many bytes of memory each process may take.
    limit: Option<u64>,
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

/// Starts worker processes of so many threads each, and returns what runs tasks in them. Each is told the number
/// of its arena, from 1 on, and the number of this process. `veil` veils the ids in keys.
///
/// # Errors
/// If the system has no thread to give, or a process cannot have so many.
pub(crate) fn start(
    (words, environment, text, memory, folder): Start,
    threads: &[usize],
    veil: u128,
    owner: &Owner,
) -> io::Result<Started> {
    let most = threads.iter().copied().max().unwrap_or_default();
    let most = u16::try_from(most).unwrap_or(u16::MAX);
    // Only a thread that has the GIL may read the environment: Python changes it.
    let environment = env::vars_os().chain(environment).collect();
    let program = Program { words, environment, text };
    let mut starts = 0;
    let fleet = Fleet::start(threads.len(), most, START, memory, move |_| {
        starts += 1;
        let mut program = program.clone();
        let numbers = [starts, std::process::id()];
        program.words.extend(numbers.map(|number| number.to_string().into()));
        program
    })?;
    let taken = Mutex::new(threads.iter().map(|threads| vec![false; *threads]).collect());
    let limit = memory.map(|limit| spill::limit(limit * threads.len() as u64, folder));
    let shelf = Shelf::new(Arena::new(0, MOST)?, limit);
    let shared = Shared {
        fleet: Arc::clone(&fleet),
        deaths: Deaths::default(),
        shelf: Arc::clone(&shelf),
        limit: memory,
        veil,
        taken,
    };
    let runner = Processes { shared: Arc::new(shared), owner: Arc::clone(owner) };
    Ok(Started { runner: Box::new(runner), fleet, store: Box::new(shelf) })
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

    fn short(&self) -> Option<Duration> {
        Some(SHORT)
    }

    fn processes(&self) -> runtime::Processes {
        let Shared { fleet, limit, shelf, .. } = &*self.shared;
        let known = fleet.seen().into_iter().zip(fleet.used());
        let each = known.map(|(Seen { id, starts, .. }, Used { own, stored })| ProcessInfo {
            id,
            starts,
            memory: own,
            limit: *limit,
            stored,
        });
        runtime::Processes { each: each.collect(), on_disk: shelf.on_disk() }
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
