//! What is asked in a worker process of its client. The engine is here, so the proxy answers its task, and the desk all
//! others.

use super::actors::called;
use super::ended;
use super::holdings::Holdings;
use super::proxy::Own;
use super::rare::{self, Rare, name};
use crate::interpreter::blobs::Packed;
use crate::session::interest::{Reach, not_interrupted};
use crate::session::reasons::{self, Why, was_cancelled};
use crate::session::shared::Cluster;
use crate::submit::placing::place_actor;
use crate::task::actor::Berth;
use crate::task::job::{Failure, PyJob, Seen, Work};
use crate::task::kept::Kept;
use crate::task::packed::{Futures, PackedCall, PackedFunction, Value, kind};
use azolla::runtime::{
    self, Engine, Job, Patience, Status, Submission, Until, WaitError, watch_all,
};
use azolla_core::{Key, Priority, TaskId};
use azolla_process::fleet::Remote;
use azolla_process::message::{Blob, Bytes, Function};
use azolla_process::request::{self, Answer, How, Request, Role, Submit};
use azolla_process::shelf::Shelf;
use pyo3::Python;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a proxy answers with.
pub(super) enum Reply {
    Tasks(Vec<u64>),
    Unknown,
    /// The ends of these, with their results if the process wants them.
    Ends(Vec<Arc<PyJob>>, bool),
    /// The ends of these, whose coroutines ran in the process: it has raised their errors, and no future has shown them.
    Own(Vec<Arc<PyJob>>),
    Done(bool),
    Loan(Option<u64>),
    Value(Vec<u8>),
    Raised(Vec<u8>),
    Told(&'static str, String),
    /// Nothing: the process has died meanwhile.
    Dead,
}

/// The process has died during a wait.
pub(super) struct Died;

/// Who asks.
pub(super) enum By<'a> {
    /// The task that runs on this thread of a process.
    Task(&'a mut Own),
    /// A thread that runs no task, or the coroutine of a task.
    Aside { engine: &'a Arc<Engine<PyJob>>, coroutine: Option<Arc<PyJob>> },
}

impl By<'_> {
    pub(super) fn engine(&self) -> &Arc<Engine<PyJob>> {
        match self {
            Self::Task(worker) => worker.engine(),
            Self::Aside { engine, .. } => engine,
        }
    }

    /// The task that asks, if one does.
    pub(super) fn job(&self) -> Option<&Arc<PyJob>> {
        match self {
            Self::Task(worker) => worker.job(),
            Self::Aside { coroutine, .. } => coroutine.as_ref(),
        }
    }

    /// The worker of the task that asks. Nothing else waits here.
    pub(super) fn worker(&mut self) -> Result<&mut Own, Reply> {
        match self {
            Self::Task(worker) => Ok(worker),
            Self::Aside { .. } => {
                Err(Reply::Told("RuntimeError", "only the thread of a task asks this".into()))
            }
        }
    }
}

/// A process that asks something.
pub(super) struct Asking<'a> {
    pub(super) by: By<'a>,
    pub(super) holdings: &'a Holdings,
    pub(super) cluster: Option<Arc<Cluster>>,
    /// The process.
    pub(super) remote: &'a Remote,
    pub(super) shelf: &'a Shelf,
}

impl Asking<'_> {
    pub(super) fn answer(&mut self, request: Request<'_>) -> Reply {
        let answer = match request {
            Request::Submit { functions, tasks, group } => self.submit(functions, &tasks, group),
            Request::Put { name, key, value, futures } => self.put(name, key, &value, futures),
            Request::Find { key, task } => Ok(self.find(key, task)),
            Request::Wait { tasks, until, limit, results } => {
                self.wait(&tasks, until, limit, results)
            }
            Request::Next { set, more, limit } => self.next(set, &more, limit),
            Request::Forget(set) => {
                self.holdings.forget_set(set);
                Ok(Reply::Done(true))
            }
            Request::See(tasks) => self.jobs(&tasks).map(|jobs| Reply::Ends(jobs, true)),
            Request::Secede => {
                let seceded = self.by.worker().and_then(|worker| {
                    worker.secede().map_err(|error| told(error.never_interrupted()))
                });
                seceded.map(Reply::Done)
            }
            Request::Rejoin => {
                let back = self.by.worker().and_then(|worker| {
                    worker.rejoin().map_err(|error| told(error.never_interrupted()))
                });
                back.map(|()| Reply::Done(true))
            }
            Request::Lend { tasks, loan } => self.lend(&tasks, loan),
            Request::EndLoan(loan) => self.end_loan(loan),
            Request::IsCancelled => self.by.worker().map(|it| Reply::Done(it.is_cancelled())),
            Request::CheckCancelled => {
                let is_not = self.by.worker().and_then(|it| it.check_cancelled().map_err(told));
                is_not.map(|()| Reply::Done(true))
            }
            Request::Sleep(limit) => self.sleep(limit),
            Request::Shield(begins) => self.by.worker().map(|worker| {
                if begins {
                    worker.shield()
                } else {
                    worker.end_shield()
                }
                Reply::Done(true)
            }),
            Request::HasBegun(task) => self.has_begun(task),
            Request::CancelUnlessBegun(task) => self.cancel_unless_begun(task),
            Request::Cancel { tasks, force, subtree, interrupt, reason, msg } => {
                let why =
                    Why { reason: reason.map(Into::into), msg: msg.map(Into::into), input: None };
                self.cancel(&tasks, Reach { force, subtree, interrupt }, &why)
            }
            Request::Retry(tasks) => self.jobs(&tasks).map(|jobs| {
                jobs.iter().for_each(|job| self.by.engine().retry(job));
                Reply::Done(true)
            }),
            Request::Keep(tasks) => self.jobs(&tasks).map(|jobs| {
                jobs.iter().for_each(|job| self.by.engine().keep(job));
                Reply::Done(true)
            }),
            Request::Awaits(tasks) => self.awaits(&tasks),
            Request::Detach | Request::Call(_) | Request::Stand(_) | Request::GiveUp(_) => {
                Err(Reply::Told("RuntimeError", "this cannot be asked here".into()))
            }
        };
        answer.unwrap_or_else(|reply| reply)
    }

    pub(super) fn jobs(&self, tasks: &[u64]) -> Result<Vec<Arc<PyJob>>, Reply> {
        self.holdings.jobs(tasks).ok_or_else(|| {
            let why = "the client does not have this task any more";
            Reply::Told("FutureCancelledError", why.into())
        })
    }

    /// Takes over what a message has brought.
    fn read(&self, blob: &Blob<'_>) -> Result<Packed, Reply> {
        ended::read(blob, self.remote, self.shelf).map_err(|error| {
            Reply::Told("AzollaError", format!("large data cannot be read: {error}"))
        })
    }

    fn function(
        &self,
        function: &Function<'_>,
        tasks: &[Submit<'_>],
    ) -> Result<Arc<PackedFunction>, Reply> {
        let first = tasks.iter().find(|task| task.function == function.digest);
        let name = first.map_or_else(String::new, |task| task.called.to_owned());
        let packed = self.read(&function.blob)?;
        let (digest, futures) = (function.digest, function.futures.clone());
        Ok(Arc::new(PackedFunction { digest, packed, name, futures }))
    }

    fn check_open(&self, what: &str) -> Result<(), Reply> {
        let engine = self.by.engine();
        if engine.is_broken() {
            return Err(Reply::Told("EngineError", "azolla's engine has broken down".into()));
        }
        if engine.is_closing() {
            return Err(Reply::Told("ClosedClientError", format!("{what}: the client is closed")));
        }
        Ok(())
    }

    /// The number of the client that has submitted the task.
    fn client(&self) -> u32 {
        self.by.job().map_or(0, |job| job.client())
    }

    fn submit(
        &mut self,
        functions: Vec<Function<'_>>,
        tasks: &[Submit<'_>],
        group: Option<u64>,
    ) -> Result<Reply, Reply> {
        self.check_open("submit")?;
        let parent = match group {
            Some(group) => self.jobs(&[group])?.pop(),
            None => self.by.job().map(Arc::clone),
        };
        let parent = parent.and_then(|parent| parent.header().id());
        let new = functions.iter().map(|function| self.function(function, tasks));
        self.holdings.learn(new.collect::<Result<_, _>>()?);
        // All are looked for first: the process sends what it has sent once more if one is unknown, and what was read is
        // this process's affair.
        let functions = tasks.iter().map(|task| self.holdings.function(task.function));
        let Some(functions) = functions.collect::<Option<Vec<_>>>() else {
            return Ok(Reply::Unknown);
        };
        let submissions = tasks.iter().zip(functions);
        let submissions =
            submissions.map(|(task, function)| self.submission(task, function, parent));
        let submissions: Vec<_> = submissions.collect::<Result<_, _>>()?;
        let mut jobs: Vec<_> = submissions.iter().map(|one| Arc::clone(&one.payload)).collect();
        for (place, existing) in self.by.engine().submit_all(submissions) {
            jobs[place] = existing;
        }
        Ok(Reply::Tasks(jobs.into_iter().map(|job| self.holdings.hold(job)).collect()))
    }

    fn submission(
        &self,
        task: &Submit<'_>,
        function: Arc<PackedFunction>,
        parent: Option<TaskId>,
    ) -> Result<Submission<PyJob>, Reply> {
        let mut inputs = self.jobs(&task.inputs)?;
        let rare = match (task.rare, &self.cluster) {
            ([], _) | (_, None) => Rare::default(),
            (rare, Some(cluster)) => Rare::read(cluster, rare)?,
        };
        let arguments = self.read(&task.arguments)?;
        let submitted = watch_all(&inputs);
        let actor = called(task.role, &mut inputs)?;
        let named: Arc<str> = task.name.text.into();
        let kind = kind(if actor.is_some() { &named } else { task.called }.as_bytes());
        let futures = Kept::new(self.by.engine(), task.futures.iter().copied());
        let call = PackedCall {
            function,
            named,
            arguments,
            inputs: inputs.clone().into(),
            actor: actor.clone(),
            futures: Futures::Kept(futures),
            notes: rare.notes,
        };
        let (name, key) = name(&task.name, rare.key);
        let work = Work::Packed(Arc::new(call));
        let mut job = PyJob::new(work, task.retries, name, self.client(), rare.span);
        job.role = task.role;
        let constraint = match (&actor, &self.cluster) {
            (Some(actor), _) => actor.berth().and_then(Berth::constraint),
            (None, Some(cluster)) if task.role == Role::Actor => {
                let (berth, own) = place_actor(cluster, rare.constraint, &inputs);
                job.set_berth(berth);
                own
            }
            (None, _) => rare.constraint,
        };
        if task.role == Role::Call {
            // The actor's next call waits for the end of this one.
            job.header().watch();
        }
        let job = Arc::new(job);
        if inputs.iter().any(|input| input.header().status() == Status::Cancelled) {
            Python::attach(|py| reasons::set_by_inputs(py, &job, &inputs));
        }
        Ok(Submission {
            key,
            priority: task.priority.map(Priority::from_bits),
            parent,
            constraint,
            inputs: submitted,
            call: task.role == Role::Call,
            ..Submission::new(job, kind)
        })
    }

    fn put(
        &self,
        named: request::Name<'_>,
        key: &[u8],
        value: &Blob<'_>,
        futures: Vec<u64>,
    ) -> Result<Reply, Reply> {
        self.check_open("scatter")?;
        let key = rare::key(key)?;
        let engine = self.by.engine();
        let value = Value::Packed(self.read(value)?);
        let futures = Kept::new(engine, futures);
        let value = match futures.is_empty() {
            true => value,
            false => Value::Holding(Box::new((value, futures))),
        };
        let (name, key) = name(&named, key);
        let job = Arc::new(PyJob::done(value, name, self.client()));
        let existing = engine.put(Arc::clone(&job), key);
        Ok(Reply::Tasks(vec![self.holdings.hold(existing.unwrap_or(job))]))
    }

    fn find(&self, key: u128, task: Option<u64>) -> Reply {
        let engine = self.by.engine();
        let by_task = task.and_then(TaskId::from_bits).and_then(|task| engine.find_task(task));
        let found = by_task.or_else(|| engine.find(Key::from_digest(key)));
        Reply::Tasks(found.map(|job| self.holdings.hold(job)).into_iter().collect())
    }

    fn wait(
        &mut self,
        tasks: &[u64],
        until: request::Until,
        limit: Option<u64>,
        results: bool,
    ) -> Result<Reply, Reply> {
        let jobs = self.jobs(tasks)?;
        let until = match until {
            request::Until::All => Until::All,
            request::Until::AllOrFailure => Until::AllOrFailure,
            request::Until::First => Until::First,
        };
        let remote = self.remote;
        let mut interrupt = || if remote.is_over() { Err(Died) } else { Ok(()) };
        let patience = Patience { deadline: deadline(limit), interrupt: Some(&mut interrupt) };
        let worker = self.by.worker()?;
        match runtime::wait(Some(&mut **worker), &jobs, until, patience) {
            Ok(()) => Ok(Reply::Ends(jobs, results)),
            Err(error) => Err(told(error)),
        }
    }

    fn next(&mut self, set: u64, more: &[u64], limit: Option<u64>) -> Result<Reply, Reply> {
        let more = self.jobs(more)?;
        let set = self.holdings.set(set);
        set.add(more);
        let remote = self.remote;
        let mut interrupt = || if remote.is_over() { Err(Died) } else { Ok(()) };
        let worker = self.by.worker()?;
        let jobs = set.next(worker, deadline(limit), &mut interrupt).map_err(told)?;
        Ok(Reply::Ends(jobs, true))
    }

    fn sleep(&mut self, limit: Option<u64>) -> Result<Reply, Reply> {
        let remote = self.remote;
        let mut interrupt = || if remote.is_over() { Err(Died) } else { Ok(()) };
        let patience = Patience { deadline: deadline(limit), interrupt: Some(&mut interrupt) };
        self.by.worker()?.sleep(patience).map_err(told)?;
        Ok(Reply::Done(true))
    }

    /// A task that awaits itself, by way of others, is told so.
    fn awaits(&self, tasks: &[u64]) -> Result<Reply, Reply> {
        let jobs = self.jobs(tasks)?;
        match self.by.job() {
            Some(job) => match self.by.engine().awaits(job, &jobs) {
                Ok(()) => Ok(Reply::Done(true)),
                Err(error) => Err(told(error.never_interrupted())),
            },
            None => Ok(Reply::Done(false)),
        }
    }

    fn cancel(&self, tasks: &[u64], reach: Reach, why: &Why) -> Result<Reply, Reply> {
        let jobs = self.jobs(tasks)?;
        let client = self.cluster.as_ref().and_then(|cluster| cluster.client(self.client()));
        if let Some(call) = jobs.iter().find(|job| reach.interrupt && job.role == Role::Call) {
            let key = Python::attach(|py| call.key_text(py));
            return Err(Reply::Told("ValueError", not_interrupted(&key)));
        }
        for job in &jobs {
            match &client {
                Some(client) => {
                    Python::attach(|py| reasons::set(py, client, job, why));
                    client.cancel(job, reach);
                }
                None => self.by.engine().cancel(job),
            }
        }
        Ok(Reply::Done(true))
    }
}

fn deadline(limit: Option<u64>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(Duration::from_nanos(limit)))
}

/// Says why a wait has ended without what it was for.
pub(super) fn told(error: WaitError<Died>) -> Reply {
    match error {
        WaitError::Interrupted(Died) => Reply::Dead,
        WaitError::TimedOut => Reply::Told("TimeoutError", String::new()),
        WaitError::Cancelled(key) => Reply::Told("Cancelled", was_cancelled(&key)),
        WaitError::Closed => {
            Reply::Told("CancelledByCloseError", "the client was closed during the wait".into())
        }
        WaitError::NoThread(reason) => Reply::Told(
            "RuntimeError",
            format!(
                "this task cannot wait: no thread could be started to take over its slot ({reason})"
            ),
        ),
        WaitError::Cycle(keys) => Reply::Told(
            "WaitCycleError",
            format!("these tasks would wait for each other for ever: {}", keys.join(" -> ")),
        ),
    }
}

impl Reply {
    /// Calls `send` with the answer as it travels to this thread. What is large in it is lent to the thread's process.
    pub(super) fn send<R>(self, remote: &Remote, send: impl FnOnce(Answer<'_>) -> R) -> Option<R> {
        let blob = |pickle| Blob { pickle: Bytes::Here(pickle), buffers: Vec::new() };
        Some(match self {
            Self::Dead => return None,
            Self::Tasks(tasks) => send(Answer::Tasks(tasks)),
            Self::Unknown => send(Answer::Unknown),
            Self::Done(done) => send(Answer::Done(done)),
            Self::Loan(loan) => send(Answer::Loan(loan)),
            Self::Value(pickle) => send(Answer::Value(blob(&pickle))),
            Self::Raised(packed) => send(Answer::Raised(blob(&packed))),
            Self::Told(class, why) => send(Answer::Told(class, &why)),
            Self::Ends(..) | Self::Own(_) => {
                let (jobs, results, sees) = match self {
                    Self::Ends(jobs, results) => (jobs, results, true),
                    Self::Own(jobs) => (jobs, true, false),
                    _ => return None,
                };
                let seen: Vec<_> = jobs
                    .iter()
                    .map(|job| ((job.header().status(), job.outcome()), why(job)))
                    .collect();
                let mut ends = Vec::with_capacity(jobs.len());
                for (job, (seen, why)) in jobs.iter().zip(&seen) {
                    let Some(task) = job.header().id() else { continue };
                    // If nothing can be lent, the process has ended.
                    if let Some(how) = how(job, seen, (results, sees), why, remote).ok()? {
                        ends.push((task.to_bits(), how));
                    }
                }
                send(Answer::Ends(ends))
            }
        })
    }
}

/// What only Python knows of an end: why the task was cancelled, or its error in words.
fn why(job: &Arc<PyJob>) -> Why {
    match (job.header().status(), job.outcome()) {
        (Status::Cancelled, _) => Python::try_attach(|py| reasons::why(py, job))
            .flatten()
            .map_or_else(Why::default, |why| Why::clone(&why)),
        (Status::Failed, Some(Err(failure))) if matches!(*failure, Failure::Raised(_)) => {
            let words = |py: Python<'_>| failure.error(py).to_string();
            Why { msg: Python::try_attach(words), ..Why::default() }
        }
        _ => Why::default(),
    }
}

/// How a job has ended that was seen so, if it has; with its result if that is wanted. `sees`: a future shows a failure from
/// now on.
fn how<'a>(
    job: &PyJob,
    (status, outcome): &'a (Status, Option<Seen<'a>>),
    (results, sees): (bool, bool),
    why: &'a Why,
    remote: &Remote,
) -> io::Result<Option<How<'a>>> {
    let blob = |packed: &'a Packed| packed.blob(|place| remote.lend(place));
    Ok(Some(match (status, outcome) {
        (Status::Pending, _) => return Ok(None),
        (Status::Finished, Some(Ok(value))) => {
            How::Done(value.packed().filter(|_| results).map(blob).transpose()?)
        }
        (Status::Failed, Some(Err(failure))) => {
            // The process raises it.
            if sees {
                job.header().see_failure();
            }
            match &**failure {
                Failure::Unread(unread) => How::Failed(blob(unread.packed())?),
                Failure::Told(class, why) => How::Told(class, why),
                Failure::Raised(_) => How::Told("AzollaError", why.msg.as_deref().unwrap_or("")),
            }
        }
        _ => How::Cancelled(why.reason.as_deref(), why.msg.as_deref()),
    }))
}
