//! Hashes classes. A class is hashed by its name if the name leads to it for good, and otherwise by what it consists
//! of.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use super::cache::IdentityCache;
use super::hasher::{Tag, Writer};
use super::walk::{Hashed, Mode, Walk};

/// Set in classes made at run time (`Py_TPFLAGS_HEAPTYPE`). Other classes are part of compiled code.
const MADE_AT_RUN_TIME: u64 = 1 << 9;

/// What is in a class's dict but says nothing about the class: what other code stores there, and the class's place in
/// its file.
const INCIDENTAL: &[&str] = &[
    "__dict__",
    "__weakref__",
    "__slotnames__",
    "__firstlineno__",
    "__static_attributes__",
    "__annotations_cache__",
    "_abc_impl",
];

/// The digests of the names of classes that are part of compiled code.
static COMPILED: IdentityCache<u128> = IdentityCache::new();

impl<'py> Walk<'_, 'py> {
    /// Writes a class.
    pub(super) fn class(&mut self, class: &Bound<'py, PyType>) -> Hashed {
        if let Some(digest) = compiled(class)? {
            self.out.tag(Tag::Type);
            self.out.digest(digest);
            return Ok(());
        }
        let module = class.getattr(intern!(self.py, "__module__"))?;
        let path = class.qualname()?;
        if let Some(origin) = self.origin_of_name(class.as_any(), &module, path.to_str()?)? {
            self.out.tag(Tag::Importable);
            self.origin(&origin)?;
            return self.text(&path);
        }
        if self.mode == Mode::SortKey {
            return self.name_only(class.as_any());
        }
        self.nested(|walk| walk.made_here(class, &path))
    }

    /// Writes what a class consists of, since no name leads to it for good.
    fn made_here(&mut self, class: &Bound<'py, PyType>, path: &Bound<'py, PyString>) -> Hashed {
        if self.met(class.as_any()) {
            return Ok(());
        }
        self.out.tag(Tag::Class);
        self.text(path)?;
        self.class(&class.get_type())?;
        self.tuple(&class.bases())?;
        self.contents(class)
    }

    fn contents(&mut self, class: &Bound<'py, PyType>) -> Hashed {
        let contents =
            class.getattr(intern!(self.py, "__dict__"))?.call_method0(intern!(self.py, "copy"))?;
        let contents = contents.cast_into::<PyDict>().map_err(PyErr::from)?;
        for name in INCIDENTAL {
            if contents.contains(*name)? {
                contents.del_item(*name)?;
            }
        }
        // Python gives a class without annotations an empty dict (3.14: None as the function that makes them) when
        // they are asked for. That must not change the digest.
        for name in ["__annotations__", "__annotate_func__"] {
            if contents.get_item(name)?.is_some_and(|found| !found.is_truthy().unwrap_or(true)) {
                contents.del_item(name)?;
            }
        }
        self.dict(Tag::Dict, &contents)
    }

    /// Writes the name of a class or function in place of what it consists of.
    pub(super) fn name_only(&mut self, named: &Bound<'py, PyAny>) -> Hashed {
        self.abridged = true;
        self.out.tag(Tag::Named);
        self.value(&named.getattr(intern!(self.py, "__module__"))?)?;
        self.value(&named.getattr(intern!(self.py, "__qualname__"))?)
    }
}

/// Returns the digest of a compiled class's name; `None` for other classes.
fn compiled(class: &Bound<'_, PyType>) -> Hashed<Option<u128>> {
    if let Some(digest) = COMPILED.get(class) {
        return Ok(Some(digest));
    }
    let flags: u64 = class.getattr(intern!(class.py(), "__flags__"))?.extract()?;
    if flags & MADE_AT_RUN_TIME != 0 {
        return Ok(None);
    }
    let module = class.module()?;
    let mut out = Writer::new(Tag::Type, false);
    out.bytes(module.to_str()?.as_bytes());
    out.bytes(class.qualname()?.to_str()?.as_bytes());
    let digest = out.finish();
    COMPILED.insert(class, digest);
    Ok(Some(digest))
}
