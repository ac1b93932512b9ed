//! The worker of one Python thread: it hands calls to the thread's loop and takes their results.
//!
//! The loop is written in Python (`azolla/_run/worker_loop.py`), so that no native frame ever lies below
//! the user's code.

use crate::future::handle::value;
use crate::future::running::Running;
use crate::interpreter::forks::{check_forks, forks};
use crate::interpreter::imports::python;
use crate::interpreter::threads::at_end_of_thread;
use crate::session::at_hand::AtHand;
use crate::session::owner::{Owner, set_owner};
use crate::session::reasons;
use crate::session::shared::Cluster;
use crate::session::thread::{self, drop_gone, own};
use crate::submit::arguments::for_run;
use crate::task::failing::fail;
use crate::task::job::{Call, Copies, PyJob};
use azolla::runtime::{Next, Sleeper, Worker};
use azolla_core::Outcome;
use pyo3::exceptions::{PyRuntimeError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    /// This thread's empty context. It is dropped only by [`PyWorker::end`] or [`check_empty`], never by the
    /// thread's own end: a thread that the interpreter takes down must not come back to Python.
    static EMPTY: RefCell<Option<ManuallyDrop<Empty>>> = const { RefCell::new(None) };
}

#[doc = stub!(Worker)]
#[pyclass(frozen, name = "Worker", module = "azolla._azolla")]
pub(crate) struct PyWorker {
    /// The engine's worker, until the thread takes it or its start fails.
    waiting: Arc<Mutex<Option<Worker<PyJob>>>>,
    number: u32,
    owner: Owner,
    forks: u64,
    rest: Mutex<Rest>,
    at_hand: Arc<AtHand>,
}

/// A context in which no variable is set. Tasks that were submitted from such a context share it, one after
/// the other, until a task sets a variable in it.
struct Empty {
    context: Py<PyAny>,
    /// The context's bound method `run`.
    run: Py<PyAny>,
}

/// What the worker does before it asks for the next task.
enum Rest {
    /// Nothing: it asks at once.
    None,
    /// It sleeps first.
    Sleep(Sleeper<PyJob>),
    /// It ends instead.
    End,
}

/// A call as the loop makes it: a context's `run`, the function with its positional arguments, and its
/// keyword arguments if it has any.
type Task<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

impl PyWorker {
    pub(crate) fn new(waiting: Arc<Mutex<Option<Worker<PyJob>>>>, owner: Owner) -> Self {
        let locked = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let number = locked.as_ref().map_or(0, Worker::number);
        drop(locked);
        let (rest, at_hand) = (Mutex::new(Rest::None), Arc::default());
        Self { waiting, number, owner, forks: forks(), rest, at_hand }
    }

    fn cluster(&self) -> Option<Arc<Cluster>> {
        self.owner.get()?.upgrade()
    }

    fn is_forked(&self) -> bool {
        check_forks(self.forks).is_err()
    }
}

#[pymethods]
impl PyWorker {
    #[doc = stub!(Worker.begin)]
    fn begin(&self, py: Python<'_>) -> PyResult<bool> {
        if locked(&self.waiting).is_some() {
            at_end_of_thread(py, leave)?;
            thread::begin(locked(&self.waiting).take());
            set_owner(Some(Arc::clone(&self.owner)));
            self.at_hand.is_here();
        }
        Ok(own(|_| ()).is_ok())
    }

    #[doc = stub!(Worker.end)]
    fn end(&self) {
        leave();
    }

    #[doc = stub!(Worker.forked)]
    #[getter]
    fn forked(&self) -> bool {
        self.is_forked()
    }

    #[doc = stub!(Worker.number)]
    #[getter]
    fn number(&self) -> u32 {
        self.number
    }

    #[doc = stub!(Worker.rest)]
    fn rest(&self, py: Python<'_>) -> bool {
        let rest = std::mem::replace(&mut *locked(&self.rest), Rest::None);
        match rest {
            Rest::None => true,
            Rest::Sleep(sleeper) => {
                py.detach(|| sleeper.sleep());
                true
            }
            Rest::End => {
                *locked(&self.rest) = Rest::End;
                false
            }
        }
    }

    #[doc = stub!(Worker.next)]
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Task<'py>>> {
        self.next_at_hand(py)
    }

    #[doc = stub!(Worker.done)]
    fn done<'py>(&self, result: Bound<'py, PyAny>) -> PyResult<Option<Task<'py>>> {
        static COROUTINE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = result.py();
        if self.is_forked() {
            return Err(PySystemExit::new_err(0));
        }
        self.at_hand.ends(py);
        check_empty(py)?;
        let coroutine = python(py, &COROUTINE, "types", "CoroutineType")?;
        if result.get_type().is(coroutine) {
            self.detach(&result)?;
        } else {
            let finished = with_slot(py, |worker| {
                let finished = worker.job().map(|job| job.finish(result));
                (finished, worker.finish(Outcome::Done))
            })?;
            // The call's objects may have finalizers. They run here, between two tasks.
            drop(finished);
        }
        self.next_at_hand(py)
    }

    #[doc = stub!(Worker.failed)]
    fn failed(&self, error: Bound<'_, PyAny>) -> PyResult<bool> {
        if self.is_forked() {
            return Err(PyErr::from_value(error));
        }
        self.at_hand.ends(error.py());
        check_empty(error.py())?;
        let Ok(Some(job)) = own(|worker| worker.job().map(Arc::clone)) else { return Ok(false) };
        let outcome = fail(&job, &error, true);
        drop(job);
        drop(with_slot(error.py(), |worker| worker.finish(outcome))?);
        Ok(true)
    }
}

/// Calls `f` with this thread's worker, whose task ends. A loan that the task has left open ends first: that waits for a
/// slot, and the task that has it may need the GIL.
fn with_slot<R>(py: Python<'_>, f: impl FnOnce(&mut Worker<PyJob>) -> R) -> PyResult<R> {
    let mut f = Some(f);
    loop {
        let call = |worker: &mut Worker<PyJob>| match worker.has_lent() {
            true => None,
            false => f.take().map(|f| f(worker)),
        };
        match own(call)? {
            Some(result) => return Ok(result),
            None => py.detach(|| own(Worker::end_loan))?,
        }
    }
}

/// Makes this thread's worker leave the engine, if it has one.
fn leave() {
    thread::end();
    set_owner(None);
    drop(EMPTY.take().map(ManuallyDrop::into_inner));
}

impl PyWorker {
    /// Returns the next call to make. `None` means that no task is ready, or that the worker must end;
    /// `rest` then says which.
    fn next_at_hand<'py>(&self, py: Python<'py>) -> PyResult<Option<Task<'py>>> {
        loop {
            let next = |worker: &mut Worker<PyJob>| {
                let next = worker.next_task();
                let call = worker.job().and_then(|job| {
                    self.at_hand.begins(job);
                    Some((job.call(py)?, job.has_parts.then_some(job.copies)))
                });
                (next, call, worker.has_gone())
            };
            let (next, call, has_gone) = own(next)?;
            if has_gone {
                drop_gone()?;
            }
            let rest = match (next, call) {
                (Next::Run, call) => match prepare(py, call)? {
                    Some(call) => return Ok(Some(call)),
                    None => {
                        self.at_hand.ends(py);
                        continue;
                    }
                },
                (Next::Sleep(sleeper), _) => Rest::Sleep(sleeper),
                (Next::End, _) => Rest::End,
            };
            *locked(&self.rest) = rest;
            return Ok(None);
        }
    }

    /// Hands the coroutine that a call has returned to the cluster's event loop, where it takes no slot.
    fn detach(&self, coroutine: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = coroutine.py();
        let (Some(cluster), Some(job)) = (self.cluster(), with_slot(py, Worker::detach)?) else {
            return Err(PyRuntimeError::new_err("a coroutine came from outside a task"));
        };
        let worker = own(|worker| worker.group().0)?;
        let context = job.call(py).and_then(|call| call.context);
        let running = Bound::new(py, Running::new(Arc::clone(&job), Arc::clone(&cluster), worker))?;
        let begun = cluster.object(py).and_then(|object| {
            object.call_method1(intern!(py, "_run_coroutine"), (coroutine, &running, context))
        });
        if let Err(error) = begun {
            running.get().failed(error.into_value(py).into_bound(py).into_any())?;
        }
        Ok(())
    }
}

/// Returns the call of the current task, with results in place of futures. If that fails, the
/// task fails, and this returns `None`.
fn prepare<'py>(
    py: Python<'py>,
    call: Option<(Call, Option<Copies>)>,
) -> PyResult<Option<Task<'py>>> {
    let outcome = match call.map(|(call, copies)| task(py, call, copies)) {
        Some(Ok(task)) => return Ok(Some(task)),
        Some(Err(error)) => match own(|worker| worker.job().map(Arc::clone))? {
            Some(job) if is_cancel(py, &error) => {
                // An input was cancelled, and its result is gone.
                let engine = own(|worker| Arc::clone(worker.engine()))?;
                reasons::set_by_error(py, &engine, &job, &error);
                engine.cancel(&*job);
                Outcome::Failed
            }
            Some(job) => fail(&job, error.into_value(py).bind(py).as_any(), true),
            None => return Ok(None),
        },
        None => Outcome::Failed,
    };
    drop(own(|worker| worker.finish(outcome))?);
    Ok(None)
}

fn is_cancel(py: Python<'_>, error: &PyErr) -> bool {
    static CANCELLED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = python(py, &CANCELLED, "azolla._base.errors", "FutureCancelledError");
    class.is_ok_and(|class| error.is_instance(py, class))
}

/// Returns a call as the loop makes it. `copies` says how its arguments are copied, if they must be.
fn task<'py>(py: Python<'py>, call: Call, copies: Option<Copies>) -> PyResult<Task<'py>> {
    let run = match &call.context {
        Some(context) => {
            let own = context.bind(py).call_method0(intern!(py, "copy"))?;
            own.getattr(intern!(py, "run"))?
        }
        None => run_in_empty(py)?,
    };
    let mut whole = call.call.into_bound(py);
    let mut kwargs = call.kwargs.map(|kwargs| kwargs.into_bound(py));
    if let Some(copies) = copies {
        (whole, kwargs) = for_run((whole, kwargs), copies)?;
    }
    if let Some(actor) = &call.state {
        let mut items: Vec<_> = whole.iter().collect();
        items.insert(1, value(py, actor)?);
        whole = PyTuple::new(py, items)?;
    }
    Ok((run, whole, kwargs))
}

/// Returns `run` of this thread's empty context, which is made if there is none.
fn run_in_empty(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let run = |empty: &ManuallyDrop<Empty>| empty.run.bind(py).clone();
    if let Some(run) = EMPTY.with_borrow(|empty| empty.as_ref().map(run)) {
        return Ok(run);
    }
    let context = python(py, &CONTEXT, "contextvars", "Context")?.call0()?;
    let run = context.getattr(intern!(py, "run"))?;
    let new = Empty { context: context.unbind(), run: run.clone().unbind() };
    EMPTY.set(Some(ManuallyDrop::new(new)));
    Ok(run)
}

/// Drops the thread's empty context if the task that has ended set a variable in it.
fn check_empty(py: Python<'_>) -> PyResult<()> {
    // A context's length is read without running any user code.
    let length = |empty: &ManuallyDrop<Empty>| empty.context.bind(py).len();
    let length = EMPTY.with_borrow(|empty| empty.as_ref().map_or(Ok(0), length))?;
    if length > 0 {
        drop(EMPTY.take().map(ManuallyDrop::into_inner));
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
