//! What a container is, what it holds, and how another one like it is made.
//!
//! Containers are lists, deques, dictionaries, sets, frozensets and tuples, what is derived from these, objects
//! of dataclasses, and `UserDict`, `UserList` and `ChainMap`. A copy is what pickling would give, but for what is inside: where
//! the class is not one of Python's own, `copy.copy` makes it.

use crate::interpreter::imports::python;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

/// How a container is looked into.
pub(super) enum Kind<'py> {
    List,
    Deque,
    Dict,
    Set,
    FrozenSet,
    Tuple,
    /// It has these attributes. A frozen one refuses to be given others.
    Fields {
        names: Vec<Bound<'py, PyAny>>,
        frozen: bool,
    },
}

/// Where in a container something is.
pub(super) enum Place<'py> {
    /// In the order in which the container gives its members.
    Index(usize),
    /// Under this key, or this name.
    Name(Bound<'py, PyAny>),
}

/// A place in a container, and what is there.
pub(super) type Part<'py> = (Place<'py>, Bound<'py, PyAny>);

/// A place in a container, and what is to be there; `None` stands for nothing.
pub(super) type Change<'py> = (Place<'py>, Option<Bound<'py, PyAny>>);

impl<'py> Kind<'py> {
    /// Returns what kind of container this is, if it is one. The most frequent types come first.
    pub(super) fn of(value: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = value.py();
        Ok(Some(if value.is_instance_of::<PyList>() {
            Self::List
        } else if value.is_instance_of::<PyTuple>() {
            Self::Tuple
        } else if value.is_instance_of::<PyDict>() {
            Self::Dict
        } else if value.is_instance_of::<PySet>() {
            Self::Set
        } else if value.is_instance_of::<PyFrozenSet>() {
            Self::FrozenSet
        } else if derives(value, deque(py)?) {
            Self::Deque
        } else {
            return Self::fields(value);
        }))
    }

    fn fields(value: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = value.py();
        let class = value.get_type();
        if let Some(fields) = class.getattr_opt(intern!(py, "__dataclass_fields__"))?
            && let Ok(fields) = fields.cast_into::<PyDict>()
        {
            let options = class.getattr_opt(intern!(py, "__dataclass_params__"))?;
            let frozen = options.map(|options| options.getattr(intern!(py, "frozen"))?.is_truthy());
            let frozen = frozen.transpose()?.unwrap_or(false);
            return Ok(Some(Self::Fields { names: names_of(&fields)?, frozen }));
        }
        for (cell, name, attribute) in &HOLDERS {
            if derives(value, python(py, cell, "collections", name)?) {
                let names = vec![PyString::intern(py, attribute).into_any()];
                return Ok(Some(Self::Fields { names, frozen: false }));
            }
        }
        Ok(None)
    }

    /// Returns true if a container of this kind is passed as it is, unless something in it is not.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Self::Tuple | Self::FrozenSet | Self::Fields { frozen: true, .. })
    }

    /// Returns a container like this one, with the same in it. `None`: it is made with what is in it, at once.
    pub(super) fn shell(&self, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = value.py();
        if let Ok(list) = value.cast_exact::<PyList>() {
            return Ok(Some(list.get_slice(0, list.len()).into_any()));
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            return Ok(Some(dict.copy()?.into_any()));
        } else if let Ok(set) = value.cast_exact::<PySet>() {
            return Ok(Some(set.call_method0(intern!(py, "copy"))?));
        } else if matches!(self, Self::Tuple | Self::FrozenSet) {
            return Ok(None);
        }
        static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let copy = python(py, &COPY, "copy", "copy")?.call1((value,))?;
        if copy.is(value) || !copy.get_type().is(value.get_type()) {
            let class = value.get_type().qualname()?;
            return Err(PyTypeError::new_err(format!("copy.copy() gives no copy of a {class}")));
        }
        Ok(Some(copy))
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
        match self {
            Self::List => {
                let items = of.cast::<PyList>()?.iter().enumerate();
                items.for_each(|(index, item)| add(Place::Index(index), item));
            }
            Self::Tuple => {
                let items = of.cast::<PyTuple>()?.iter().enumerate();
                items.for_each(|(index, item)| add(Place::Index(index), item));
            }
            Self::Set | Self::FrozenSet | Self::Deque => {
                let items = self.members(of)?.into_iter().enumerate();
                items.for_each(|(index, item)| add(Place::Index(index), item));
            }
            Self::Dict => {
                of.cast::<PyDict>()?.iter().for_each(|(key, item)| add(Place::Name(key), item));
            }
            Self::Fields { names, .. } => {
                for name in names {
                    if let Ok(item) = of.getattr(name.cast()?) {
                        add(Place::Name(name.clone()), item);
                    }
                }
            }
        }
        Ok(parts)
    }

    /// Returns what a set or a deque holds, all at once: another thread may change it meanwhile.
    fn members(&self, of: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = of.py();
        let base = match self {
            Self::Set => py.get_type::<PySet>().into_any(),
            Self::FrozenSet => py.get_type::<PyFrozenSet>().into_any(),
            _ => deque(py)?.clone(),
        };
        base.call_method1(intern!(py, "__iter__"), (of,))?.try_iter()?.collect()
    }

    /// Makes the changes in a shell.
    pub(super) fn change(
        &self,
        shell: &Bound<'py, PyAny>,
        changes: Vec<Change<'py>>,
    ) -> PyResult<()> {
        let py = shell.py();
        match self {
            // By the builtin types' own ways: a class may refuse changes, or make something of what is put in.
            Self::List => {
                let list = shell.cast::<PyList>()?;
                if changes.iter().all(|(_, new)| new.is_some()) {
                    return changes.into_iter().try_for_each(|change| match change {
                        (Place::Index(index), Some(new)) => list.set_item(index, new),
                        _ => Ok(()),
                    });
                }
                let mut items: Vec<_> = list.iter().map(Some).collect();
                for (place, new) in changes {
                    if let Place::Index(index) = place {
                        items[index] = new;
                    }
                }
                let left: Vec<_> = items.into_iter().flatten().collect();
                list.set_slice(0, list.len(), PyList::new(py, left)?.as_any())
            }
            Self::Dict => changes.into_iter().try_for_each(|(place, new)| match place {
                Place::Name(key) => shell.cast::<PyDict>()?.set_item(key, new),
                Place::Index(_) => Ok(()),
            }),
            Self::Set => {
                let set = shell.cast::<PySet>()?;
                let items = changed(py, self.members(shell)?, changes);
                set.clear();
                items.into_iter().try_for_each(|item| set.add(item))
            }
            Self::Deque => {
                let items = changed(py, self.members(shell)?, changes);
                let deque = deque(py)?;
                deque.call_method1(intern!(py, "clear"), (shell,))?;
                deque.call_method1(intern!(py, "extend"), (shell, items)).map(drop)
            }
            Self::Fields { .. } => changes.into_iter().try_for_each(|(place, new)| match place {
                // Past the class's own `__setattr__`, which refuses where it is frozen.
                Place::Name(name) => {
                    let object = py.get_type::<PyAny>();
                    object.call_method1(intern!(py, "__setattr__"), (shell, name, new)).map(drop)
                }
                Place::Index(_) => Ok(()),
            }),
            Self::Tuple | Self::FrozenSet => Ok(()),
        }
    }

    /// Returns a tuple or a frozenset like this one, with the changes.
    pub(super) fn made(
        &self,
        like: &Bound<'py, PyAny>,
        changes: Vec<Change<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = like.py();
        let (items, base) = match self {
            Self::Tuple => (like.cast::<PyTuple>()?.iter().collect(), py.get_type::<PyTuple>()),
            _ => (self.members(like)?, py.get_type::<PyFrozenSet>()),
        };
        let items = changed(py, items, changes);
        if like.is_exact_instance_of::<PyTuple>() {
            return Ok(PyTuple::new(py, items)?.into_any());
        }
        let made = base.call_method1(intern!(py, "__new__"), (like.get_type(), items))?;
        if let Some(state) = like.getattr_opt(intern!(py, "__dict__"))? {
            made.getattr(intern!(py, "__dict__"))?.call_method1(intern!(py, "update"), (state,))?;
        }
        Ok(made)
    }
}

/// Returns the items with the changes made. What stands for nothing becomes None.
fn changed<'py>(
    py: Python<'py>,
    mut items: Vec<Bound<'py, PyAny>>,
    changes: Vec<Change<'py>>,
) -> Vec<Bound<'py, PyAny>> {
    for (place, new) in changes {
        if let Place::Index(index) = place {
            items[index] = new.unwrap_or_else(|| py.None().into_bound(py));
        }
    }
    items
}

/// Classes of Python's whose objects hold all that they hold in one attribute.
static HOLDERS: [(PyOnceLock<Py<PyAny>>, &str, &str); 3] = [
    (PyOnceLock::new(), "UserDict", "data"),
    (PyOnceLock::new(), "UserList", "data"),
    (PyOnceLock::new(), "ChainMap", "maps"),
];

fn deque(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DEQUE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    python(py, &DEQUE, "collections", "deque")
}

/// Returns true if the object's class is this one or is derived from it. Nothing that the class says is asked.
fn derives(object: &Bound<'_, PyAny>, class: &Bound<'_, PyAny>) -> bool {
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

/// Returns true if this is one of the most common values, which hold nothing. To ask any other what it is takes as
/// long as all the rest.
pub(super) fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyBool>()
}
