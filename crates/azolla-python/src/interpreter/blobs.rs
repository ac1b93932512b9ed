//! Objects on their way between processes: their pickles, and apart from those the large buffers that they hold.
//!
//! What is small travels in messages. What is large lies in an arena (`azolla_process::place`), and a message names it. So
//! it is copied once, when it is pickled, however many processes and tasks read it.

use super::mapped::{buffer, bytes, no_memory};
use super::once::stored_once;
use super::pickles::{Pickled, loads, loads_with, pickled};
use azolla_process::message::{Blob, Bytes, Range};
use azolla_process::place::{LARGE, Place, Store, Stored};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::io;
use std::iter;
use std::sync::Arc;

/// An object as a process keeps it. Most are small.
pub(crate) enum Packed {
    Small(Box<[u8]>),
    Large(Box<Large>),
}

/// An object with something large in it.
pub(crate) struct Large {
    pickle: Part,
    buffers: Vec<Arc<Stored>>,
}

enum Part {
    Here(Box<[u8]>),
    There(Arc<Stored>),
}

/// An object that was pickled just now.
pub(crate) enum Made<'py> {
    Small(Bound<'py, PyBytes>),
    Large(Box<Large>),
}

impl<'py> Made<'py> {
    /// Pickles an object. What is large goes to `store`.
    ///
    /// # Errors
    /// What the pickling raises. User code may run, and raise anything. MemoryError if there is no room.
    pub(crate) fn of(object: &Bound<'py, PyAny>, store: &dyn Store) -> PyResult<Self> {
        Self::from(pickled(object)?, store)
    }

    /// Stores what is large of an object that was pickled.
    ///
    /// # Errors
    /// MemoryError if there is no room.
    pub(crate) fn from(pickled: Pickled<'py>, store: &dyn Store) -> PyResult<Self> {
        let Pickled { pickle, buffers } = pickled;
        if buffers.is_empty() && pickle.as_bytes().len() <= LARGE {
            return Ok(Self::Small(pickle));
        }
        let py = pickle.py();
        let store_one = |buffer: &PyUntypedBuffer| stored(py, raw(buffer), store);
        let buffers = buffers.into_iter().map(|buffer| stored_once(py, buffer, store_one));
        let buffers = buffers.collect::<PyResult<_>>()?;
        let pickle = match pickle.as_bytes() {
            small if small.len() <= LARGE => Part::Here(small.into()),
            large => Part::There(stored(py, large, store)?),
        };
        Ok(Self::Large(Box::new(Large { pickle, buffers })))
    }

    /// Returns the object as this process keeps it.
    pub(crate) fn keep(self) -> Packed {
        match self {
            Self::Small(pickle) => Packed::Small(pickle.as_bytes().into()),
            Self::Large(large) => Packed::Large(large),
        }
    }
}

impl Pickled<'_> {
    /// Returns the bytes of the pickle, and those of the buffers.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(self.pickle.as_bytes()).chain(self.buffers.iter().map(raw))
    }
}

/// Returns the bytes of a buffer that is in one piece.
fn raw(view: &PyUntypedBuffer) -> &[u8] {
    let (start, length) = (view.buf_ptr().cast_const().cast(), view.len_bytes());
    // SAFETY: the view keeps so many bytes there, and none of the buffers that were taken is short. A thread that writes to
    // them meanwhile may find its writes stored in part, as with any copy of theirs.
    unsafe { std::slice::from_raw_parts(start, length) }
}

fn stored(py: Python<'_>, bytes: &[u8], store: &dyn Store) -> PyResult<Arc<Stored>> {
    py.detach(|| store.store(bytes)).map_err(no_memory)
}

impl Packed {
    /// Pickles an object, as [`Made::of`] does.
    pub(crate) fn of(object: &Bound<'_, PyAny>, store: &dyn Store) -> PyResult<Self> {
        Made::of(object, store).map(Made::keep)
    }

    /// Reads what a message has brought. `stored` returns the data in a range that it names. Needs no GIL.
    pub(crate) fn read(
        blob: &Blob<'_>,
        mut stored: impl FnMut(Range) -> io::Result<Arc<Stored>>,
    ) -> io::Result<Self> {
        let pickle = match blob.pickle {
            Bytes::Here(pickle) if blob.buffers.is_empty() => {
                return Ok(Self::Small(pickle.into()));
            }
            Bytes::Here(pickle) => Part::Here(pickle.into()),
            Bytes::There(range) => Part::There(stored(range)?),
        };
        let buffers = blob.buffers.iter().map(|range| stored(*range));
        let buffers = buffers.collect::<io::Result<_>>()?;
        Ok(Self::Large(Box::new(Large { pickle, buffers })))
    }

    /// Returns what a message says of the object. `lend` returns what the message calls a place. Needs no GIL.
    pub(crate) fn blob(
        &self,
        mut lend: impl FnMut(&Arc<Place>) -> io::Result<Range>,
    ) -> io::Result<Blob<'_>> {
        let large = match self {
            Self::Small(pickle) => {
                return Ok(Blob { pickle: Bytes::Here(pickle), buffers: Vec::new() });
            }
            Self::Large(large) => large,
        };
        let pickle = match &large.pickle {
            Part::Here(pickle) => Bytes::Here(pickle),
            Part::There(stored) => Bytes::There(lend(&stored.place())?),
        };
        let buffers = large.buffers.iter().map(|stored| lend(&stored.place()));
        Ok(Blob { pickle, buffers: buffers.collect::<io::Result<_>>()? })
    }

    /// Returns the object once more. What is large in it is there once.
    pub(crate) fn share(&self) -> Self {
        let large = match self {
            Self::Small(pickle) => return Self::Small(pickle.clone()),
            Self::Large(large) => large,
        };
        let pickle = match &large.pickle {
            Part::Here(pickle) => Part::Here(pickle.clone()),
            Part::There(stored) => Part::There(Arc::clone(stored)),
        };
        Self::Large(Box::new(Large { pickle, buffers: large.buffers.clone() }))
    }

    /// Returns a copy of the object. What is large in it goes to `store`.
    ///
    /// # Errors
    /// As [`Store::store`], and if what is large cannot be mapped.
    pub(crate) fn copy(&self, store: &dyn Store) -> io::Result<Self> {
        let large = match self {
            Self::Small(pickle) => return Ok(Self::Small(pickle.clone())),
            Self::Large(large) => large,
        };
        let copy = |stored: &Arc<Stored>| {
            let mut bytes = vec![0; stored.length() as usize];
            stored.place().read(&mut bytes)?;
            store.store(&bytes)
        };
        let pickle = match &large.pickle {
            Part::Here(pickle) => Part::Here(pickle.clone()),
            Part::There(stored) => Part::There(copy(stored)?),
        };
        let buffers = large.buffers.iter().map(copy).collect::<io::Result<_>>()?;
        Ok(Self::Large(Box::new(Large { pickle, buffers })))
    }

    /// Returns the object. Each call unpickles it anew. User code may run, and raise anything.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let large = match self {
            Self::Small(pickle) => return loads(py, pickle),
            Self::Large(large) => large,
        };
        let buffers = large.buffers.iter().map(|stored| buffer(py, stored));
        let buffers = buffers.collect::<PyResult<Vec<_>>>()?;
        loads_with(&self.pickle(py)?, PyList::new(py, buffers)?)
    }

    /// Returns the pickle as an object to read.
    pub(crate) fn pickle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Small(pickle) => Ok(PyBytes::new(py, pickle).into_any()),
            Self::Large(large) => match &large.pickle {
                Part::Here(pickle) => Ok(PyBytes::new(py, pickle).into_any()),
                Part::There(stored) => bytes(py, stored),
            },
        }
    }

    /// Returns how many bytes the object takes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Small(pickle) => pickle.len() as u64,
            Self::Large(large) => {
                let pickle = match &large.pickle {
                    Part::Here(pickle) => pickle.len() as u64,
                    Part::There(stored) => stored.length(),
                };
                pickle + large.buffers.iter().map(|stored| stored.length()).sum::<u64>()
            }
        }
    }

    /// Returns how many bytes of the object travel in a message.
    pub(crate) fn size_in_message(&self) -> usize {
        match self {
            Self::Small(pickle) => pickle.len(),
            Self::Large(large) => match &large.pickle {
                Part::Here(pickle) => pickle.len(),
                Part::There(_) => 0,
            },
        }
    }
}

impl Large {
    /// Leaves what is large to the process that the next message goes to. Returns the pickle, or where it lies, and where the
    /// buffers lie. The object was pickled just now, so nothing else refers to it.
    pub(crate) fn give_away(self) -> (Result<Box<[u8]>, Range>, Vec<Range>) {
        let buffers = self.buffers.into_iter().filter_map(Stored::give_away).collect();
        let pickle = match self.pickle {
            Part::Here(pickle) => Ok(pickle),
            Part::There(stored) => Err(stored.give_away().expect("it was stored just now")),
        };
        (pickle, buffers)
    }
}
