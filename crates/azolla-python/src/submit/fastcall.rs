//! `Client.submit` as Python calls it. The arguments come in an array, and the names of the keyword arguments in a
//! tuple beside it.
//!
//! For a function that takes `**kwargs`, PyO3 has Python make a new tuple and a new dictionary for each call. With
//! `pure=False` that is a tenth of what a task costs. This code makes at once the tuple in which the call is kept. It
//! makes a dictionary only if the user's function gets keyword arguments.

use super::one::{Common, Keys};
use super::options::Options;
use crate::future::handle::Future;
use crate::interpreter::memory;
use crate::session::core::Core;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

const NAME: &CStr = c"submit";

const DOC: &CStr = whole(
    concat!(
        "submit($self, func, *args, key=None, workers=None, resources=None, retries=None, priority=None, ",
        "fifo_timeout=None, allow_other_workers=None, actor=None, actors=None, pure=True, **kwargs)\n--\n\n",
        stub!(Core.submit),
        "\0"
    )
    .as_bytes(),
);

const fn whole(text: &[u8]) -> &CStr {
    match CStr::from_bytes_with_nul(text) {
        Ok(text) => text,
        Err(_) => panic!("a docstring ends in its only zero"),
    }
}

/// Makes `submit` a method of the class.
pub(crate) fn add_submit(core: &Bound<'_, PyType>) -> PyResult<()> {
    // This runs once a process. A method's definition must live as long as the process.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: submit },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: DOC.as_ptr(),
    }));
    // SAFETY: the class and the definition are alive, and the definition describes correctly how `submit` is called.
    // The call returns a new reference, or null with an exception set.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(core.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(core.py(), method)?
    };
    core.setattr("submit", method)
}

/// Python calls this, and has checked that `this` is an instance of the class.
unsafe extern "C" fn submit(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let inside = |py: Python<'_>| {
        // SAFETY: Python's calling convention promises this. All pointers stay valid until the call returns; `count`
        // positional arguments are followed by one argument for each name; `names` is null or a tuple of texts.
        let submitted = catch_unwind(AssertUnwindSafe(|| unsafe {
            let this = Borrowed::from_ptr(py, this);
            let names = Borrowed::from_ptr_or_opt(py, names);
            let named = names.map_or(Ok(0), |names| names.len())?;
            let all = match count as usize + named {
                0 => &[],
                all => std::slice::from_raw_parts(arguments, all),
            };
            let all = all.iter().map(|argument| Borrowed::from_ptr(py, *argument).to_owned());
            memory::guarded(py, || call(&this, all, count as usize, names.as_deref()))
        }));
        let submitted = submitted.unwrap_or_else(|panic| {
            let said = memory::said(&*panic).unwrap_or("submit() has panicked");
            Err(PanicException::new_err((said.to_owned(),)))
        });
        submitted.map_or_else(
            |error| {
                error.restore(py);
                ptr::null_mut()
            },
            |future| future.into_ptr(),
        )
    };
    // SAFETY: Python has called this function, so this thread has the GIL. That is also true while the interpreter
    // ends: a finalizer may then lead here, and `attach` would refuse.
    unsafe { Python::attach_unchecked(inside) }
}

/// Submits a call. `arguments` are `count` positional arguments, then the keyword arguments.
fn call<'py>(
    this: &Bound<'py, PyAny>,
    mut arguments: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
    count: usize,
    names: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Future>> {
    let py = this.py();
    let mut whole = PyTuple::new(py, arguments.by_ref().take(count))?;
    let (mut options, mut kwargs) = (Options::default(), None);
    if let Some(names) = names {
        for (name, value) in names.cast::<PyTuple>()?.iter_borrowed().zip(arguments) {
            let name = &*name.cast()?;
            if let Some(value) = options.take(name, value)? {
                kwargs.get_or_insert_with(|| PyDict::new(py)).set_item(name, value)?;
            }
        }
    }
    if let Some(given) = &kwargs
        && let Some(func) = given.get_item(intern!(py, "func"))?
    {
        if count > 0 {
            let message = "submit() got multiple values for argument 'func'";
            return Err(PyTypeError::new_err(message));
        }
        given.del_item(intern!(py, "func"))?;
        kwargs = kwargs.filter(|rest| !rest.is_empty());
        whole = PyTuple::new(py, [func])?;
    }
    let Ok(func) = whole.get_item(0) else {
        return Err(PyTypeError::new_err("submit() takes a function first"));
    };
    let keys = if options.key.is_some() { Keys::Given } else { Keys::Made };
    let shared = this.cast::<Core>()?.get().shared()?;
    Common::new(shared, "submit", &func, &options, keys)?.submit(
        whole,
        kwargs,
        options.key.as_ref(),
    )
}
