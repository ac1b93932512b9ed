//! How the builder of tasks submits: options apart from the arguments of the call. `azolla/_client/task.py` is what users see.

use crate::future::handle::Future;
use crate::interpreter::memory;
use crate::session::core::Core;
use crate::submit::map::map;
use crate::submit::one::{Common, Keys};
use crate::submit::options::Options;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

#[doc = stub!(check_options)]
#[pyfunction]
pub(crate) fn check_options(options: &Bound<'_, PyDict>) -> PyResult<()> {
    Options::of(options)?.check()
}

#[doc = stub!(submit_as)]
#[pyfunction]
pub(crate) fn submit_as<'py>(
    client: &Bound<'py, Core>,
    options: &Bound<'py, PyDict>,
    whole: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, Future>> {
    let py = client.py();
    let options = Options::of(options)?;
    let keys = if options.key.is_some() { Keys::Given } else { Keys::Made };
    let func = whole.get_item(0)?;
    let shared = client.get().shared()?;
    memory::guarded(py, || {
        // The engine keeps a tuple to which nothing else refers.
        let own = PyTuple::new(py, whole.iter())?;
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        let common = Common::new(shared, "submit", &func, &options, keys)?;
        common.submit(own, kwargs, options.key.as_ref())
    })
}

#[doc = stub!(map_as)]
#[pyfunction]
pub(crate) fn map_as<'py>(
    client: &Bound<'py, Core>,
    options: &Bound<'py, PyDict>,
    func: &Bound<'py, PyAny>,
    iterables: &Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    let (py, options) = (client.py(), Options::of(options)?);
    let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
    let shared = client.get().shared()?;
    memory::guarded(py, || PyList::new(py, map(shared, func, iterables, kwargs, &options)?))
}
