//! Keys: the names by which tasks are found.
//!
//! A key that the user gives is any hashable Python value of the kinds that Dask allows. A pure task's key ends in the
//! digest of its call, an impure task's key in its id. Both are made when a program asks for them, and understood when
//! a program gives them back.

use crate::interpreter::texts::text_bytes;
use azolla_core::{Key, TaskId};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString, PyTuple};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A key that the user gives, and what it may name.
pub(crate) struct Named<'py> {
    /// The key itself.
    pub(crate) given: Bound<'py, PyAny>,
    /// The engine's key for a task that was submitted under this key.
    pub(crate) key: Key,
    /// The impure task whose id the key ends in, if it ends in one. That task's own key may begin differently.
    pub(crate) ends_in: Option<TaskId>,
}

/// Returns the engine's key for a pure task. All of the Python key counts, also the function's name.
pub(crate) fn pure(function: &[u8], digest: u128) -> Key {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&azolla::runtime::digest(function).to_le_bytes());
    bytes[16..].copy_from_slice(&digest.to_le_bytes());
    Key::from_digest(azolla::runtime::digest(&bytes))
}

/// Returns the end of an impure task's key. It is reversible, and written like a UUID.
pub(crate) fn impure(py: Python<'_>, engine: u32, id: u64) -> String {
    veiled(veil(py, engine), id)
}

/// Returns the same, for the cluster that veils ids with this number.
pub(crate) fn veiled(veil: u128, id: u64) -> String {
    let veiled = veil ^ u128::from(id);
    let text = format!("{veiled:032x}");
    let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
    format!("-{a}-{b}-{c}-{d}-{e}")
}

/// The number that veils the ids in the keys of a cluster's tasks, by the number of the cluster's engine. A thread
/// locks it only while it holds the GIL, so no fork finds it locked.
static VEILS: Mutex<BTreeMap<u32, u128>> = Mutex::new(BTreeMap::new());

/// Sets the number that veils the ids of the cluster whose engine has this number.
pub(crate) fn set_veil(_py: Python<'_>, engine: u32, veil: u128) {
    VEILS.lock().unwrap_or_else(PoisonError::into_inner).insert(engine, veil);
}

fn veil(_py: Python<'_>, engine: u32) -> u128 {
    let veils = VEILS.lock().unwrap_or_else(PoisonError::into_inner);
    veils.get(&engine).copied().unwrap_or_default()
}

/// Understands a key.
///
/// # Errors
/// A `TypeError` that says what keys may be.
pub(crate) fn parse<'py>(given: &Bound<'py, PyAny>, cluster: u128) -> PyResult<Named<'py>> {
    let whole = || digest(given).map(Key::from_digest);
    let (key, ends_in) = match given.cast::<PyString>() {
        Ok(text) => {
            let text = text_bytes(text)?;
            match pure_parts(&text) {
                Some((function, digest)) => (pure(function, digest), None),
                None => (whole()?, impure_id(&text, cluster)),
            }
        }
        Err(_) => (whole()?, None),
    };
    Ok(Named { given: given.clone(), key, ends_in })
}

/// Returns a digest of the key itself. Keys that differ only in their types, as `1` and `"1"` do, have different
/// digests.
pub(crate) fn digest(key: &Bound<'_, PyAny>) -> PyResult<u128> {
    let mut bytes = Vec::new();
    write(key, &mut bytes)?;
    Ok(azolla::runtime::digest(&bytes))
}

/// Splits a pure task's key into the function's name and the digest of the call.
fn pure_parts(key: &[u8]) -> Option<(&[u8], u128)> {
    let (function, digest) = key.split_at_checked(key.len().checked_sub(33)?)?;
    let digest = digest.strip_prefix(b"-")?;
    let hex = digest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let digest = u128::from_str_radix(str::from_utf8(digest).ok()?, 16).ok()?;
    hex.then_some((function, digest))
}

fn impure_id(key: &[u8], cluster: u128) -> Option<TaskId> {
    let uuid = str::from_utf8(key.get(key.len().checked_sub(36)?..)?).ok()?;
    let dashes = [8, 13, 18, 23];
    if !dashes.iter().all(|at| uuid.as_bytes()[*at] == b'-') {
        return None;
    }
    let veiled = u128::from_str_radix(&uuid.replace('-', ""), 16).ok()?;
    TaskId::from_bits(u64::try_from(veiled ^ cluster).ok()?)
}

/// Writes a key so that different keys give different bytes. It needs no stack, however deep a key is nested.
fn write(key: &Bound<'_, PyAny>, bytes: &mut Vec<u8>) -> PyResult<()> {
    let mut todo = Vec::new();
    write_one(key, &mut todo, bytes)?;
    while let Some(key) = todo.pop() {
        write_one(&key, &mut todo, bytes)?;
    }
    Ok(())
}

/// Writes a key, or what a tuple of keys begins with. What comes after that goes into `todo`, the last first.
fn write_one<'py>(
    key: &Bound<'py, PyAny>,
    todo: &mut Vec<Bound<'py, PyAny>>,
    bytes: &mut Vec<u8>,
) -> PyResult<()> {
    let mut tagged = |tag: u8, content: &[u8]| {
        bytes.push(tag);
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(content);
    };
    if let Ok(text) = key.cast::<PyString>() {
        tagged(b's', &text_bytes(text)?);
    } else if let Ok(content) = key.cast::<PyBytes>() {
        tagged(b'b', content.as_bytes());
    } else if key.is_instance_of::<PyInt>() || key.is_instance_of::<PyFloat>() {
        // Equal numbers are equal keys, as in a dictionary: 1, 1.0 and True are the same.
        let whole = key.call_method0("__int__").ok().filter(|whole| whole.eq(key).unwrap_or(false));
        tagged(b'n', whole.as_ref().unwrap_or(key).repr()?.to_string_lossy().as_bytes());
    } else if let Ok(parts) = key.cast::<PyTuple>() {
        tagged(b't', &parts.len().to_le_bytes());
        let first = todo.len();
        todo.extend(parts);
        todo[first..].reverse();
    } else {
        let message = format!(
            "a key is a str, bytes, int, float or a tuple of those, not {}",
            key.get_type().qualname()?
        );
        return Err(pyo3::exceptions::PyTypeError::new_err(message));
    }
    Ok(())
}
