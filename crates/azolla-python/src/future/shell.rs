//! How a container is copied before anything in it is replaced.
//!
//! A class that says itself how it is copied or pickled is asked, once for each call, when the call is submitted. All
//! other copies are made by the ways of Python's own class that the container derives from. No method of a derived class
//! runs then: a `__setitem__` that changes what it gets would change it again in each copy.

use super::container::{HOLDERS, deque, derives};
use crate::interpreter::imports::python;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyType};

/// What a class may say about its copies.
const SAYS: [&str; 7] = [
    "__copy__",
    "__reduce_ex__",
    "__reduce__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
];

/// Python's own classes that others derive from, the derived ones first, and what a copy is filled by.
static BASES: [(PyOnceLock<Py<PyAny>>, &str, Fill); 3] = [
    (PyOnceLock::new(), "OrderedDict", Fill::Ordered),
    (PyOnceLock::new(), "defaultdict", Fill::Default),
    (PyOnceLock::new(), "Counter", Fill::Dict),
];

#[derive(Clone, Copy)]
enum Fill {
    List,
    Dict,
    Ordered,
    Default,
    Set,
    Deque,
    /// All that the object holds are attributes.
    Nothing,
}

/// Returns a container like this one, with the same in it. `asks` is true if its class may say how.
pub(super) fn copy<'py>(value: &Bound<'py, PyAny>, asks: bool) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let class = value.get_type();
    let (fill, base) = base_of(value)?;
    if !asks || !says(&class, &base)? {
        match base_copy(value, &class, fill, &base) {
            // The class has a layout of its own, which is made in its own way only.
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {}
            done => return done,
        }
    }
    static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let copy = python(py, &COPY, "copy", "copy")?.call1((value,))?;
    if copy.is(value) || !copy.get_type().is(&class) {
        let class = class.qualname()?;
        return Err(PyTypeError::new_err(format!("copy.copy() gives no copy of a {class}")));
    }
    Ok(copy)
}

fn base_of<'py>(value: &Bound<'py, PyAny>) -> PyResult<(Fill, Bound<'py, PyAny>)> {
    let py = value.py();
    if value.is_instance_of::<PyList>() {
        return Ok((Fill::List, py.get_type::<PyList>().into_any()));
    } else if value.is_instance_of::<PySet>() {
        return Ok((Fill::Set, py.get_type::<PySet>().into_any()));
    }
    let holders = HOLDERS.iter().map(|(cell, name, _)| (cell, name, Fill::Nothing));
    for (cell, name, fill) in
        BASES.iter().map(|(cell, name, fill)| (cell, name, *fill)).chain(holders)
    {
        let base = python(py, cell, "collections", name)?;
        if derives(value, base) {
            return Ok((fill, base.clone()));
        }
    }
    if value.is_instance_of::<PyDict>() {
        return Ok((Fill::Dict, py.get_type::<PyDict>().into_any()));
    } else if derives(value, deque(py)?) {
        return Ok((Fill::Deque, deque(py)?.clone()));
    }
    Ok((Fill::Nothing, py.get_type::<PyAny>().into_any()))
}

/// Returns true if a class says how it is copied or pickled, or if the program has said so for it.
fn says(class: &Bound<'_, PyType>, base: &Bound<'_, PyAny>) -> PyResult<bool> {
    static TABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = class.py();
    if class.is(base) {
        return Ok(false);
    }
    for name in SAYS {
        let name = PyString::intern(py, name);
        let same = match (class.getattr_opt(&name)?, base.getattr_opt(&name)?) {
            (Some(own), Some(theirs)) => own.is(&theirs),
            (own, theirs) => own.is_none() && theirs.is_none(),
        };
        if !same {
            return Ok(true);
        }
    }
    python(py, &TABLE, "copyreg", "dispatch_table")?.contains(class)
}

fn base_copy<'py>(
    value: &Bound<'py, PyAny>,
    class: &Bound<'py, PyType>,
    fill: Fill,
    base: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let made_by = match fill {
        Fill::Nothing => &py.get_type::<PyAny>().into_any(),
        Fill::Dict => &py.get_type::<PyDict>().into_any(),
        _ => base,
    };
    let new = made_by.call_method1(intern!(py, "__new__"), (class,))?;
    match fill {
        Fill::List => {
            let old = value.cast::<PyList>()?;
            new.cast::<PyList>()?.set_slice(0, 0, old.get_slice(0, old.len()).as_any())?;
        }
        Fill::Set => base.call_method1(intern!(py, "update"), (&new, value)).map(drop)?,
        Fill::Dict | Fill::Ordered => put(&new, items(value)?)?,
        Fill::Default => {
            let factory = base.getattr(intern!(py, "default_factory"))?;
            let factory = factory.call_method1(intern!(py, "__get__"), (value,))?;
            base.call_method1(intern!(py, "__init__"), (&new, factory))?;
            put(&new, items(value)?)?;
        }
        Fill::Deque => {
            let members = base.call_method1(intern!(py, "__iter__"), (value,))?;
            let members: Vec<_> = members.try_iter()?.collect::<PyResult<_>>()?;
            let most = base.getattr(intern!(py, "maxlen"))?;
            let most = most.call_method1(intern!(py, "__get__"), (value,))?;
            base.call_method1(intern!(py, "__init__"), (&new, members, most))?;
        }
        Fill::Nothing => {}
    }
    take_attributes(&new, value)?;
    Ok(new)
}

type Items<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// Returns what a dictionary holds, in its order, all at once.
pub(super) fn items<'py>(of: &Bound<'py, PyAny>) -> PyResult<Items<'py>> {
    let dict = of.cast::<PyDict>()?;
    let Some(ordered) = ordered(of)? else { return Ok(dict.iter().collect()) };
    let mut items = Vec::with_capacity(dict.len());
    for key in ordered.call_method1(intern!(of.py(), "__iter__"), (of,))?.try_iter()? {
        let key = key?;
        if let Some(value) = dict.get_item(&key)? {
            items.push((key, value));
        }
    }
    Ok(items)
}

/// Puts items into a dictionary, past its class.
pub(super) fn put(new: &Bound<'_, PyAny>, items: Items<'_>) -> PyResult<()> {
    let dict = new.cast::<PyDict>()?;
    match ordered(new)? {
        Some(ordered) => items.into_iter().try_for_each(|(key, value)| {
            ordered.call_method1(intern!(new.py(), "__setitem__"), (new, key, value)).map(drop)
        }),
        None => items.into_iter().try_for_each(|(key, value)| dict.set_item(key, value)),
    }
}

/// Takes all out of a dictionary, past its class.
pub(super) fn clear(dict: &Bound<'_, PyAny>) -> PyResult<()> {
    match ordered(dict)? {
        Some(ordered) => ordered.call_method1(intern!(dict.py(), "clear"), (dict,)).map(drop),
        None => {
            dict.cast::<PyDict>()?.clear();
            Ok(())
        }
    }
}

/// Returns `OrderedDict` if this is one. It keeps an order of its own beside the dictionary's.
fn ordered<'py>(dict: &Bound<'py, PyAny>) -> PyResult<Option<&'py Bound<'py, PyAny>>> {
    let (cell, name, _) = &BASES[0];
    let class = python(dict.py(), cell, "collections", name)?;
    Ok(derives(dict, class).then_some(class))
}

/// Gives a new object the attributes of the old one: those in its `__dict__`, and those in slots.
pub(super) fn take_attributes<'py>(
    new: &Bound<'py, PyAny>,
    old: &Bound<'py, PyAny>,
) -> PyResult<()> {
    static SLOTS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = old.py();
    let name = intern!(py, "__dict__");
    if let Ok(attributes) = attribute(old, name)
        && let Ok(attributes) = attributes.cast_into::<PyDict>()
    {
        if attributes.is(old) {
            set_attribute(new, name, new)?;
        } else if !attributes.is_empty() {
            let own = attribute(new, name)?;
            put(&own, attributes.iter().collect())?;
        }
    }
    let slots = python(py, &SLOTS, "copyreg", "_slotnames")?.call1((old.get_type(),))?;
    if let Ok(slots) = slots.cast::<PyList>() {
        for name in slots {
            let name = name.cast_into::<PyString>()?;
            if let Ok(value) = attribute(old, &name) {
                set_attribute(new, &name, &value)?;
            }
        }
    }
    Ok(())
}

/// Returns an attribute that the object itself has. The class's own `__getattribute__` and `__getattr__` are not asked.
fn attribute<'py>(
    of: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both are objects that are alive, and the GIL is held.
    unsafe {
        let found = ffi::PyObject_GenericGetAttr(of.as_ptr(), name.as_ptr());
        Bound::from_owned_ptr_or_err(of.py(), found)
    }
}

/// Sets an attribute, past the class's own `__setattr__`, which may refuse.
pub(super) fn set_attribute(
    of: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: all three are objects that are alive, and the GIL is held.
    match unsafe { ffi::PyObject_GenericSetAttr(of.as_ptr(), name.as_ptr(), value.as_ptr()) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(of.py())),
    }
}
