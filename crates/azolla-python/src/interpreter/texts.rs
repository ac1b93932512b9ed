//! The bytes of texts, of those too that UTF-8 has no place for.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::borrow::Cow;

/// Returns a text's bytes. Lone surrogates are written as UTF-8 would if it allowed them: they all look alike when
/// shown, and yet each is another text.
pub(crate) fn text_bytes<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let py = text.py();
    let arguments = (text, "utf-8", "surrogatepass");
    let bytes = py.get_type::<PyString>().call_method1(intern!(py, "encode"), arguments)?;
    Ok(Cow::Owned(bytes.cast::<PyBytes>()?.as_bytes().to_vec()))
}
