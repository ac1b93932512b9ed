//! `Cluster` and `Shared`: the native state of a cluster, and of a client with its futures. Both check
//! whether they may still be used.

use super::away;
use super::clients::Clients;
use super::gone;
use super::guest::{Guest, Held};
use super::interest::{Dropped, Reach, Waits};
use super::life::Life;
use super::reasons::Why;
use super::sent::Sent;
use super::{reasons, thread};
use crate::interpreter::imports::{error, python};
use crate::interpreter::{forks, memory};
use crate::task::job::PyJob;
use crate::task::key::{Named, parse};
use azolla::runtime::{Engine, Job, Listen, Status, Story};
use azolla_core::TaskId;
use azolla_process::place::Store;
use azolla_process::request::Role;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A cluster, as its clients and workers know it.
pub(crate) struct Cluster {
    pub(crate) engine: Arc<Engine<PyJob>>,
    /// A weak reference to the cluster object.
    object: Py<PyAny>,
    /// A random number that veils the ids in the keys of the cluster's tasks.
    pub(crate) number: u128,
    /// How many forks lay behind this process when the cluster was made.
    forks: u64,
    /// Its clients, by the numbers that their tasks carry.
    clients: Mutex<Clients>,
    /// More than one client has joined.
    has_several: AtomicBool,
    /// What is kept of what worker processes get; `None` if tasks run in this process.
    pub(crate) sent: Option<Sent>,
    /// This process is a worker of the cluster, whose engine is in another process.
    is_away: bool,
    /// The record of what happens to the tasks, once a caller has asked for it. No thread may wait for this
    /// lock while it holds the GIL.
    pub(crate) story: Mutex<Option<Story>>,
}

/// A client, as its futures and tasks know it.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine<PyJob>>,
    pub(crate) cluster: Arc<Cluster>,
    /// A weak reference to the client object.
    client: Py<PyAny>,
    /// The number that its tasks carry.
    pub(crate) number: u32,
    /// True for a client made with `asynchronous=True`: on an event loop, its blocking calls return awaitables.
    pub(crate) asynchronous: Arc<AtomicBool>,
    /// The client's thread for done-callbacks has been started.
    pub(crate) has_callbacks: AtomicBool,
    /// The jobs that the client's futures hold, for a client that may leave its cluster; `None` for a client
    /// that closes its cluster with itself.
    guest: Option<Guest>,
    /// For such a guest: the same client as tasks use it, which never leaves. A task may go on after its
    /// client has left, because another client wants its result. The task's own futures must stay alive.
    pub(super) in_tasks: Option<Arc<Shared>>,
    /// The jobs that the client has cancelled for itself alone, and its waits. Tasks and others share them.
    dropped: Arc<Dropped>,
    waits: Arc<Waits>,
    pub(super) life: Life,
}

impl Cluster {
    /// `store`: takes large data, if tasks run in worker processes.
    pub(crate) fn new(
        engine: Arc<Engine<PyJob>>,
        object: Py<PyAny>,
        number: u128,
        store: Option<Box<dyn Store>>,
    ) -> Arc<Self> {
        let (clients, story) = (Mutex::default(), Mutex::default());
        let has_several = AtomicBool::new(false);
        Arc::new(Self {
            engine,
            object,
            number,
            forks: forks::forks(),
            clients,
            has_several,
            sent: store.map(Sent::new),
            is_away: false,
            story,
        })
    }

    /// The cluster in one of its worker processes. `engine` has no slots.
    pub(crate) fn away(
        engine: Arc<Engine<PyJob>>,
        object: Py<PyAny>,
        number: u128,
        store: Box<dyn Store>,
    ) -> Arc<Self> {
        let mut cluster = Self::new(engine, object, number, Some(store));
        if let Some(cluster) = Arc::get_mut(&mut cluster) {
            cluster.is_away = true;
        }
        cluster
    }

    /// Returns true if the cluster's engine is in another process.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }

    /// Returns true if tasks run in worker processes.
    pub(crate) fn has_processes(&self) -> bool {
        self.sent.is_some()
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if this process is not the one that made the cluster.
    pub(crate) fn is_forked(&self) -> bool {
        self.forks != forks::forks()
    }

    /// Returns an error in the child of a fork, where the cluster's locks must not be touched.
    pub(crate) fn check_process(&self) -> PyResult<()> {
        forks::check_forks(self.forks)
    }

    /// Returns an error if no work may be submitted, also if memory is short. Its message names the operation `what`.
    pub(crate) fn check_open(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        self.check_process()?;
        memory::check()?;
        if self.engine.is_broken() {
            return Err(error(
                py,
                "EngineError",
                "azolla's engine has broken down; make a new Client",
            ));
        }
        if self.engine.is_closing() {
            return Err(closed(py, what, self.engine.number()));
        }
        Ok(())
    }

    /// Returns the cluster object, or Python's None once it is gone.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object.bind(py).call0()
    }

    /// Returns the client for a task that the client of this number has submitted. If that client has left,
    /// the cluster object chooses another. Returns Python's None once the cluster object is gone too.
    pub(crate) fn client_of<'py>(
        &self,
        py: Python<'py>,
        number: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shared = self.client(number);
        if let Some(shared) = shared.filter(|shared| !shared.has_left()) {
            let client = shared.client_or_stand_in(py)?;
            if !client.is_none() {
                return Ok(client);
            }
        }
        let object = self.object(py)?;
        if object.is_none() { Ok(object) } else { object.call_method0("_client_for_tasks") }
    }

    /// Returns the client of this number, if it lives.
    pub(crate) fn client(&self, number: u32) -> Option<Arc<Shared>> {
        self.clients().get(number)
    }

    /// Returns the job, counted by one more handle.
    pub(crate) fn one_more(&self, job: Arc<PyJob>) -> Arc<PyJob> {
        // While the engine keeps the task, the engine counts: another thread may be dropping the last future just now.
        let kept = job.header().id().and_then(|task| self.engine.find_task(task));
        kept.unwrap_or_else(|| {
            job.header().add_future();
            job
        })
    }

    /// Returns true on the thread of the cluster's event loop.
    pub(crate) fn is_on_loop(&self) -> bool {
        thread::is_loop_of(&self.engine)
    }

    /// Returns true in a coroutine task of this cluster.
    fn runs_coroutine_here(&self) -> bool {
        static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Python::attach(|py| -> PyResult<bool> {
            let task = python(py, &CURRENT, "azolla._run.awaiting", "current_task")?.call0()?;
            Ok(!task.is_none() && task.getattr("cluster")?.extract::<u128>()? == self.number)
        })
        .unwrap_or(false)
    }

    /// Marks this thread as the one that runs the cluster's event loop.
    pub(crate) fn set_loop_thread(&self) {
        thread::set_loop_of(&self.engine);
    }
}

impl Shared {
    /// `guest`: the cluster goes on without this client.
    pub(crate) fn new(
        py: Python<'_>,
        cluster: &Arc<Cluster>,
        client: Py<PyAny>,
        guest: bool,
    ) -> Arc<Self> {
        let mut clients = cluster.clients();
        let number = clients.next_number();
        let asynchronous = Arc::new(AtomicBool::new(false));
        let (dropped, waits) = (Arc::new(Dropped::default()), Arc::new(Waits::new()));
        let one = |client, guest, in_tasks, life| {
            Arc::new(Self {
                engine: Arc::clone(&cluster.engine),
                cluster: Arc::clone(cluster),
                client,
                number,
                asynchronous: Arc::clone(&asynchronous),
                has_callbacks: AtomicBool::new(false),
                guest,
                in_tasks,
                dropped: Arc::clone(&dropped),
                waits: Arc::clone(&waits),
                life,
            })
        };
        let another = |life| one(client.clone_ref(py), None, None, life);
        let twin = another(Life::quiet());
        let in_tasks = guest.then(|| another(Life::with(&twin, false)));
        let shared = one(client, guest.then(Guest::new), in_tasks, Life::with(&twin, !guest));
        if clients.add(number, &shared) {
            cluster.has_several.store(true, Ordering::Release);
        }
        shared
    }

    /// Returns the client as the caller must use it. Inside a task of this cluster, and on its own event loop,
    /// that is `in_tasks`, which never leaves; elsewhere it is `self`.
    pub(crate) fn here(self: &Arc<Self>) -> &Arc<Self> {
        let Some(in_tasks) = &self.in_tasks else { return self };
        let in_task = self.cluster.is_on_loop()
            || thread::is_in_task_of(&self.engine)
            || (thread::is_loop_thread() && self.cluster.runs_coroutine_here());
        if in_task { in_tasks } else { self }
    }

    /// Returns true if this process is not the one that made the client.
    pub(crate) fn is_forked(&self) -> bool {
        self.cluster.is_forked()
    }

    /// Returns an error in the child of a fork, where the client's locks must not be touched.
    pub(crate) fn check_process(&self) -> PyResult<()> {
        self.cluster.check_process()
    }

    /// Returns an error if no work may be submitted, or if the client has left.
    pub(crate) fn check_open(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        self.cluster.check_open(py, what)?;
        if self.has_left() { Err(closed(py, what, self.engine.number())) } else { Ok(()) }
    }

    /// Returns the impure task that has exactly this key, if it is kept. The engine knows no key of it.
    pub(crate) fn impure_task(&self, named: &Named<'_>) -> Option<TaskId> {
        let task = named.ends_in?;
        let (_, _, job) = self.engine.look_up(&[task]).pop()?;
        job.has_impure_key(&named.given).then_some(task)
    }

    /// Returns the job of that task, and counts one more future on it.
    pub(crate) fn find_impure(&self, named: &Named<'_>) -> Option<Arc<PyJob>> {
        self.engine.find_task(self.impure_task(named)?)
    }

    /// Returns the job that has this key, and counts one more future on it.
    pub(crate) fn find(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Arc<PyJob>>> {
        let named = parse(key, self.cluster.number)?;
        if self.cluster.is_away() {
            return away::find(key.py(), self, &named);
        }
        Ok(self.find_impure(&named).or_else(|| self.engine.find(named.key)))
    }

    /// Returns the client object, or Python's None once it is gone.
    pub(crate) fn client<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.client.bind(py).call0()
    }

    /// Returns true if a blocking call must return an awaitable here: on the thread of the cluster's own event
    /// loop, and, for an asynchronous client, on any thread that runs an event loop. A task's thread and the
    /// thread of a done-callback run none, so a call of such a client blocks there.
    pub(crate) fn is_async_here(&self, py: Python<'_>) -> PyResult<bool> {
        if self.cluster.is_on_loop() {
            return Ok(true);
        }
        Ok(self.asynchronous.load(Ordering::Relaxed) && is_loop_running(py)?)
    }

    /// Returns true if the client was closed while its cluster goes on.
    pub(crate) fn has_left(&self) -> bool {
        self.guest.as_ref().is_some_and(Guest::has_left)
    }

    /// Returns true if the client may leave before its cluster ends.
    pub(crate) fn is_guest(&self) -> bool {
        self.guest.is_some()
    }

    /// Returns true if the cluster has had other clients. Then this client's waits may end before their jobs do.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.guest.is_some() || self.cluster.has_several.load(Ordering::Acquire)
    }

    /// Counts one more future of this client on a job. Returns the future's epoch, or `None` if the client has left:
    /// the caller must then make no live future.
    pub(crate) fn remember(&self, job: &Arc<PyJob>) -> Option<u32> {
        match &self.guest {
            Some(guest) => guest.remember(job, &self.dropped),
            None => Some(self.dropped.epoch()),
        }
    }

    /// Returns the epoch of the futures that the client makes now.
    pub(crate) fn epoch(&self) -> u32 {
        self.dropped.epoch()
    }

    /// Returns true if the client has cancelled, for itself alone, a future of this epoch on the job.
    pub(crate) fn has_dropped(&self, job: &Arc<PyJob>, epoch: u32) -> bool {
        self.dropped.covers(job, epoch)
    }

    /// Returns an error if the client has cancelled one of these jobs, for itself alone, since this epoch.
    pub(crate) fn check_not_dropped(
        &self,
        py: Python<'_>,
        jobs: &[Arc<PyJob>],
        since: u32,
    ) -> PyResult<()> {
        match jobs.iter().find(|job| self.has_dropped(job, since)) {
            Some(job) => Err(reasons::cancelled(py, job, "the task was cancelled")),
            None => Ok(()),
        }
    }

    /// Counts one future of this client fewer on a job, and tells the engine if it was the job's last. It does nothing
    /// for a future that was counted off already, when the client left or dropped its interest in the job.
    pub(crate) fn let_go(&self, job: &Arc<PyJob>, epoch: u32) {
        // In a forked child the lock may be held for ever, and the engine runs only in the parent.
        if self.is_forked() {
            return;
        }
        let mut last = None;
        if let Some(guest) = &self.guest
            && !guest.let_go(job, epoch, &self.dropped, &mut last)
        {
            return;
        }
        self.remove_futures(job, 1);
        drop(last); // with nothing locked: it may drop Python objects
    }

    /// Has `who` told when the job settles, and when the client leaves or drops its interest in the job. It may be told
    /// of two of these.
    pub(crate) fn listen(&self, job: &PyJob, who: &Arc<dyn Listen>, token: usize) {
        job.header().listen(who, token);
        self.listen_for_leaving(who, token, Some(job));
    }

    /// Has `who` told when the client leaves, or at once if it has left; and when it drops its interest in the job.
    pub(crate) fn listen_for_leaving(
        &self,
        who: &Arc<dyn Listen>,
        token: usize,
        job: Option<&PyJob>,
    ) {
        if self.is_one_of_several() {
            self.waits.add(who, token, job);
        }
    }

    /// Leaves the cluster: the futures of this client hold nothing from now on.
    pub(crate) fn leave(&self) {
        let Some(guest) = &self.guest else { return };
        let held = guest.leave();
        self.waits.end();
        for Held { job, futures } in held {
            self.remove_futures(&job, futures);
        }
    }

    /// Does the same as [`cancel`](Self::cancel), and says why. A job of the client's elsewhere is cancelled there.
    pub(crate) fn cancel_because(
        &self,
        py: Python<'_>,
        job: &Arc<PyJob>,
        reach: Reach,
        why: &Why,
    ) -> PyResult<()> {
        away::cancel(py, std::slice::from_ref(job), reach, why)?;
        reasons::set(py, self, job, why);
        self.cancel(job, reach);
        Ok(())
    }

    /// Cancels a job for this client, and what depends on it. What other clients want too goes on for them.
    pub(crate) fn cancel(&self, job: &Arc<PyJob>, reach: Reach) {
        let several = !reach.force && self.cluster.has_several.load(Ordering::Acquire);
        let (wanted, others) =
            if several { self.wanted_by_others(job) } else { Default::default() };
        if !wanted.iter().any(|one| Arc::ptr_eq(one, job)) {
            match reach {
                Reach { interrupt: true, subtree, .. } => {
                    self.engine.cancel_interrupting(job, subtree);
                }
                Reach { subtree: true, .. } => self.engine.cancel_subtree(&**job),
                Reach { .. } => self.engine.cancel(job),
            }
            job.forget_call();
            return;
        }
        for job in &wanted {
            self.drop_interest(job);
        }
        for job in &others {
            self.engine.cancel(job);
            job.forget_call();
        }
    }

    /// Has all futures of this client on the job read cancelled, and ends their waits. The job goes on.
    fn drop_interest(&self, job: &Arc<PyJob>) {
        // In a task `self` is the client as tasks use it. The client itself has counted the futures.
        let itself = self.cluster.client(self.number);
        let held = match itself.as_ref().and_then(|itself| itself.guest.as_ref()) {
            Some(guest) => guest.drop_interest(job, &self.dropped),
            None => {
                self.dropped.add(job);
                None
            }
        };
        self.waits.end_those_for(job);
        self.remove_futures(job, held.map_or(0, |held| held.futures));
    }

    /// Returns the jobs that go on for other clients when this client cancels `job`, then those that do not. They are
    /// `job` and what depends on it.
    fn wanted_by_others(&self, job: &Arc<PyJob>) -> (Vec<Arc<PyJob>>, Vec<Arc<PyJob>>) {
        let clients: Vec<_> = self.cluster.clients().all();
        let is_wanted = |job: &Arc<PyJob>| {
            let of_guests = clients.iter().filter_map(|one| Some(one.guest.as_ref()?.holds(job)));
            let of_guests: u32 = of_guests.sum();
            clients.iter().filter(|one| one.number != self.number).any(|other| match &other.guest {
                Some(guest) => guest.holds(job) > 0,
                // The client that owns the cluster counts none: the futures that no guest has are its own.
                None => job.header().futures() > of_guests,
            })
        };
        // What depends on a job that another client has itself goes on with it.
        // Of a result that is there it is not known for whom it is needed. An actor goes with its calls.
        let is_there = job.role == Role::Plain && job.header().status() == Status::Finished;
        let is_needed = is_there
            && clients.iter().any(|other| other.number != self.number && !other.has_left())
            && self.engine.is_input(&**job);
        if is_needed || is_wanted(job) {
            return (vec![Arc::clone(job)], Vec::new());
        }
        match job.header().id() {
            Some(task) => self.engine.part(task, is_wanted),
            None => Default::default(),
        }
    }

    fn remove_futures(&self, job: &PyJob, futures: u32) {
        for _ in 0..futures {
            if job.header().remove_future() {
                self.engine.release(job.header());
            }
        }
    }
}

/// Returns true if an event loop runs on this thread.
fn is_loop_running(py: Python<'_>) -> PyResult<bool> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(!python(py, &RUNNING, "asyncio", "_get_running_loop")?.call0()?.is_none())
}

impl Drop for Shared {
    fn drop(&mut self) {
        // In a forked child the lock may be held for ever.
        if !self.is_forked() {
            self.cluster.clients().forget_gone(self.number);
        }
    }
}

fn closed(py: Python<'_>, what: &str, engine: u32) -> PyErr {
    let why = gone::why(py, engine).unwrap_or("the client is closed");
    error(py, "ClosedClientError", &format!("{what}: {why}"))
}
