//! Values in words, without running any code of the user's: what a key, an argument or an exception looks like
//! to a reader. A class that derives from `str`, say, may have a `__str__` of its own, which may do anything.

use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType,
};

/// How much is shown.
#[derive(Clone, Copy)]
struct Limits {
    /// Of a text, so many characters.
    text: usize,
    /// Of a container, so many items.
    items: usize,
    /// So many containers within each other.
    depth: usize,
}

const WHOLE: Limits = Limits { text: usize::MAX, items: usize::MAX, depth: 50 };
const SHORT: Limits = Limits { text: 40, items: 4, depth: 3 };
/// The most characters of the arguments of a call.
const ARGUMENTS: usize = 120;

/// Returns a key as `str` shows it.
pub(crate) fn key_words(key: &Bound<'_, PyAny>) -> String {
    match key.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => {
            let mut text = String::new();
            write(key, WHOLE, &mut text);
            text
        }
    }
}

/// Returns the arguments of a call, whose tuple begins with the function: cut short.
pub(crate) fn argument_words(
    call: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> String {
    let mut text = String::new();
    for argument in call.iter().skip(1) {
        if text.len() > ARGUMENTS {
            break;
        }
        text.push_str(if text.is_empty() { "" } else { ", " });
        write(&argument, SHORT, &mut text);
    }
    let named: Vec<_> = kwargs.into_iter().flatten().collect();
    for (name, argument) in named {
        if text.len() > ARGUMENTS {
            break;
        }
        text.push_str(if text.is_empty() { "" } else { ", " });
        text.push_str(&key_words(&name));
        text.push('=');
        write(&argument, SHORT, &mut text);
    }
    match text.char_indices().nth(ARGUMENTS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns an exception as its `repr` mostly shows it: its class, and its arguments, cut short.
pub(crate) fn exception_words(exception: &Bound<'_, PyAny>) -> String {
    static ARGS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = exception.py();
    let mut text = class_name(&exception.get_type());
    text.push('(');
    let args = || {
        let own = || py.get_type::<PyBaseException>().getattr("args").map(Bound::unbind);
        let args = ARGS.get_or_try_init(py, own)?.bind(py);
        args.call_method1(intern!(py, "__get__"), (exception,))
    };
    if let Ok(args) = args()
        && let Ok(args) = args.cast::<PyTuple>()
    {
        let limits = Limits { text: 200, ..SHORT };
        write_items(args.iter(), limits, &mut text, |item, text| write(item, limits, text));
    }
    text.push(')');
    text
}

fn write(value: &Bound<'_, PyAny>, limits: Limits, text: &mut String) {
    let py = value.py();
    if value.is_none() {
        return text.push_str("None");
    }
    if let Ok(given) = value.cast::<PyString>() {
        let given = given.to_string_lossy();
        let cut = given.char_indices().nth(limits.text).map(|(end, _)| end);
        let shown = PyString::new(py, &given[..cut.unwrap_or(given.len())]);
        write_repr(&py.get_type::<PyString>(), &shown, text);
        return text.push_str(if cut.is_some() { "…" } else { "" });
    }
    if let Ok(given) = value.cast::<PyBytes>() {
        let given = given.as_bytes();
        let shown = PyBytes::new(py, &given[..given.len().min(limits.text)]);
        write_repr(&py.get_type::<PyBytes>(), &shown, text);
        return text.push_str(if given.len() > limits.text { "…" } else { "" });
    }
    for kind in [py.get_type::<PyBool>(), py.get_type::<PyInt>(), py.get_type::<PyFloat>()] {
        if value.get_type().is_subclass(&kind).unwrap_or(false) {
            return write_repr(&kind, value, text);
        }
    }
    write_container(value, limits, text);
}

/// Writes a container of the interpreter's own classes, and of all else the class.
fn write_container(value: &Bound<'_, PyAny>, limits: Limits, text: &mut String) {
    let inner = Limits { depth: limits.depth.saturating_sub(1), ..limits };
    let is_deep = limits.depth == 0;
    let one = |item: &Bound<'_, PyAny>, text: &mut String| write(item, inner, text);
    // A key may be of a class that derives from `tuple`: its items are read past that class.
    if let Ok(items) = value.cast::<PyTuple>() {
        if is_deep {
            return text.push_str("(…)");
        }
        text.push('(');
        write_items(items.iter(), limits, text, one);
        text.push_str(if items.len() == 1 { ",)" } else { ")" });
    } else if let Ok(items) = value.cast_exact::<PyList>() {
        write_between("[", items.iter(), "]", limits, text);
    } else if let Ok(items) = value.cast_exact::<PyDict>() {
        text.push('{');
        if is_deep {
            text.push('…');
        } else {
            write_items(items.iter(), limits, text, |(key, value), text| {
                write(key, inner, text);
                text.push_str(": ");
                write(value, inner, text);
            });
        }
        text.push('}');
    } else if let Ok(items) = value.cast_exact::<PySet>() {
        write_between("{", items.iter(), "}", limits, text);
    } else if let Ok(items) = value.cast_exact::<PyFrozenSet>() {
        write_between("frozenset({", items.iter(), "})", limits, text);
    } else {
        text.push('<');
        text.push_str(&class_name(&value.get_type()));
        text.push('>');
    }
}

/// Writes items between two marks, or none of them if the container lies too deep.
fn write_between<'py>(
    open: &str,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    close: &str,
    limits: Limits,
    text: &mut String,
) {
    let inner = Limits { depth: limits.depth.saturating_sub(1), ..limits };
    text.push_str(open);
    match limits.depth {
        0 => text.push('…'),
        _ => write_items(items, limits, text, |item, text| write(item, inner, text)),
    }
    text.push_str(close);
}

fn write_items<T>(
    items: impl Iterator<Item = T>,
    limits: Limits,
    text: &mut String,
    mut write: impl FnMut(&T, &mut String),
) {
    // All first: what is written allocates, and so may run a finalizer that changes the container.
    let shown: Vec<T> = items.take(limits.items.saturating_add(1)).collect();
    for (at, item) in shown.iter().enumerate() {
        text.push_str(if at > 0 { ", " } else { "" });
        if at == limits.items {
            return text.push('…');
        }
        write(item, text);
    }
}

/// Writes a value as this class of the interpreter's own does.
fn write_repr(kind: &Bound<'_, PyType>, value: &Bound<'_, PyAny>, text: &mut String) {
    // An integer may have more digits than Python writes.
    match kind.call_method1(intern!(kind.py(), "__repr__"), (value,)) {
        Ok(repr) => text.push_str(&repr.to_string()),
        Err(_) => text.push('…'),
    }
}

/// Returns a class's name, past a metaclass that may say something else.
fn class_name(class: &Bound<'_, PyType>) -> String {
    // SAFETY: the class lives, this thread is attached, and what comes back is a new reference or null.
    let name = unsafe {
        let name = ffi::PyType_GetName(class.as_ptr().cast());
        Bound::from_owned_ptr_or_opt(class.py(), name)
    };
    name.map_or_else(|| String::from("?"), |name| key_words(&name))
}
