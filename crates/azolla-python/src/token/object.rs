//! Hashes objects of all other types. NumPy's objects are hashed by their memory, others by their own
//! `__dask_tokenize__` if they have it, and the rest by the parts into which pickling takes them apart.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyString, PyTuple, PyType};

use super::hasher::Tag;
use super::walk::{Hashed, Miss, Walk};

/// Objects of types that the garbage collector tracks can contain themselves
/// (`Py_TPFLAGS_HAVE_GC`).
const HAS_GC: u64 = 1 << 14;

impl<'py> Walk<'_, 'py> {
    /// Writes an object of a type that hashing does not know.
    pub(super) fn object(&mut self, object: &Bound<'py, PyAny>) -> Hashed {
        if self.numeric(object)? {
            return Ok(());
        }
        let class = object.get_type();
        match class.getattr(intern!(self.py, "__dask_tokenize__")) {
            Ok(_) => self.tokenized(object, &class),
            Err(error) => {
                self.absent::<()>(error)?;
                self.taken_apart(object, &class)
            }
        }
    }

    /// Writes what the object's `__dask_tokenize__` returns.
    fn tokenized(&mut self, object: &Bound<'py, PyAny>, class: &Bound<'py, PyType>) -> Hashed {
        let token = object.call_method0(intern!(self.py, "__dask_tokenize__"))?;
        self.out.tag(Tag::Tokenized);
        self.class(class)?;
        self.value(&token)
    }

    /// Writes the parts into which pickling would take the object apart. The parts are hashed by the rules for all
    /// values. Other than in the bytes of a pickle, the order of sets and dicts does not count, futures count by their
    /// keys, and a class or function of a notebook is more than its name.
    fn taken_apart(&mut self, object: &Bound<'py, PyAny>, class: &Bound<'py, PyType>) -> Hashed {
        let flags: u64 = class.getattr(intern!(self.py, "__flags__"))?.extract()?;
        // An object that is met again is not walked again. Objects can lead back to themselves, and a graph of objects
        // has more paths than a walk could ever follow.
        if flags & HAS_GC != 0 && self.met(object) {
            return Ok(());
        }
        let parts = match self.known.reducer(class)? {
            Some(reducer) => reducer.call1((object,))?,
            None => object.call_method1(intern!(self.py, "__reduce_ex__"), (5,))?,
        };
        if let Ok(name) = parts.cast::<PyString>() {
            return self.global(object, name);
        }
        match parts.cast::<PyTuple>() {
            Ok(parts) if (2..=6).contains(&parts.len()) => self.parts(parts),
            _ => Err(Miss::Refused("pickling it gives something odd")),
        }
    }

    /// Writes `(callable, arguments, state, list items, dict items, state setter)`, the tuple of the pickle protocol.
    fn parts(&mut self, parts: &Bound<'py, PyTuple>) -> Hashed {
        self.spend_objects(parts.len())?;
        let callable = parts.get_item(0)?;
        if self.known.is_new_object(&callable) {
            self.out.tag(Tag::NewObject);
        } else {
            self.out.tag(Tag::Object);
            self.value(&callable)?;
        }
        self.out.number(parts.len() as u64);
        for (place, part) in parts.iter().enumerate().skip(1) {
            match place {
                3 | 4 if !part.is_none() => self.items(&part)?,
                _ => self.value(&part)?,
            }
        }
        Ok(())
    }

    /// Writes the items that an iterator gives.
    fn items(&mut self, items: &Bound<'py, PyAny>) -> Hashed {
        self.out.tag(Tag::List);
        let mut count = 0u64;
        for item in items.try_iter()? {
            self.spend_objects(0)?;
            self.out.tag(Tag::Value);
            self.value(&item?)?;
            count += 1;
        }
        self.out.tag(Tag::None);
        self.out.number(count);
        Ok(())
    }

    /// Writes an object that pickles as a name. In `__main__` a name may come to mean another object, so objects there
    /// have no digest.
    fn global(&mut self, object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> Hashed {
        let path = name.to_str()?;
        let module = self.module_of(object, name)?;
        let origin = self.origin_of_name(object, &module, path)?;
        let origin = origin
            .ok_or(Miss::Refused("it pickles as a name that may come to mean something else"))?;
        self.out.tag(Tag::Global);
        self.origin(&origin)?;
        self.text(name)
    }

    /// Returns the name of the module in which an object can be found.
    fn module_of(
        &self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> Hashed<Bound<'py, PyAny>> {
        // Not all of NumPy's functions say in which module they are, and a search of all modules takes a millisecond.
        if let Some(numpy) = self.known.numpy(self.py)?
            && numpy.module.bind(self.py).getattr(name).is_ok_and(|found| found.is(object))
        {
            return Ok(intern!(self.py, "numpy").clone().into_any());
        }
        let pickle = self.py.import(intern!(self.py, "pickle"))?;
        Ok(pickle.call_method1(intern!(self.py, "whichmodule"), (object, name))?)
    }
}
