//! One walk over containers: it finds the futures in them, and makes copies with something else in their places.
//!
//! `container.rs` says what is looked into. The walk visits each object once, so what is shared in a value is shared in
//! its copy, and what leads back to itself does so there. It needs no stack, however deep a value is, and sees Ctrl-C.

use super::callable::{is_bound, is_function, is_partial};
use super::container::{Change, Kind, Part};
use super::handle::Future;
use super::plain::leaf;
use crate::interpreter::gil::Steps;
use crate::interpreter::plain::is_plain;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use rustc_hash::FxHashMap;
use std::vec::IntoIter;

/// What a future is replaced by; `None` drops it from lists, and leaves None elsewhere.
type Replace<'a, 'py> = dyn FnMut(&Bound<'py, Future>) -> PyResult<Option<Bound<'py, PyAny>>> + 'a;

/// What a walk is for.
#[derive(Clone, Copy, PartialEq)]
enum For {
    /// It finds futures, and copies nothing.
    Finding,
    /// It copies a value, as `gather` does. Futures that are keys of dictionaries stay, as with Dask.
    Value,
    /// It copies the arguments of a call, when the call is submitted.
    Submit,
    /// It copies them again, for one run.
    Run,
    /// It copies what a callable holds, at the submit or for a run.
    Callable,
}

/// Returns a copy of `value`, with its futures replaced by what `by` says.
pub(crate) fn copied<'py>(
    value: &Bound<'py, PyAny>,
    by: &mut Replace<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let copy = Walk::new(by, For::Value).value(value)?;
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
    Walk::new(&mut by, For::Finding).value(value).map(drop)
}

/// A walk over one value, or over several that may share what is in them.
pub(crate) struct Walk<'a, 'py> {
    by: &'a mut Replace<'a, 'py>,
    purpose: For,
    /// The objects of bound methods are copied.
    methods: bool,
    /// Classes are asked how their objects are copied.
    asks: bool,
    /// Some container could not be copied.
    refused: bool,
    /// The containers met, by their places in memory, each with what stands for it.
    met: FxHashMap<usize, (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    futures: usize,
    steps: Steps,
}

/// What becomes of the function of a call.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    Stays,
    /// What it holds is copied. `methods`: see `Walk::function`.
    Taken {
        methods: bool,
    },
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
    /// The keys were met too.
    has_keys: bool,
    /// How many references a part has that is nowhere else; 0: that is not known.
    unshared: isize,
    /// Where the part is that the walk has gone into.
    at: Option<Part<'py>>,
    changes: Vec<Change<'py>>,
}

/// What the walk meets.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, and a box would be an allocation for each container"
)]
enum Met<'py> {
    /// This stands for it.
    Known(Option<Bound<'py, PyAny>>),
    Container(Inside<'py>),
}

impl<'a, 'py> Walk<'a, 'py> {
    fn new(by: &'a mut Replace<'_, 'py>, purpose: For) -> Self {
        let (met, refused) = (FxHashMap::default(), false);
        Self {
            by,
            purpose,
            methods: false,
            asks: true,
            refused,
            met,
            futures: 0,
            steps: Steps::default(),
        }
    }

    /// A walk over the arguments of a call that is submitted.
    pub(crate) fn at_submit(by: &'a mut Replace<'_, 'py>) -> Self {
        Self::new(by, For::Submit)
    }

    /// A walk over the arguments that the task keeps, for one run. Classes were asked how at the submit, and so are only
    /// asked again if `asks`.
    pub(crate) fn for_run(by: &'a mut Replace<'_, 'py>, asks: bool) -> Self {
        Self { asks, ..Self::new(by, For::Run) }
    }

    /// Returns true if some container could not be copied.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }

    /// Returns what stands for the function of a call. If `methods`, the container that a method is bound to is
    /// copied too. `None`: it stands for itself.
    pub(crate) fn function(
        &mut self,
        function: &Bound<'py, PyAny>,
        methods: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if is_function(function)? || !(is_partial(function)? || methods && is_bound(function)?) {
            return Ok(None);
        }
        let made = self.callable(function, methods)?;
        Ok(Some(made).filter(|made| !made.is(function)))
    }

    /// Copies what a callable holds, with the same futures in it.
    fn callable(
        &mut self,
        callable: &Bound<'py, PyAny>,
        methods: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut by = |future: &Bound<'py, Future>| Ok(Some(future.clone().into_any()));
        let walk = Walk::new(&mut by, For::Callable);
        let mut walk = Walk { methods, asks: self.asks, ..walk };
        let made = walk.value(callable)?;
        self.refused |= walk.refused;
        Ok(made.unwrap_or_else(|| py_none(callable)))
    }

    /// Returns what stands for `value`: the value itself if nothing in it is a container that changes, or a future.
    pub(crate) fn value(
        &mut self,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut outer = Vec::new();
        let mut inside = match self.meet(value, false)? {
            Met::Known(new) => return Ok(new),
            Met::Container(inside) => inside,
        };
        loop {
            let Some((place, item)) = inside.parts.next() else {
                if self.takes_keys(&mut inside)? {
                    continue;
                }
                let made = self.leave(inside)?;
                inside = match outer.pop() {
                    Some(parent) => parent,
                    None => return Ok(Some(made)),
                };
                inside.put(Some(made));
                continue;
            };
            // SAFETY: the object is alive, and the GIL is held.
            let is_once = unsafe { ffi::Py_REFCNT(item.as_ptr()) } == inside.unshared;
            let met = self.meet(&item, is_once)?;
            inside.at = Some((place, item));
            match met {
                Met::Known(new) => inside.put(new),
                Met::Container(child) => outer.push(std::mem::replace(&mut inside, child)),
            }
        }
    }

    /// Goes on with the keys of a dictionary in a call if its values hold futures, as Dask does.
    fn takes_keys(&self, inside: &mut Inside<'py>) -> PyResult<bool> {
        let in_call = matches!(self.purpose, For::Submit | For::Run);
        if inside.has_keys || !in_call || self.futures == inside.futures {
            return Ok(false);
        }
        inside.has_keys = true;
        let whole = inside.shell.as_ref().unwrap_or(&inside.object);
        inside.parts = inside.kind.keys(whole)?.into_iter();
        Ok(true)
    }

    /// Meets an object. One that is in a single place is not met again, so it need not be remembered.
    fn meet(&mut self, value: &Bound<'py, PyAny>, is_once: bool) -> PyResult<Met<'py>> {
        if is_plain(value) {
            return Ok(Met::Known(Some(value.clone())));
        }
        if let Ok(future) = value.cast::<Future>() {
            self.futures += 1;
            return (self.by)(future).map(Met::Known);
        }
        if !is_once && let Some((_, known)) = self.met.get(&value.as_ptr().addr()) {
            return Ok(Met::Known(Some(known.clone())));
        }
        self.steps.step(value.py())?;
        if let Some(new) = leaf(value, self.purpose != For::Finding)? {
            if !is_once && !new.is(value) {
                self.met.insert(value.as_ptr().addr(), (value.clone(), new.clone()));
            }
            return Ok(Met::Known(Some(new)));
        }
        if let Some(kind) = Kind::of(value)? {
            return self.enter(value, kind);
        }
        match self.purpose {
            For::Callable => {
                if let Some(kind) = Kind::of_callable(value, self.methods)? {
                    return self.enter(value, kind);
                }
            }
            For::Submit | For::Run if is_partial(value)? => {
                let made = self.callable(value, false)?;
                self.met.insert(value.as_ptr().addr(), (value.clone(), made.clone()));
                return Ok(Met::Known(Some(made)));
            }
            _ => {}
        }
        Ok(Met::Known(Some(value.clone())))
    }

    fn enter(&mut self, object: &Bound<'py, PyAny>, kind: Kind<'py>) -> PyResult<Met<'py>> {
        let py = object.py();
        let copies = self.purpose != For::Finding;
        let (shell, refused) = match copies {
            true => match kind.shell(object, self.asks) {
                Ok(shell) => (shell, None),
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    self.refused = true;
                    (None, Some(error))
                }
                Err(error) => return Err(error),
            },
            false => (None, None),
        };
        let stands = if copies && refused.is_none() { shell.as_ref() } else { Some(object) };
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
        // The object holds a part once, and so do its shell and the list of parts.
        let unshared = match object.is_exact_instance_of::<PyList>()
            || object.is_exact_instance_of::<PyDict>()
            || object.is_exact_instance_of::<PyTuple>()
        {
            true => 2 + isize::from(shell.is_some()),
            false => 0,
        };
        let changes = Vec::new();
        Ok(Met::Container(Inside {
            object,
            kind,
            shell,
            refused,
            futures,
            parts,
            has_keys: false,
            unshared,
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

    /// Returns a tuple with what stands for its items, of which the first is a call's function. `None`: it is the same.
    pub(crate) fn call(
        &mut self,
        call: &Bound<'py, PyTuple>,
        function: Function,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let mut items: Option<Vec<_>> = None;
        if let Function::Taken { methods } = function
            && let Some(new) = self.function(&call.get_item(0)?, methods)?
        {
            items.get_or_insert_with(|| call.iter().collect())[0] = new;
        }
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
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (mut changed, Some(keywords)) = (None, keywords) else { return Ok(None) };
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
            self.changes.push((place, old, new));
        }
    }
}

fn py_none<'py>(like: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    like.py().None().into_bound(like.py())
}
