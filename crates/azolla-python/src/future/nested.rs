//! One walk over containers: it finds the futures in them, and makes copies with something else in their places.
//!
//! `container.rs` says what is looked into. The walk visits each object once, so what is shared in a value is shared in
//! its copy, and what leads back to itself does so there. It needs no stack, however deep a value is, and sees Ctrl-C.

use super::container::{Change, Kind, Part, is_plain};
use super::handle::Future;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rustc_hash::FxHashMap;
use std::vec::IntoIter;

/// What a future is replaced by; `None` drops it from lists, and leaves None elsewhere.
type Replace<'a, 'py> = dyn FnMut(&Bound<'py, Future>) -> PyResult<Option<Bound<'py, PyAny>>> + 'a;

/// How many objects the walk passes between two looks for Ctrl-C.
const SIGNALS_EVERY: u32 = 4096;

/// Returns a copy of `value`, with its futures replaced by what `by` says.
pub(crate) fn copied<'py>(
    value: &Bound<'py, PyAny>,
    by: &mut Replace<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let copy = Walk::copying(by).value(value)?;
    Ok(copy.unwrap_or_else(|| py_none(value)))
}

/// Returns a copy of `value` with the same futures in it.
pub(crate) fn copied_as_it_is<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    copied(value, &mut |future| Ok(Some(future.clone().into_any())))
}

/// Calls `each` with the futures in `value`, and copies nothing.
pub(crate) fn futures_in<'py>(
    value: &Bound<'py, PyAny>,
    mut each: impl FnMut(&Bound<'py, Future>) -> PyResult<()>,
) -> PyResult<()> {
    let mut by = |future: &Bound<'py, Future>| {
        each(future)?;
        Ok(Some(future.clone().into_any()))
    };
    Walk { copies: false, ..Walk::copying(&mut by) }.value(value).map(drop)
}

/// A walk over one value, or over several that may share what is in them.
pub(crate) struct Walk<'a, 'py> {
    by: &'a mut Replace<'a, 'py>,
    copies: bool,
    /// The containers met, by their places in memory, each with what stands for it.
    met: FxHashMap<usize, (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    futures: usize,
    steps: u32,
}

/// A container that the walk is in.
struct Inside<'py> {
    object: Bound<'py, PyAny>,
    kind: Kind<'py>,
    /// What stands for the object, unless it is made at the end.
    shell: Option<Bound<'py, PyAny>>,
    /// Why it could not be copied.
    refused: Option<PyErr>,
    /// How many futures the walk had met before.
    futures: usize,
    parts: IntoIter<Part<'py>>,
    /// Where the part is that the walk has gone into.
    at: Option<Part<'py>>,
    changes: Vec<Change<'py>>,
}

/// What the walk meets.
enum Met<'py> {
    /// This stands for it.
    Known(Option<Bound<'py, PyAny>>),
    Container(Inside<'py>),
}

impl<'a, 'py> Walk<'a, 'py> {
    pub(crate) fn copying(by: &'a mut Replace<'_, 'py>) -> Self {
        Self { by, copies: true, met: FxHashMap::default(), futures: 0, steps: 0 }
    }

    /// Returns what stands for `value`: the value itself if nothing in it is a container that changes, or a future.
    pub(crate) fn value(
        &mut self,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut outer = Vec::new();
        let mut inside = match self.meet(value)? {
            Met::Known(new) => return Ok(new),
            Met::Container(inside) => inside,
        };
        loop {
            let Some((place, item)) = inside.parts.next() else {
                let made = self.leave(inside)?;
                inside = match outer.pop() {
                    Some(parent) => parent,
                    None => return Ok(Some(made)),
                };
                inside.put(Some(made));
                continue;
            };
            let met = self.meet(&item)?;
            inside.at = Some((place, item));
            match met {
                Met::Known(new) => inside.put(new),
                Met::Container(child) => outer.push(std::mem::replace(&mut inside, child)),
            }
        }
    }

    fn meet(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Met<'py>> {
        if is_plain(value) {
            return Ok(Met::Known(Some(value.clone())));
        }
        if let Ok(future) = value.cast::<Future>() {
            self.futures += 1;
            return (self.by)(future).map(Met::Known);
        }
        if let Some((_, known)) = self.met.get(&value.as_ptr().addr()) {
            return Ok(Met::Known(Some(known.clone())));
        }
        match Kind::of(value)? {
            Some(kind) => self.enter(value, kind),
            None => Ok(Met::Known(Some(value.clone()))),
        }
    }

    fn enter(&mut self, object: &Bound<'py, PyAny>, kind: Kind<'py>) -> PyResult<Met<'py>> {
        let py = object.py();
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(SIGNALS_EVERY) {
            py.check_signals()?;
        }
        let (shell, refused) = match self.copies {
            true => match kind.shell(object) {
                Ok(shell) => (shell, None),
                Err(error) if error.is_instance_of::<PyException>(py) => (None, Some(error)),
                Err(error) => return Err(error),
            },
            false => (None, None),
        };
        let stands = if self.copies && refused.is_none() { shell.as_ref() } else { Some(object) };
        if let Some(stands) = stands {
            self.met.insert(object.as_ptr().addr(), (object.clone(), stands.clone()));
        }
        let parts = kind.parts(shell.as_ref().unwrap_or(object))?;
        if parts.is_empty() && !kind.is_fixed() {
            return Ok(Met::Known(stands.cloned()));
        } else if parts.is_empty() && shell.is_none() {
            return Ok(Met::Known(Some(object.clone())));
        }
        let (object, futures, parts) = (object.clone(), self.futures, parts.into_iter());
        let changes = Vec::new();
        Ok(Met::Container(Inside {
            object,
            kind,
            shell,
            refused,
            futures,
            parts,
            at: None,
            changes,
        }))
    }

    /// Returns what stands for a container whose parts have all been met.
    fn leave(&mut self, inside: Inside<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Inside { object, kind, shell, refused, futures, changes, .. } = inside;
        let place = object.as_ptr().addr();
        match (shell, refused) {
            (_, Some(error)) if self.futures > futures => {
                let class = object.get_type().qualname()?;
                let message = format!("a {class} holds futures, and cannot be copied: {error}");
                let wrong = PyTypeError::new_err(message);
                wrong.set_cause(object.py(), Some(error));
                Err(wrong)
            }
            (_, Some(_)) => Ok(object),
            (Some(_), None) if changes.is_empty() && kind.is_fixed() => {
                self.met.insert(place, (object.clone(), object.clone()));
                Ok(object)
            }
            (Some(shell), None) => kind.change(&shell, changes).map(|()| shell),
            (None, None) => {
                // What is in a tuple may have led back to it, and so have had it made already.
                if let Some((_, made)) = self.met.get(&place) {
                    return Ok(made.clone());
                }
                let made = match changes.is_empty() {
                    true => object.clone(),
                    false => kind.made(&object, changes)?,
                };
                self.met.insert(place, (object, made.clone()));
                Ok(made)
            }
        }
    }

    /// Returns a tuple with what stands for its items, but for the first, which is a call's function. `None`: it is the
    /// same.
    pub(crate) fn call(
        &mut self,
        call: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let mut items: Option<Vec<_>> = None;
        for (index, item) in call.iter_borrowed().enumerate().skip(1) {
            if is_plain(&item) {
                continue;
            }
            let new = self.value(&item)?.unwrap_or_else(|| py_none(&item));
            if !new.is(item) {
                items.get_or_insert_with(|| call.iter().collect())[index] = new;
            }
        }
        items.map(|items| PyTuple::new(call.py(), items)).transpose()
    }

    /// Returns keywords with what stands for their values. `None`: they are the same.
    pub(crate) fn keywords(
        &mut self,
        keywords: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let mut changed = None;
        for (name, item) in keywords {
            if is_plain(&item) {
                continue;
            }
            let new = self.value(&item)?.unwrap_or_else(|| py_none(&item));
            if !new.is(&item) {
                let changed = match &changed {
                    Some(changed) => changed,
                    None => changed.insert(keywords.copy()?),
                };
                changed.set_item(name, new)?;
            }
        }
        Ok(changed)
    }
}

impl<'py> Inside<'py> {
    /// Notes what stands for the part that the walk has gone into.
    fn put(&mut self, new: Option<Bound<'py, PyAny>>) {
        let Some((place, old)) = self.at.take() else { return };
        if new.as_ref().is_none_or(|new| !new.is(&old)) {
            self.changes.push((place, new));
        }
    }
}

fn py_none<'py>(like: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    like.py().None().into_bound(like.py())
}
