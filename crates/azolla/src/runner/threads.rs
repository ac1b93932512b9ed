//! The runner of the Rust interface: it runs closures on the client's own threads.

use super::ends::Ends;
#[cfg(feature = "tracing")]
pub(crate) use super::traced::run;
use crate::cell::Task;
use crate::client::{Client, ClientInner};
use crate::cluster::Cluster;
use crate::primitives::{Mutex, per_thread, thread};
use crate::runtime::{Next, Runner, Sleeper, Worker, caught};
use azolla_core::GroupId;
use std::cell::RefCell;
use std::io;
use std::sync::{Arc, OnceLock, Weak};

per_thread! {
    static WORKER: RefCell<Option<Worker<dyn Task>>> = const { RefCell::new(None) };
    static RUNNER: RefCell<Option<Arc<Inner>>> = const { RefCell::new(None) };
}

/// The client whose task runs on this thread.
pub(crate) fn current_owner() -> Option<Client> {
    let number = with_worker(|worker| Some(worker?.job()?.header().client()))?;
    let (first, cluster) = RUNNER.with(|runner| {
        let runner = runner.borrow();
        let (first, cluster) = runner.as_ref()?.owner.get()?;
        // Mostly there is only one client.
        let first = if number == 0 { first.upgrade() } else { None };
        let suffices = first.as_ref().is_some_and(|first| !first.membership.has_left());
        Some((first.map(Client), if suffices { None } else { cluster.upgrade() }))
    })?;
    cluster.and_then(|cluster| cluster.client(number)).or(first)
}

/// Calls `f` with the worker whose task runs on this thread, or with `None` outside tasks.
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&mut Worker<dyn Task>>) -> R) -> R {
    let mut f = Some(f);
    let mut call = |worker: Option<&mut Worker<dyn Task>>| {
        f.take().expect("it is called once")(worker.filter(|worker| worker.current().is_some()))
    };
    // If the worker is borrowed already, the worker itself is at work on this thread, for example
    // it drops a value whose destructor has led here. That counts as outside tasks.
    let inside = WORKER
        .try_with(|worker| worker.try_borrow_mut().ok().map(|mut worker| call(worker.as_mut())));
    match inside {
        Ok(Some(result)) => result,
        _ => call(None),
    }
}

/// The client's threads: starts them, and joins them at the end.
#[derive(Clone, Default)]
pub(crate) struct Threads(pub(super) Arc<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    ends: Arc<Ends>,
    /// The workers without threads, if a program runs them by hand.
    pub(super) by_hand: OnceLock<Mutex<Vec<Worker<dyn Task>>>>,
    /// The owners of the threads: the first client, and its cluster. Weak, since a task must not
    /// keep its own client open.
    owner: OnceLock<(Weak<ClientInner>, Weak<Cluster>)>,
    /// The names of the workers, as users know them, by the numbers of their groups.
    workers: OnceLock<Vec<String>>,
}

/// The name that users gave the worker whose thread this is.
pub(crate) fn name_of(group: GroupId) -> String {
    let name = |runner: &Inner| runner.workers.get()?.get(usize::from(group.0)).cloned();
    RUNNER.with(|runner| runner.borrow().as_deref().and_then(name)).unwrap_or_default()
}

impl Runner<dyn Task> for Threads {
    fn start(&self, mut worker: Worker<dyn Task>) -> io::Result<()> {
        if let Some(kept) = self.0.by_hand.get() {
            let _ = worker.next_task(); // says only that it is asleep, as it was not woken yet
            kept.lock().push(worker);
            return Ok(());
        }
        let name = format!("azolla-{}", worker.number());
        let inner = Arc::clone(&self.0);
        let alive = self.0.ends.begin();
        let main = move || {
            work(worker, &inner);
            drop((inner, alive));
        };
        let handle = thread::Builder::new().name(name).spawn(main)?;
        self.0.ends.keep(handle);
        Ok(())
    }

    fn unseen(&self, job: &Arc<dyn Task>) {
        super::unseen::report(&**job);
    }
}

impl Threads {
    /// Threads for workers with these names, numbered in this order.
    pub(crate) fn of_workers(names: Vec<String>) -> Self {
        let threads = Self::default();
        let _ = threads.0.workers.set(names);
        threads
    }

    /// The workers' names, by their numbers.
    pub(crate) fn workers(&self) -> &[String] {
        self.0.workers.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn set_owner(&self, owner: &Arc<ClientInner>) {
        let cluster = Arc::downgrade(&owner.membership.cluster);
        let _ = self.0.owner.set((Arc::downgrade(owner), cluster));
    }

    /// Waits until all threads have ended, except those that wait for the calling one.
    pub(crate) fn join(&self) {
        if let Some(kept) = self.0.by_hand.get() {
            drop(std::mem::take(&mut *kept.lock()));
        }
        let own = RUNNER.try_with(|own| own.borrow().as_ref().map(|own| Arc::clone(&own.ends)));
        self.0.ends.join(own.ok().flatten().as_ref());
    }
}

/// The main function of a worker's thread.
fn work(worker: Worker<dyn Task>, runner: &Arc<Inner>) {
    enter(worker, runner);
    while let Some(sleeper) = work_off() {
        sleeper.sleep();
    }
    drop(leave());
}

/// Makes this thread the worker's.
pub(super) fn enter(worker: Worker<dyn Task>, runner: &Arc<Inner>) {
    RUNNER.with(|own| own.replace(Some(Arc::clone(runner))));
    WORKER.with(|own| own.replace(Some(worker)));
}

/// Takes the worker off this thread.
pub(super) fn leave() -> Option<Worker<dyn Task>> {
    WORKER.with(RefCell::take)
}

/// Runs tasks until the worker has to sleep. Returns `None` if the worker ends.
pub(super) fn work_off() -> Option<Sleeper<dyn Task>> {
    loop {
        let next = |worker: &mut Worker<dyn Task>| {
            (worker.next_task(), worker.job().map(Arc::clone), worker.has_gone())
        };
        let (next, job, has_gone) = with_own(next)?;
        if has_gone && !drop_gone() {
            return None;
        }
        match (next, job) {
            (Next::Run, Some(job)) => {
                let outcome = run(job);
                let ended = with_own(|worker| worker.finish(outcome));
                // What the task leaves goes while no task is current, and the worker is not borrowed.
                caught(|| drop(ended));
            }
            (Next::Sleep(sleeper), _) => return Some(sleeper),
            _ => return None,
        }
    }
}

/// Drops the tasks of which this thread's worker has let go. Returns false if the worker has stepped aside meanwhile.
#[cold]
fn drop_gone() -> bool {
    while let Some(gone) = with_own(Worker::next_gone).flatten() {
        drop(gone);
    }
    with_own(|worker| !worker.has_stepped_aside()) == Some(true)
}

/// Calls `f`, which is about to wait, with the worker whose task runs on this thread, or with `None` outside
/// tasks. Between two tasks, where a destructor waits, the thread first gives its place to another.
pub(crate) fn with_waiting_worker<R>(f: impl FnOnce(Option<&mut Worker<dyn Task>>) -> R) -> R {
    let _ = WORKER.try_with(|worker| {
        if let Ok(mut worker) = worker.try_borrow_mut()
            && let Some(worker) = &mut *worker
            && worker.current().is_none()
        {
            // Without another thread the destructor waits in this one's place, as it would have.
            drop(worker.step_aside());
        }
    });
    with_worker(f)
}

/// Calls `f` with the worker of this thread.
pub(crate) fn with_own<R>(f: impl FnOnce(&mut Worker<dyn Task>) -> R) -> Option<R> {
    WORKER.with(|worker| worker.borrow_mut().as_mut().map(f))
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn run(job: Arc<dyn Task>) -> azolla_core::Outcome {
    job.run()
}
