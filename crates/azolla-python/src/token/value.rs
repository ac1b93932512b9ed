//! Hashes values. This file has the rules for plain values and builtin containers. Everything else goes to the rule for
//! its kind.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    IntoPyDict, PyBool, PyByteArray, PyBytes, PyComplex, PyComplexMethods, PyDict, PyFloat,
    PyFrozenSet, PyInt, PyList, PyModule, PySet, PyString, PyTuple, PyType,
};

use crate::interpreter::plain::is_plain;
use crate::interpreter::texts::text_bytes;

use super::hasher::Tag;
use super::known::{Kind, Sight};
use super::walk::{Hashed, Miss, Mode, Walk};

/// A member of something unordered, with its sort key.
struct Sorted<'py> {
    key: u128,
    /// True if the key says all about the member.
    whole: bool,
    member: Bound<'py, PyAny>,
    /// The value, if the member is a key of a dict.
    value: Option<Bound<'py, PyAny>>,
}

impl<'py> Walk<'_, 'py> {
    /// Writes any value. The most frequent types come first. The types must be exact: an instance of a subclass is
    /// hashed as an object.
    pub(super) fn value(&mut self, value: &Bound<'py, PyAny>) -> Hashed {
        if let Ok(int) = value.cast_exact::<PyInt>() {
            self.int(int)
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            self.out.tag(Tag::Str);
            self.text(text)
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.out.tag(Tag::Float);
            self.out.raw(&float.value().to_bits().to_le_bytes());
            Ok(())
        } else if value.is_none() {
            self.out.tag(Tag::None);
            Ok(())
        } else if let Ok(bool) = value.cast_exact::<PyBool>() {
            self.out.tag(if bool.is_true() { Tag::True } else { Tag::False });
            Ok(())
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.nested(|walk| match has_parts(tuple) && walk.met_container(value) {
                true => Ok(()),
                false => walk.tuple(tuple),
            })
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.nested(|walk| if walk.met_container(value) { Ok(()) } else { walk.list(list) })
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.nested(|walk| match walk.met_container(value) {
                true => Ok(()),
                false => walk.dict(Tag::Dict, dict),
            })
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.out.tag(Tag::Bytes);
            self.blob(bytes.as_bytes())
        } else if self.known.is_function(value) {
            self.nested(|walk| walk.function(value))
        } else {
            self.nested(|walk| walk.other(value))
        }
    }

    /// Writes a tuple.
    pub(super) fn tuple(&mut self, tuple: &Bound<'py, PyTuple>) -> Hashed {
        self.tuple_from(tuple, 0)
    }

    /// Writes a tuple as if it began at this place.
    pub(super) fn tuple_from(&mut self, tuple: &Bound<'py, PyTuple>, from: usize) -> Hashed {
        let length = tuple.len() - from;
        self.spend_objects(length)?;
        self.out.tag(Tag::Tuple);
        self.out.number(length as u64);
        tuple.iter_borrowed().skip(from).try_for_each(|item| self.value(&item))
    }

    /// Writes a dict. The order of its keys does not count, as it does not for `==`.
    pub(super) fn dict(&mut self, tag: Tag, dict: &Bound<'py, PyDict>) -> Hashed {
        self.changeable()?;
        self.spend_objects(2 * dict.len())?;
        self.out.tag(tag);
        self.out.number(dict.len() as u64);
        // The items are copied in one step, so that no Python code runs in between and changes the dict.
        let items: Vec<_> = dict.iter().collect();
        match text_keys(&items) {
            Some(order) => order.into_iter().try_for_each(|(key, place)| {
                self.out.tag(Tag::Str);
                self.blob(key.as_bytes())?;
                self.value(&items[place].1)
            }),
            None => {
                self.unordered(items.into_iter().map(|(key, value)| (key, Some(value))).collect())
            }
        }
    }

    /// Writes the text of a string. Lone surrogates are written as UTF-8 would if it allowed them.
    pub(super) fn text(&mut self, text: &Bound<'py, PyString>) -> Hashed {
        self.blob(&text_bytes(text)?)
    }

    /// Writes bytes of any length.
    #[inline]
    pub(super) fn blob(&mut self, bytes: &[u8]) -> Hashed {
        self.spend(bytes.len() as u64)?;
        self.out.bytes(bytes);
        Ok(())
    }

    fn int(&mut self, int: &Bound<'py, PyInt>) -> Hashed {
        if let Ok(small) = int.extract::<i64>() {
            self.out.tag(Tag::Int);
            self.out.raw(&small.to_le_bytes());
            return Ok(());
        }
        let bits: usize = int.call_method0(intern!(self.py, "bit_length"))?.extract()?;
        let bytes = int.call_method(
            intern!(self.py, "to_bytes"),
            (bits / 8 + 1, "little"),
            Some(&[("signed", true)].into_py_dict(self.py)?),
        )?;
        self.out.tag(Tag::BigInt);
        self.blob(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes())
    }

    fn list(&mut self, list: &Bound<'py, PyList>) -> Hashed {
        self.changeable()?;
        self.spend_objects(list.len())?;
        self.out.tag(Tag::List);
        self.out.number(list.len() as u64);
        list.iter().try_for_each(|item| self.value(&item))
    }

    /// Writes what is neither a plain value, nor a builtin container, nor a function.
    fn other(&mut self, value: &Bound<'py, PyAny>) -> Hashed {
        self.spend_objects(0)?;
        if let Some(sight) = self.known.sight(value) {
            return self.known_kind(sight, value);
        }
        self.changeable()?;
        if let Some(key) = (self.future_key)(value) {
            self.step()?;
            self.out.tag(Tag::Future);
            self.out.digest(key);
            return Ok(());
        }
        match value.cast::<PyType>() {
            Ok(class) => self.class(class),
            Err(_) => self.object(value),
        }
    }

    fn known_kind(&mut self, sight: &Sight, value: &Bound<'py, PyAny>) -> Hashed {
        if !sight.kind.is_constant() {
            self.changeable()?;
        }
        match sight.kind {
            Kind::Singleton(tag) => {
                self.out.tag(tag);
                Ok(())
            }
            Kind::Attributes(tag, _) => {
                self.out.tag(tag);
                sight.attributes.iter().try_for_each(|name| self.value(&value.getattr(name)?))
            }
            Kind::Set(Tag::FrozenSet) => self.frozen(value, |walk| walk.set(Tag::FrozenSet, value)),
            Kind::Set(tag) => {
                if self.met_container(value) {
                    Ok(())
                } else {
                    self.set(tag, value)
                }
            }
            Kind::Proxy => {
                let copy = value.call_method0(intern!(self.py, "copy"))?;
                match copy.cast::<PyDict>() {
                    Ok(copy) => self.dict(Tag::Proxy, copy),
                    Err(_) => Err(Miss::Refused("it is a view of something that is no dict")),
                }
            }
            Kind::ByteArray => {
                self.spend(value.len()? as u64)?;
                self.out.tag(Tag::ByteArray);
                self.out.bytes(&value.cast::<PyByteArray>().map_err(PyErr::from)?.to_vec());
                Ok(())
            }
            Kind::MemoryView => self.memory_view(value),
            Kind::Buffer => self.pickle_buffer(value),
            Kind::Complex => {
                let complex = value.cast::<PyComplex>().map_err(PyErr::from)?;
                self.out.tag(Tag::Complex);
                self.out.raw(&complex.real().to_bits().to_le_bytes());
                self.out.raw(&complex.imag().to_bits().to_le_bytes());
                Ok(())
            }
            Kind::Path => {
                self.out.tag(Tag::Path);
                self.class(&value.get_type())?;
                self.value(&value.call_method0(intern!(self.py, "__fspath__"))?)
            }
            Kind::Builtin => self.builtin(value),
            Kind::Code => self.code(value),
            Kind::Cell => self.cell(value),
            Kind::Module => self.module(value.cast::<PyModule>().map_err(PyErr::from)?),
            Kind::Identity => {
                Err(Miss::Refused("it is an object() with no value but being itself"))
            }
        }
    }

    /// Refuses values that can change where only constants are allowed.
    #[inline]
    fn changeable(&self) -> Hashed {
        match self.mode {
            Mode::Constants => Err(Miss::Refused("its code has a constant that can change")),
            _ => Ok(()),
        }
    }

    fn set(&mut self, tag: Tag, set: &Bound<'py, PyAny>) -> Hashed {
        // Before its members are looked at: of a set that is too large nothing is.
        self.spend_objects(set.len()?)?;
        // The members are copied in one step, so that no Python code runs in between and changes the set.
        let members: Vec<_> = match set.cast_exact::<PySet>() {
            Ok(set) => set.iter().map(|member| (member, None)).collect(),
            Err(_) => set
                .cast::<PyFrozenSet>()
                .map_err(PyErr::from)?
                .iter()
                .map(|member| (member, None))
                .collect(),
        };
        self.out.tag(tag);
        self.out.number(members.len() as u64);
        self.unordered(members)
    }

    /// Writes the members of something unordered, in an order that depends on the members alone.
    ///
    /// Mostly a member's sort key is the digest of the whole member, and is written in its place. If not, the member
    /// itself is written, as in a list. A mark that an object was met before then means the same as anywhere else.
    fn unordered(
        &mut self,
        members: Vec<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)>,
    ) -> Hashed {
        let mut sorted = Vec::with_capacity(members.len());
        for (member, value) in members {
            let (key, whole) = self.sort_key(&member)?;
            sorted.push(Sorted { key, whole, member, value });
        }
        sorted.sort_by_key(|member| member.key);
        for Sorted { key, whole, member, value } in sorted {
            if whole {
                self.out.tag(Tag::Digest);
                self.out.digest(key);
            } else {
                self.value(&member)?;
            }
            if let Some(value) = value {
                self.value(&value)?;
            }
        }
        Ok(())
    }

    fn sort_key(&mut self, member: &Bound<'py, PyAny>) -> Hashed<(u128, bool)> {
        let mode = if self.mode == Mode::Constants { Mode::Constants } else { Mode::SortKey };
        let mut walk = self.aside(Tag::SortKey, mode);
        walk.value(member)?;
        Ok(self.join(walk))
    }

    /// Writes a variable that a function closes over. A cell may still be empty. If it is filled before the next call
    /// is hashed, that call has another digest.
    pub(super) fn cell(&mut self, cell: &Bound<'py, PyAny>) -> Hashed {
        match cell.getattr(intern!(self.py, "cell_contents")) {
            Ok(contents) => {
                self.out.tag(Tag::Cell);
                self.value(&contents)
            }
            Err(error) if error.is_instance_of::<PyValueError>(self.py) => {
                self.out.tag(Tag::EmptyCell);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the order of a dict's items by key if all keys are text, as they nearly always are.
fn text_keys<'a>(
    items: &'a [(Bound<'_, PyAny>, Bound<'_, PyAny>)],
) -> Option<Vec<(&'a str, usize)>> {
    let mut order = Vec::with_capacity(items.len());
    for (place, (key, _)) in items.iter().enumerate() {
        order.push((key.cast_exact::<PyString>().ok()?.to_str().ok()?, place));
    }
    order.sort_unstable();
    Some(order)
}

/// Returns true if a tuple holds more than the most common values, which hold nothing. Whether a tuple of such values
/// is the same twice is chance.
fn has_parts(tuple: &Bound<'_, PyTuple>) -> bool {
    tuple.iter_borrowed().any(|item| !is_plain(&item))
}
