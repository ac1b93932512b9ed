//! What a client and its futures share, and whether they may be used.

use crate::job::PyJob;
use azolla::runtime::Engine;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A client, as its futures and tasks know it.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine<PyJob>>,
    /// A weak reference to the client object.
    pub(crate) client: Py<PyAny>,
    /// A random number that veils the ids in its keys.
    pub(crate) number: u128,
    /// How many forks this process had seen when the client was made.
    forks: u64,
    /// Made with `asynchronous=True`: its blocking calls give awaitables.
    pub(crate) asynchronous: AtomicBool,
}

static FORKS: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between this process and the one that first loaded the module.
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// That this is the process in which [`forks`] gave this number. In a child the locks that may be
/// held without the GIL must not be touched: a thread that is not there may hold them for ever.
pub(crate) fn check_forks(made_in: u64) -> PyResult<()> {
    if made_in == forks() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(
        "this azolla client was made before os.fork(), and its threads did not come along: \
         make a new Client in the child process",
    ))
}

/// Called in the child of every fork: the parent's clients are dead there.
// Their threads are gone, and their locks may be held by nobody for ever.
#[pyfunction]
pub(crate) fn after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    crate::worker::abandon();
    LOOP_OF.set(0);
}

impl Shared {
    pub(crate) fn new(engine: Arc<Engine<PyJob>>, client: Py<PyAny>, number: u128) -> Arc<Self> {
        Arc::new(Self {
            engine,
            client,
            number,
            forks: forks(),
            asynchronous: AtomicBool::new(false),
        })
    }

    /// Whether this is another process than the one that made it.
    pub(crate) fn is_forked(&self) -> bool {
        self.forks != forks()
    }

    /// That its locks may be touched.
    pub(crate) fn check_process(&self) -> PyResult<()> {
        check_forks(self.forks)
    }

    /// That work may be submitted.
    pub(crate) fn check_open(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        self.check_process()?;
        if self.engine.is_broken() {
            return Err(error(
                py,
                "EngineError",
                "azolla's engine has broken down; make a new Client",
            ));
        }
        if self.engine.is_closing() {
            return Err(error(py, "ClosedClientError", &format!("{what}: the client is closed")));
        }
        Ok(())
    }

    /// The client object, while it lives.
    pub(crate) fn client<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.client.bind(py).call0()
    }

    /// Whether blocking calls from here must give awaitables: the client is asynchronous, or this
    /// is the thread of its event loop.
    pub(crate) fn is_async_here(&self) -> bool {
        self.asynchronous.load(Ordering::Relaxed)
            || LOOP_OF.get() == Arc::as_ptr(&self.engine).addr()
    }

    /// Makes this thread the one of the client's event loop.
    pub(crate) fn set_loop_thread(&self) {
        LOOP_OF.set(Arc::as_ptr(&self.engine).addr());
    }
}

thread_local! {
    /// The engine whose client's event loop runs on this thread, by address.
    static LOOP_OF: Cell<usize> = const { Cell::new(0) };
}

/// Whether some client's event loop runs on this thread.
pub(crate) fn is_loop_thread() -> bool {
    LOOP_OF.get() != 0
}

/// One of the package's own exceptions.
pub(crate) fn error(py: Python<'_>, name: &str, message: &str) -> PyErr {
    let class = py.import("azolla._errors").and_then(|module| module.getattr(name));
    match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, message.to_owned()),
        Err(error) => error,
    }
}

/// A function or class of the package's Python half, imported once.
pub(crate) fn python<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let object =
        cell.get_or_try_init(py, || Ok::<_, PyErr>(py.import(module)?.getattr(name)?.unbind()))?;
    Ok(object.bind(py))
}
