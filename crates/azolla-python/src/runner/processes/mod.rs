//! The runner of worker processes: a proxy for each slot, which is a thread without Python, has one thread of a process
//! make the calls.

mod actors;
mod asked;
mod calls;
mod completing;
mod coroutines;
mod deaths;
mod desk;
mod ended;
mod flight;
mod frame;
mod holdings;
mod interrupts;
mod loans;
mod orders;
mod proxy;
mod rare;
mod recorded;
mod scaling;
mod spill;
mod staying;

use super::records::Records;
use super::unseen::unseen;
use super::{Start, Started};
use crate::interpreter::beside::beside;
use crate::interpreter::gil::let_others_run;
use crate::interpreter::interrupting::insist;
use crate::session::owner::Owner;
use crate::session::shared::Cluster;
use crate::task::job::PyJob;
use azolla::runtime::{self, Engine, Job, ProcessInfo, Runner, Worker};
use azolla_process::arena::{Arena, MOST, THREADS};
use azolla_process::fleet::{Fleet, Seen, Used};
use azolla_process::program::Program;
use azolla_process::shelf::Shelf;
use azolla_process::shown::Shown;
use deaths::Deaths;
use holdings::Holdings;
use interrupts::{Away, Current, InFlight};
use orders::Orders;
pub(crate) use orders::{Hear, Outcome, Parcel};
use proxy::Connection;
use std::env;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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
    common: Arc<Common>,
    /// How many bytes of memory each process may take.
    limit: Option<u64>,
    /// The number that veils the ids in keys.
    veil: u128,
    /// For each process, its threads.
    threads: Mutex<Vec<Vec<Thread>>>,
}

/// What a cluster does with its worker processes, besides running tasks in them.
pub(crate) struct Reins {
    shared: Arc<Shared>,
    /// Held by the thread that adds a process: it has one number everywhere.
    adding: Mutex<()>,
}

impl Reins {
    /// Ends the processes.
    pub(crate) fn close(&self) {
        self.shared.fleet.close();
    }

    /// Gives an order to processes. Without `what` it is carried out when the process is there and fitted out. If every process
    /// that starts later is to carry it out too, before it gets a task, returns a number for [`take_off`](Self::take_off). If it
    /// is to leave, `leave` says how long that may take.
    pub(crate) fn give(
        &self,
        what: Option<&Arc<Parcel>>,
        stays: bool,
        leave: Option<Duration>,
        to: impl IntoIterator<Item = (usize, Hear)>,
    ) -> Option<u64> {
        if stays {
            self.shared.fleet.wait_for_gear();
        }
        self.shared.common.orders.give(what, stays, leave, to)
    }

    /// Processes that start from now on do not get this order.
    pub(crate) fn take_off(&self, gear: u64) {
        self.shared.common.orders.take_off(gear);
    }

    /// Has a process tried again that could not be started.
    pub(crate) fn start_again(&self, process: usize) {
        self.shared.fleet.start_again(process);
    }

    /// Returns how many actors, and results that cannot be pickled, each process has.
    pub(crate) fn stays(&self) -> Vec<usize> {
        self.shared.fleet.used().iter().map(|used| used.stays).collect()
    }
}

/// What the proxies share with the desks. It does not keep the fleet alive.
struct Common {
    deaths: Deaths,
    shelf: Arc<Shelf>,
    owner: Owner,
    records: Arc<Records>,
    /// For each process what it holds, and the arena by which the process is known.
    holdings: Mutex<Vec<(Weak<Shown>, Weak<Holdings>)>>,
    /// The processes that have a desk.
    desks: Mutex<Vec<bool>>,
    orders: Orders,
    in_flight: InFlight,
    /// For each process what stays in it and is not needed any more, and of which it has not been told.
    gone: Mutex<Vec<Arc<Gone>>>,
    fleet: Weak<Fleet>,
}

/// The numbers of tasks, whose results stay in a process.
#[derive(Default)]
struct Gone(Mutex<Vec<u64>>);

impl Gone {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread of a process.
enum Thread {
    /// It has a proxy.
    Taken,
    /// It has none. A proxy that has gone may have left a connection to it.
    Free(Option<Box<Connection>>),
}

/// A proxy's thread in a process. Dropping it leaves the thread to another proxy.
struct Seat {
    shared: Arc<Shared>,
    process: usize,
    thread: usize,
    /// As [`Common::gone`], of the process.
    gone: Arc<Gone>,
    connection: Option<Connection>,
    /// The task that the thread runs.
    current: Arc<Current>,
}

/// Starts worker processes of so many threads each, and returns what runs tasks in them. Each is told the number
/// of its arena, from 1 on, the number of this process, and the number of the worker that it is. `veil` veils the ids in
/// keys. `records` says whether runs are recorded.
///
/// # Errors
/// If the system has no thread to give, or a process cannot have so many.
pub(crate) fn start(
    (words, environment, text, memory, folder): Start,
    threads: &[usize],
    veil: u128,
    owner: &Owner,
    records: &Arc<Records>,
) -> io::Result<Started> {
    if threads.iter().any(|threads| *threads > THREADS) {
        return Err(io::Error::other(format!("a worker process has at most {THREADS} threads")));
    }
    // Only a thread that has the GIL may read the environment: Python changes it.
    let environment = env::vars_os().chain(environment).collect();
    let program = Program { words, environment, text };
    let mut starts = 0;
    // A task that waits lends its slot, so there may be more threads than slots.
    let fleet = Fleet::start(threads.len(), THREADS as u16, START, memory, move |process| {
        starts += 1;
        let mut program = program.clone();
        let numbers = [starts, std::process::id(), process as u32];
        program.words.extend(numbers.map(|number| number.to_string().into()));
        program
    })?;
    let holdings = threads.iter().map(|_| (Weak::new(), Weak::new())).collect();
    let limit = memory.map(|limit| spill::limit(limit * threads.len() as u64, folder));
    let shelf = Shelf::new(Arena::new(0, MOST)?, limit);
    let common = Common {
        deaths: Deaths::default(),
        shelf: Arc::clone(&shelf),
        owner: Arc::clone(owner),
        records: Arc::clone(records),
        holdings: Mutex::new(holdings),
        desks: Mutex::new(vec![false; threads.len()]),
        orders: Orders::new(threads.len()),
        in_flight: InFlight::default(),
        gone: Mutex::new(threads.iter().map(|_| Arc::default()).collect()),
        fleet: Arc::downgrade(&fleet),
    };
    let common = Arc::new(common);
    let shared = Shared {
        fleet,
        common,
        limit: memory,
        veil,
        threads: Mutex::new(threads.iter().map(|_| Vec::new()).collect()),
    };
    let shared = Arc::new(shared);
    let reins = Reins { shared: Arc::clone(&shared), adding: Mutex::default() };
    let runner = Processes { shared, owner: Arc::clone(owner) };
    Ok(Started { runner: Box::new(runner), reins, store: Box::new(shelf) })
}

impl Runner<PyJob> for Processes {
    fn start(&self, worker: Worker<PyJob>) -> io::Result<()> {
        let process = usize::from(worker.group().0);
        let Some(seat) = Seat::take(&self.shared, process) else {
            return Err(io::Error::other("every thread of the worker process is taken"));
        };
        self.shared.start_desk(worker.engine(), process)?;
        let name = format!("azolla-proxy-{}", worker.number());
        std::thread::Builder::new().name(name).spawn(move || proxy::serve(worker, seat))?;
        Ok(())
    }

    fn short(&self) -> Option<Duration> {
        Some(SHORT)
    }

    fn processes(&self) -> runtime::Processes {
        let Shared { fleet, limit, common, .. } = &*self.shared;
        let known =
            (0..).zip(fleet.seen()).zip(fleet.used()).filter(|((_, seen), _)| !seen.retired);
        let each = known.map(|((number, Seen { id, starts, .. }), Used { own, stored, .. })| {
            ProcessInfo { number, id, starts, memory: own, limit: *limit, stored }
        });
        runtime::Processes { each: each.collect(), on_disk: common.shelf.on_disk() }
    }

    fn breathe(&self) {
        let_others_run();
    }

    fn unseen(&self, job: &Arc<PyJob>) {
        unseen(&self.owner, job);
    }

    fn interrupt(&self, jobs: Vec<Arc<PyJob>>) {
        let tasks: Vec<_> = jobs.iter().filter_map(|job| job.header().id()).collect();
        let away = |task| Box::new(Away::new(&self.shared.common, task));
        beside(|py| tasks.into_iter().for_each(|task| insist(py, away(task))));
    }

    fn asking(&self, f: &mut dyn FnMut()) {
        // `f` reads keys, which are Python objects. The thread attaches once for all of them.
        let _ = beside(|_| f());
    }
}

impl Shared {
    fn threads(&self) -> MutexGuard<'_, Vec<Vec<Thread>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the desk of a process, if it has none.
    fn start_desk(&self, engine: &Arc<Engine<PyJob>>, process: usize) -> io::Result<()> {
        let mut desks = self.common.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if !desks[process] {
            desk::start(&self.common, engine, process, self.fleet.sides(process))?;
            desks[process] = true;
        }
        Ok(())
    }
}

impl Common {
    fn gone(&self, process: usize) -> Arc<Gone> {
        Arc::clone(&self.gone.lock().unwrap_or_else(PoisonError::into_inner)[process])
    }

    fn is_retired(&self, process: usize) -> bool {
        self.fleet.upgrade().is_some_and(|fleet| fleet.is_retired(process))
    }

    /// The cluster, if it still exists.
    fn cluster(&self) -> Option<Arc<Cluster>> {
        self.owner.get().and_then(Weak::upgrade)
    }

    /// What the process of this arena holds.
    fn holdings(
        &self,
        process: usize,
        of: &Arc<Shown>,
        engine: &Arc<Engine<PyJob>>,
    ) -> Arc<Holdings> {
        let mut all = self.holdings.lock().unwrap_or_else(PoisonError::into_inner);
        let (arena, holdings) = &mut all[process];
        if let Some(holdings) = holdings.upgrade() {
            if std::ptr::eq(arena.as_ptr(), Arc::as_ptr(of)) {
                return holdings;
            }
            // The process before has ended, perhaps with nothing to do.
            holdings.clear();
        }
        let new = Arc::new(Holdings::new(engine));
        (*arena, *holdings) = (Arc::downgrade(of), Arc::downgrade(&new));
        new
    }
}

impl Seat {
    fn take(shared: &Arc<Shared>, process: usize) -> Option<Self> {
        let mut threads = shared.threads();
        let threads = threads.get_mut(process)?;
        let connected = |thread: &Thread| matches!(thread, Thread::Free(Some(_)));
        let free = |thread: &Thread| matches!(thread, Thread::Free(_));
        let found = threads.iter().position(connected).or_else(|| threads.iter().position(free));
        let thread = match found {
            Some(thread) => thread,
            None if threads.len() < THREADS => {
                threads.push(Thread::Free(None));
                threads.len() - 1
            }
            None => return None,
        };
        let connection = match std::mem::replace(&mut threads[thread], Thread::Taken) {
            Thread::Free(connection) => connection.map(|connection| *connection),
            Thread::Taken => None,
        };
        let gone = shared.common.gone(process);
        let current = shared.common.in_flight.add(process);
        Some(Self { shared: Arc::clone(shared), process, thread, gone, connection, current })
    }

    /// Gives up what proxies that have gone have left of the process.
    fn disconnect_free(&self) {
        let left = |thread: &mut Thread| match thread {
            Thread::Free(connection) => connection.take(),
            Thread::Taken => None,
        };
        let mut threads = self.shared.threads();
        let left: Vec<_> = threads[self.process].iter_mut().filter_map(left).collect();
        drop(threads);
        drop(left);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let connection = self.connection.take().map(Box::new);
        self.shared.threads()[self.process][self.thread] = Thread::Free(connection);
    }
}
