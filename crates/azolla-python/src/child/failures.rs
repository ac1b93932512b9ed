//! Errors of tasks as bytes. `azolla._process.errors` packs them, and the client unpacks them.

use crate::interpreter::imports::python;
use crate::interpreter::words::exception_words;
use azolla_process::message::{Blob, Bytes};
use azolla_process::place::{LARGE, Store};
use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// Returns an error as bytes, with a note of the task that it has failed.
pub(crate) fn pack(error: &Bound<'_, PyAny>, key: Option<&str>) -> Vec<u8> {
    static PACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = error.py();
    let packed = || {
        let pack = python(py, &PACK, "azolla._process.errors", "pack")?;
        Ok::<_, PyErr>(pack.call1((error, key))?.cast_into::<PyBytes>()?)
    };
    let packed = packed().or_else(|_| {
        // Say memory is short. What takes it may be the variables of the frames that the error has come through.
        forget_frames(error);
        packed()
    });
    match packed {
        Ok(packed) => packed.as_bytes().to_vec(),
        // Say memory is still short, or another thread sends exceptions to this one.
        Err(_) => pack_words(&exception_words(error)),
    }
}

/// Returns what a message says of an error: the words alone, if there is no room for the rest.
pub(super) fn sent<'a>(
    error: &Bound<'_, PyAny>,
    packed: &'a mut Vec<u8>,
    store: &dyn Store,
) -> Blob<'a> {
    if packed.len() > LARGE {
        match error.py().detach(|| store.store(packed)) {
            Ok(stored) => {
                let range = stored.give_away().expect("it was stored just now");
                return Blob { pickle: Bytes::There(range), buffers: Vec::new() };
            }
            Err(_) => *packed = pack_words(&exception_words(error)),
        }
    }
    Blob { pickle: Bytes::Here(packed), buffers: Vec::new() }
}

fn forget_frames(error: &Bound<'_, PyAny>) {
    if let Ok(error) = error.cast::<PyBaseException>() {
        // SAFETY: it is an exception, and None is what one has that has no traceback. The GIL is held.
        unsafe { ffi::PyException_SetTraceback(error.as_ptr(), ffi::Py_None()) };
    }
}

/// Packs words alone, without Python: the pickle of a text.
fn pack_words(words: &str) -> Vec<u8> {
    let mut pickle = vec![0x80, 2, b'X'];
    pickle.extend((words.len() as u32).to_le_bytes());
    pickle.extend(words.as_bytes());
    pickle.push(b'.');
    pickle
}

/// Returns the error of these bytes.
pub(super) fn unpack(py: Python<'_>, packed: &[u8]) -> PyErr {
    static UNPACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let packed = PyBytes::new(py, packed);
    let error = python(py, &UNPACK, "azolla._process.errors", "unpack")
        .and_then(|unpack| unpack.call1((packed,)));
    error.map_or_else(|error| error, PyErr::from_value)
}

/// Returns true for `Reschedule`. This looks at the exception's type, since its `__class__` may be code of its own.
pub(super) fn asks_for_another_run(error: &Bound<'_, PyAny>) -> bool {
    static RESCHEDULE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let reschedule = python(error.py(), &RESCHEDULE, "azolla._base.errors", "Reschedule");
    reschedule.and_then(|class| error.get_type().is_subclass(class)).unwrap_or(false)
}
