//! placeholder
use pyo3::prelude::*;
#[pyclass(frozen, module = "azolla._azolla")]
pub(crate) struct Input { number: usize }
impl Input { pub(crate) fn new(number: usize) -> Self { Self { number } } }
