//! A fleet: worker processes, kept alive. More may come while it runs, and some be retired.
//!
//! One thread, the *keeper*, starts the processes, sees them end, and starts others in their place. It does all that can
//! block, so a client's own threads never wait for the system. The client has a thread for each thread of each
//! process; that one asks the fleet for a *link*, uses it until the process ends, and asks for the next.
//!
//! What becomes of a process is decided in `members`, and done in `keeper`. Whoever wants something done leaves word and
//! wakes the keeper. So a copy of this process that a fork has made has no power over the processes.

mod keeper;
mod link;
mod side;
mod wake;

pub use link::{Link, Remote, Resident, Waits, Watch};
pub use side::{Leaver, Side, Sides, Waker};

use crate::arena::THREADS;
use crate::members::{Members, Taken};
pub use crate::members::{Seen, StartError};
use crate::message::Order;
use crate::program::Program;
use keeper::Keeper;
use link::Running;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use wake::Wake;

/// So many worker processes, kept alive. They end when this is closed or dropped.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
}

/// What the memory of a process is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The bytes that it takes itself.
    pub own: u64,
    /// The bytes that it has stored in its arena, and that are still needed.
    pub stored: u64,
    /// How many [residents](Resident) it has.
    pub stays: usize,
}

/// What the fleet and its keeper share.
#[derive(Debug)]
struct Shared {
    members: Members<Arc<Running>>,
    /// How many threads each process has. The number of its side line comes next.
    threads: u16,
    /// Wakes the keeper.
    wake: Arc<Wake>,
    /// How many bytes of memory each process may take.
    memory: Option<u64>,
}

impl Fleet {
    /// Starts so many processes of so many threads each, in the background.
    ///
    /// `program` says what the process with this number runs. The keeper calls it on its own thread, for each start of
    /// the process. If it panics, the fleet is closed. A process that is not ready after the limit is killed, and started
    /// again. `memory` is how many bytes each may take, if that is limited: see [`Memory`](crate::members::Memory).
    ///
    /// # Errors
    /// If a process cannot have so many threads, or the system cannot start the keeper's thread.
    pub fn start(
        processes: usize,
        threads: u16,
        limit: Duration,
        memory: Option<u64>,
        program: impl FnMut(usize) -> Program + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        if usize::from(threads) > THREADS {
            let message = format!("a worker process has at most {THREADS} threads");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let shared = Arc::new(Shared {
            members: Members::new(processes, threads + 1),
            threads,
            wake: Arc::new(Wake::new()?),
            memory,
        });
        let keeper = Keeper::new(Arc::clone(&shared), processes, limit, program);
        thread::Builder::new().name("azolla-keeper".into()).spawn(|| keeper.run())?;
        Ok(Arc::new(Self { shared }))
    }

    /// Waits for the link to a thread of a process, and returns it. There is one for each time that the process is
    /// started: another call waits until the process has ended and the next one is ready. Returns `None` once the fleet
    /// is closed.
    ///
    /// # Errors
    /// If the process cannot be started, as several tries in a row have shown; it is not tried again. If there are no
    /// descriptors for the link; then a later call may succeed.
    ///
    /// # Panics
    /// If there is no such process or thread.
    pub fn link(&self, process: usize, thread: u16) -> Result<Option<Link>, StartError> {
        assert!(thread < self.shared.threads, "a process has no thread {thread}");
        self.shared.link(process, thread, Order::Thread(thread))
    }

    /// Where the side lines of a process come from.
    #[must_use]
    pub fn sides(&self, process: usize) -> Sides {
        Sides { shared: Arc::clone(&self.shared), process }
    }

    /// From now on, there is no link to a thread of a process that becomes ready until its side line has been
    /// [opened](Side::open).
    pub fn wait_for_gear(&self) {
        self.shared.members.fit();
    }

    /// Adds a process, which is started in the background. Returns its number.
    #[must_use]
    pub fn add(&self) -> usize {
        let process = self.shared.members.add();
        self.shared.wake.wake();
        process
    }

    /// This process is not started again once it has ended. One that is not ready, or not fitted out, ends now.
    pub fn retire(&self, process: usize) {
        self.shared.members.retire(process);
        self.shared.wake.wake();
    }

    /// If this process could not be started, as several tries in a row have shown, it is tried again.
    pub fn start_again(&self, process: usize) {
        self.shared.members.start_again(process);
        self.shared.wake.wake();
    }

    /// What is known of this process now.
    #[must_use]
    pub fn seen_of(&self, process: usize) -> Seen {
        self.shared.members.seen_of(process)
    }

    /// Returns true if this process was retired.
    #[must_use]
    pub fn is_retired(&self, process: usize) -> bool {
        self.shared.members.is_retired(process)
    }

    /// Ends all processes, and every wait for a link. It does not wait until they have ended. Once the fleet is closed,
    /// this does nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Waits until a process is ready or cannot be started, or the fleet is closed. Returns false if the limit comes first.
    pub fn wait_until_started(&self, process: usize, limit: Option<Duration>) -> bool {
        self.shared.members.wait_until_started(process, limit)
    }

    /// Waits until the fleet is closed, but not longer than this.
    pub fn wait_until_closed(&self, limit: Duration) {
        self.shared.members.wait_until_closed(limit);
    }

    /// What is known of each process now.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.members.seen()
    }

    /// Returns what the memory of each process is used for. What it takes itself was seen up to 100 ms ago.
    #[must_use]
    pub fn used(&self) -> Vec<Used> {
        let processes = self.shared.members.processes().into_iter();
        processes.map(|it| it.map(|running| running.used()).unwrap_or_default()).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Waits for the link of this number to a process, and has the process get its end of it with this order.
    fn link(&self, process: usize, number: u16, order: Order) -> Result<Option<Link>, StartError> {
        let members = &self.members;
        loop {
            let Some(taken) = members.take(process, number) else { return Ok(None) };
            let Taken { process: running, start } = taken?;
            match Link::open(running, number, order) {
                Ok(Some(link)) => return Ok(Some(link)),
                // It has ended meanwhile.
                Ok(None) => {}
                Err(error) => {
                    members.put_back(process, number, start);
                    return Err(StartError::System { process, error: Arc::new(error) });
                }
            }
        }
    }

    fn close(&self) {
        self.members.close();
        self.wake.wake();
    }
}
