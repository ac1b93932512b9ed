//! Objects as bytes, and back, for tasks that run in another process.
//!
//! `pickle` comes first: it is fast. `cloudpickle` (`azolla/_process/by_value.py`) takes what it cannot, say a lambda, and
//! what belongs to the program's main module: a worker process has another main module, so such a class or function must
//! travel by value.

use super::imports::python;
use super::plain::is_plain;
use azolla_process::place::LARGE;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyException, PyMemoryError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyFunction, PyList, PyTuple};
use std::cell::RefCell;

/// PEP 574.
const PROTOCOL: u8 = 5;

/// An object as bytes. What is large in it stays apart (PEP 574): the buffers of arrays, in the order in which the pickle
/// asks for them.
pub(crate) struct Pickled<'py> {
    pub(crate) pickle: Bound<'py, PyBytes>,
    pub(crate) buffers: Vec<PyUntypedBuffer>,
}

/// Returns an object as bytes, with its large buffers apart.
///
/// # Errors
/// What `by_value.py` raises if it cannot either. User code may run, and raise anything.
pub(crate) fn pickled<'py>(object: &Bound<'py, PyAny>) -> PyResult<Pickled<'py>> {
    // Most objects can have no buffers, and are pickled somewhat faster if none are asked for.
    if is_small(object) {
        return named(object, None)?.map_or_else(|| by_value(object), |pickle| Ok(pickle.into()));
    }
    by_name(object)?.map_or_else(|| by_value(object), Ok)
}

impl<'py> From<Bound<'py, PyBytes>> for Pickled<'py> {
    fn from(pickle: Bound<'py, PyBytes>) -> Self {
        Self { pickle, buffers: Vec::new() }
    }
}

/// Returns an object as bytes that name its classes and functions. `None`: another process could not read them.
///
/// # Errors
/// What is no `Exception`, say `KeyboardInterrupt`; and MemoryError.
pub(crate) fn by_name<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Pickled<'py>>> {
    // The pickle of a function is its name.
    if object.is_exact_instance_of::<PyFunction>() || object.is_exact_instance_of::<PyCFunction>() {
        return Ok(named(object, None)?.map(Pickled::from));
    }
    let (pickle, buffers) = with_buffers(object.py(), |keywords| named(object, keywords))?;
    Ok(pickle.map(|pickle| Pickled { pickle, buffers }))
}

/// Returns an object as bytes that hold the functions and classes of the main module.
///
/// # Errors
/// As for [`pickled`].
pub(crate) fn by_value<'py>(object: &Bound<'py, PyAny>) -> PyResult<Pickled<'py>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static WHOLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let by = |dumps: &Bound<'py, PyAny>| {
        with_buffers(py, |keywords| dumps.call((object, PROTOCOL), keywords))
    };
    let (mut pickle, mut buffers) = by(python(py, &DUMPS, "azolla._process.by_value", "dumps")?)?;
    if pickle.is_none() {
        (pickle, buffers) = by(python(py, &WHOLE, "azolla._process.by_value", "dumps_whole")?)?;
    }
    Ok(Pickled { pickle: pickle.cast_into()?, buffers })
}

/// Returns an object as bytes, with all that is in it.
///
/// # Errors
/// As for [`pickled`].
pub(crate) fn whole(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if is_small(object)
        && let Some(pickle) = named(object, None)?
    {
        return Ok(pickle.as_bytes().to_vec());
    }
    let dumps = python(object.py(), &DUMPS, "azolla._process.parts", "dumps")?;
    Ok(dumps.call1((object,))?.cast_into::<PyBytes>()?.as_bytes().to_vec())
}

/// Returns true if this is a plain value, or a tuple of some, or one of the arguments of a call.
fn is_small(object: &Bound<'_, PyAny>) -> bool {
    const MOST: usize = 16;
    if is_plain(object) {
        return true;
    }
    let Ok(tuple) = object.cast_exact::<PyTuple>() else { return false };
    let is_small = |member: Bound<'_, PyAny>| {
        is_plain(&member)
            || member.cast_exact::<PyTuple>().is_ok_and(|inner| {
                inner.len() <= MOST && inner.iter_borrowed().all(|member| is_plain(&member))
            })
    };
    tuple.len() <= MOST && tuple.iter().all(is_small)
}

/// Returns true for a function behind `functools.lru_cache`.
pub(crate) fn is_cached(function: &Bound<'_, PyAny>) -> bool {
    static CACHED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let cached = python(function.py(), &CACHED, "functools", "_lru_cache_wrapper");
    cached.is_ok_and(|class| function.get_type().is(class))
}

thread_local! {
    /// The large buffers of the object that this thread pickles.
    static BUFFERS: RefCell<Vec<PyUntypedBuffer>> = const { RefCell::new(Vec::new()) };
}

/// Takes a buffer that an object offers to the pickle module. Returns true if it belongs into the pickle: it is small, or
/// cannot be read from its first byte to its last.
#[pyfunction]
fn belongs_into_the_pickle(buffer: &Bound<'_, PyAny>) -> bool {
    match PyUntypedBuffer::get(buffer) {
        Ok(view) if view.len_bytes() >= LARGE && is_in_one_piece(&view) => {
            BUFFERS.with_borrow_mut(|buffers| buffers.push(view));
            false
        }
        _ => true,
    }
}

fn is_in_one_piece(view: &PyUntypedBuffer) -> bool {
    view.is_c_contiguous() || view.is_fortran_contiguous()
}

/// Calls `pickle` with the keywords by which the pickle module offers buffers. Returns those that were taken too.
fn with_buffers<'py, T>(
    py: Python<'py>,
    pickle: impl FnOnce(Option<&Bound<'py, PyDict>>) -> PyResult<T>,
) -> PyResult<(T, Vec<PyUntypedBuffer>)> {
    static KEYWORDS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let keywords = KEYWORDS.get_or_try_init(py, || {
        let keywords = PyDict::new(py);
        keywords.set_item("buffer_callback", wrap_pyfunction!(belongs_into_the_pickle, py)?)?;
        Ok::<_, PyErr>(keywords.unbind())
    })?;
    // Code of users may pickle another object meanwhile.
    let around = BUFFERS.take();
    let pickled = pickle(Some(keywords.bind(py)));
    let buffers = BUFFERS.replace(around);
    Ok((pickled?, buffers))
}

/// Does what [`by_name`] does, with these keywords.
fn named<'py>(
    object: &Bound<'py, PyAny>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let dumps = python(py, &DUMPS, "pickle", "dumps")?;
    let pickled = match keywords {
        None => dumps.call1((object, PROTOCOL)),
        some => dumps.call((object, PROTOCOL), some),
    };
    match pickled.and_then(|bytes| Ok(bytes.cast_into::<PyBytes>()?)) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !names_main(bytes.as_bytes()))),
        Err(error) if error.is_instance_of::<PyMemoryError>(py) => Err(error),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns true if a pickle may name something in the main module.
fn names_main(pickle: &[u8]) -> bool {
    const MAIN: &[u8] = b"__main__";
    memchr::memmem::find(pickle, MAIN).is_some()
}

/// Returns the object of these bytes. User code may run, and raise anything.
pub(crate) fn loads<'py>(py: Python<'py>, pickle: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    load(py)?.call1((PyBytes::new(py, pickle),))
}

/// Returns the object of a pickle and the buffers that it has left out.
pub(crate) fn loads_with<'py>(
    pickle: &Bound<'py, PyAny>,
    buffers: Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = pickle.py();
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "buffers"), buffers)?;
    load(py)?.call((pickle,), Some(&keywords))
}

fn load(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &LOADS, "pickle", "loads")
}
