//! What a container is, what it holds, and how another one like it is made.
//!
//! Containers are lists, deques, dictionaries, sets, frozensets and tuples, what is derived from these, objects
//! of dataclasses, and `UserDict`, `UserList` and `ChainMap`. A dataclass that derives from a list or the like holds both
//! items and fields. A copy is what pickling would give, but for what is inside; `shell.rs` makes it.

use super::{callable, shell};
use crate::interpreter::imports::python;
use crate::interpreter::plain::is_plain;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple};
use rustc_hash::FxHashMap;

/// How a container is looked into.
pub(super) struct Kind<'py> {
    items: Items,
    /// The names of its fields.
    fields: Vec<Bound<'py, PyAny>>,
    /// It refuses to be given other fields.
    frozen: bool,
}

/// What holds the items of a container.
#[derive(Clone, Copy, PartialEq)]
enum Items {
    List,
    Deque,
    Dict,
    Set,
    FrozenSet,
    Tuple,
    /// A `functools.partial`.
    Partial,
    /// A method that is bound to a container.
    Method,
    None,
}

/// Where in a container something is.
pub(super) enum Place<'py> {
    /// In the order in which the container gives its members.
    Index(usize),
    /// Under this key.
    Value(Bound<'py, PyAny>),
    /// It is a key.
    Key,
    /// It is the field of this name.
    Field(Bound<'py, PyString>),
}

/// A place in a container, and what is there.
pub(super) type Part<'py> = (Place<'py>, Bound<'py, PyAny>);

/// A place in a container, what was there, and what is to be there; `None` stands for nothing.
pub(super) type Change<'py> = (Place<'py>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

impl<'py> Kind<'py> {
    /// Returns what kind of container this is, if it is one. The most frequent types come first.
    pub(super) fn of(value: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = value.py();
        let (items, exact) = if value.is_instance_of::<PyList>() {
            (Items::List, value.is_exact_instance_of::<PyList>())
        } else if value.is_instance_of::<PyTuple>() {
            (Items::Tuple, value.is_exact_instance_of::<PyTuple>())
        } else if value.is_instance_of::<PyDict>() {
            (Items::Dict, value.is_exact_instance_of::<PyDict>())
        } else if value.is_instance_of::<PySet>() {
            (Items::Set, value.is_exact_instance_of::<PySet>())
        } else if value.is_instance_of::<PyFrozenSet>() {
            (Items::FrozenSet, value.is_exact_instance_of::<PyFrozenSet>())
        } else if derives(value, deque(py)?) {
            (Items::Deque, false)
        } else {
            (Items::None, false)
        };
        let kind = Self { items, fields: Vec::new(), frozen: false };
        if exact { Ok(Some(kind)) } else { kind.with_fields(value) }
    }

    /// Returns what kind of callable this is, if it holds what is copied with it.
    pub(super) fn of_callable(value: &Bound<'py, PyAny>, methods: bool) -> PyResult<Option<Self>> {
        let items = if callable::is_partial(value)? {
            Items::Partial
        } else if methods && callable::is_bound(value)? {
            Items::Method
        } else {
            return Ok(None);
        };
        Ok(Some(Self { items, fields: Vec::new(), frozen: false }))
    }

    fn with_fields(mut self, value: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = value.py();
        let class = value.get_type();
        if let Some(fields) = class.getattr_opt(intern!(py, "__dataclass_fields__"))?
            && let Ok(fields) = fields.cast_into::<PyDict>()
        {
            let options = class.getattr_opt(intern!(py, "__dataclass_params__"))?;
            let frozen = options.map(|options| options.getattr(intern!(py, "frozen"))?.is_truthy());
            self.frozen = frozen.transpose()?.unwrap_or(false);
            self.fields = names_of(&fields)?;
            return Ok(Some(self));
        } else if self.items != Items::None {
            return Ok(Some(self));
        }
        for (cell, name, attribute) in &HOLDERS {
            if derives(value, python(py, cell, "collections", name)?) {
                self.fields = vec![PyString::intern(py, attribute).into_any()];
                return Ok(Some(self));
            }
        }
        Ok(None)
    }

    /// Returns true if a container of this kind is passed as it is, unless something in it is not.
    pub(super) fn is_fixed(&self) -> bool {
        self.is_made_at_once() || self.items == Items::None && self.frozen
    }

    /// Returns true if a copy is made with what is in it, at once.
    fn is_made_at_once(&self) -> bool {
        use Items::{FrozenSet, Method, Partial, Tuple};
        matches!(self.items, Tuple | FrozenSet | Partial | Method)
    }

    /// Returns a container like this one, with the same in it. `None`: it is made with what is in it, at once.
    /// `asks` is true if its class may say how.
    pub(super) fn shell(
        &self,
        value: &Bound<'py, PyAny>,
        asks: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = value.py();
        if let Ok(list) = value.cast_exact::<PyList>() {
            return Ok(Some(list.get_slice(0, list.len()).into_any()));
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            return Ok(Some(dict.copy()?.into_any()));
        } else if let Ok(set) = value.cast_exact::<PySet>() {
            return Ok(Some(set.call_method0(intern!(py, "copy"))?));
        } else if self.is_made_at_once() {
            return Ok(None);
        }
        shell::copy(value, asks).map(Some)
    }

    /// Returns what is in a container and may be one itself, or a future. It is taken all at once, since other
    /// threads may change the container.
    pub(super) fn parts(&self, of: &Bound<'py, PyAny>) -> PyResult<Vec<Part<'py>>> {
        let mut parts = Vec::new();
        let mut add = |place, item: Bound<'py, PyAny>| {
            if !is_plain(&item) {
                parts.push((place, item));
            }
        };
        match self.items {
            Items::List => {
                let items = of.cast::<PyList>()?.iter().enumerate();
                items.for_each(|(index, item)| add(Place::Index(index), item));
            }
            Items::Tuple => {
                let items = of.cast::<PyTuple>()?.iter().enumerate();
                items.for_each(|(index, item)| add(Place::Index(index), item));
            }
            Items::Set | Items::FrozenSet | Items::Deque => {
                let items = self.members(of)?.into_iter().enumerate();
                items.for_each(|(index, item)| add(Place::Index(index), item));
            }
            Items::Dict => {
                of.cast::<PyDict>()?.iter().for_each(|(key, item)| add(Place::Value(key), item));
            }
            Items::Partial => parts = callable::parts(of)?,
            Items::Method => add(Place::Index(0), of.getattr(intern!(of.py(), "__self__"))?),
            Items::None => {}
        }
        for name in &self.fields {
            let name = name.cast::<PyString>()?;
            if let Ok(item) = of.getattr(name)
                && !is_plain(&item)
            {
                parts.push((Place::Field(name.clone()), item));
            }
        }
        Ok(parts)
    }

    /// Returns the keys of a dictionary that may hold futures.
    pub(super) fn keys(&self, of: &Bound<'py, PyAny>) -> PyResult<Vec<Part<'py>>> {
        if self.items != Items::Dict {
            return Ok(Vec::new());
        }
        let keys = of.cast::<PyDict>()?.iter().map(|(key, _)| key);
        Ok(keys.filter(|key| !is_plain(key)).map(|key| (Place::Key, key)).collect())
    }

    /// Returns what a set or a deque holds, all at once: another thread may change it meanwhile.
    fn members(&self, of: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = of.py();
        let base = match self.items {
            Items::Set => py.get_type::<PySet>().into_any(),
            Items::FrozenSet => py.get_type::<PyFrozenSet>().into_any(),
            _ => deque(py)?.clone(),
        };
        base.call_method1(intern!(py, "__iter__"), (of,))?.try_iter()?.collect()
    }

    /// Makes the changes in a shell, by the builtin types' own ways: a class may refuse changes, or make something of
    /// what is put in.
    pub(super) fn change(
        &self,
        shell: &Bound<'py, PyAny>,
        changes: Vec<Change<'py>>,
    ) -> PyResult<()> {
        let changes = set_fields(shell, changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let py = shell.py();
        match self.items {
            Items::List => {
                let list = shell.cast::<PyList>()?;
                if changes.iter().all(|(_, _, new)| new.is_some()) {
                    return changes.into_iter().try_for_each(|change| match change {
                        (Place::Index(index), _, Some(new)) => list.set_item(index, new),
                        _ => Ok(()),
                    });
                }
                let mut items: Vec<_> = list.iter().map(Some).collect();
                for (place, _, new) in changes {
                    if let Place::Index(index) = place {
                        items[index] = new;
                    }
                }
                let left: Vec<_> = items.into_iter().flatten().collect();
                list.set_slice(0, list.len(), PyList::new(py, left)?.as_any())
            }
            Items::Dict => change_dict(shell, changes),
            Items::Set => {
                let set = shell.cast::<PySet>()?;
                let items = changed(py, self.members(shell)?, changes);
                set.clear();
                items.into_iter().try_for_each(|item| set.add(item))
            }
            Items::Deque => {
                let items = changed(py, self.members(shell)?, changes);
                let deque = deque(py)?;
                deque.call_method1(intern!(py, "clear"), (shell,))?;
                deque.call_method1(intern!(py, "extend"), (shell, items)).map(drop)
            }
            Items::Tuple | Items::FrozenSet | Items::Partial | Items::Method | Items::None => {
                Ok(())
            }
        }
    }

    /// Returns what is made at once, like this one, with the changes.
    pub(super) fn made(
        &self,
        like: &Bound<'py, PyAny>,
        mut changes: Vec<Change<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = like.py();
        let (items, base) = match self.items {
            Items::Partial => return callable::made(like, changes),
            Items::Method => {
                let object = changes.pop().and_then(|(_, _, new)| new);
                return callable::bound_to(like, object.unwrap_or_else(|| like.clone()));
            }
            Items::Tuple => (like.cast::<PyTuple>()?.iter().collect(), py.get_type::<PyTuple>()),
            _ => (self.members(like)?, py.get_type::<PyFrozenSet>()),
        };
        let (fields, changes): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(place, ..)| matches!(place, Place::Field(_)));
        let items = changed(py, items, changes);
        if like.is_exact_instance_of::<PyTuple>() {
            return Ok(PyTuple::new(py, items)?.into_any());
        }
        let made = base.call_method1(intern!(py, "__new__"), (like.get_type(), items))?;
        shell::take_attributes(&made, like)?;
        set_fields(&made, fields)?;
        Ok(made)
    }
}

/// Sets the fields among the changes, and returns the other changes.
fn set_fields<'py>(
    of: &Bound<'py, PyAny>,
    changes: Vec<Change<'py>>,
) -> PyResult<Vec<Change<'py>>> {
    let mut others = Vec::with_capacity(changes.len());
    for (place, old, new) in changes {
        match (place, new) {
            (Place::Field(name), new) => {
                let new = new.unwrap_or_else(|| of.py().None().into_bound(of.py()));
                shell::set_attribute(of, &name, &new)?;
            }
            (place, new) => others.push((place, old, new)),
        }
    }
    Ok(others)
}

/// Makes the changes in a dictionary. Where keys change, all items are put in again, in their order.
fn change_dict<'py>(dict: &Bound<'py, PyAny>, changes: Vec<Change<'py>>) -> PyResult<()> {
    let mut keys = FxHashMap::default();
    for (place, old, new) in changes {
        match place {
            Place::Value(key) => dict.cast::<PyDict>()?.set_item(key, new)?,
            Place::Key => drop(keys.insert(old.as_ptr().addr(), (old, new))),
            Place::Index(_) | Place::Field(_) => {}
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let mut items = shell::items(dict)?;
    for (key, _) in &mut items {
        if let Some((_, Some(new))) = keys.get(&key.as_ptr().addr()) {
            *key = new.clone();
        }
    }
    shell::clear(dict)?;
    shell::put(dict, items)
}

/// Returns the items with the changes made. What stands for nothing becomes None.
fn changed<'py>(
    py: Python<'py>,
    mut items: Vec<Bound<'py, PyAny>>,
    changes: Vec<Change<'py>>,
) -> Vec<Bound<'py, PyAny>> {
    for (place, _, new) in changes {
        if let Place::Index(index) = place {
            items[index] = new.unwrap_or_else(|| py.None().into_bound(py));
        }
    }
    items
}

/// Classes of Python's whose objects hold all that they hold in one attribute.
pub(super) static HOLDERS: [(PyOnceLock<Py<PyAny>>, &str, &str); 3] = [
    (PyOnceLock::new(), "UserDict", "data"),
    (PyOnceLock::new(), "UserList", "data"),
    (PyOnceLock::new(), "ChainMap", "maps"),
];

pub(super) fn deque(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DEQUE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &DEQUE, "collections", "deque")
}

/// Returns true if the object's class is this one or is derived from it. Nothing that the class says is asked.
pub(super) fn derives(object: &Bound<'_, PyAny>, class: &Bound<'_, PyAny>) -> bool {
    // SAFETY: both are classes, which are alive, and the GIL is held.
    unsafe { ffi::PyType_IsSubtype(object.get_type_ptr(), class.as_ptr().cast()) != 0 }
}

/// The names of a dataclass's fields. Its `__dataclass_fields__` also lists class variables, which are no part of
/// an instance, and the arguments of `__init__` alone.
fn names_of<'py>(fields: &Bound<'py, PyDict>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    static FIELD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = fields.py();
    let of_instances = python(py, &FIELD, "dataclasses", "_FIELD")?;
    let mut names = Vec::with_capacity(fields.len());
    for (name, field) in fields.iter() {
        let kind = field.getattr_opt(intern!(py, "_field_type"))?;
        if kind.is_none_or(|kind| kind.is(of_instances)) {
            names.push(name);
        }
    }
    Ok(names)
}
