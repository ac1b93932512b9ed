//! Hashes by name: modules, and the objects that can be found again in a module.
//!
//! A name is good as long as the module is the one that was imported. When a module is reloaded or imported anew, its
//! specification is another object, and the name stands for something else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString};
use rustc_hash::FxBuildHasher;

use super::hasher::Tag;
use super::walk::{Hashed, Miss, Walk};

/// An imported module: its name, and how many times this process has seen it replaced.
pub(super) struct Origin<'py> {
    name: Bound<'py, PyString>,
    generation: u64,
}

impl<'py> Walk<'_, 'py> {
    /// Writes a module by its name.
    pub(super) fn module(&mut self, module: &Bound<'py, PyModule>) -> Hashed {
        let origin = self.origin_of_globals(&module.dict())?;
        let origin =
            origin.ok_or(Miss::Refused("it refers to a module that cannot be imported"))?;
        self.out.tag(Tag::Module);
        self.origin(&origin)
    }

    /// Writes the module that something comes from.
    pub(super) fn origin(&mut self, origin: &Origin<'py>) -> Hashed {
        self.out.number(origin.generation);
        self.text(&origin.name)
    }

    /// Writes how many times this process has seen a module replaced that a function imports. It does not count whether
    /// the module is loaded yet, since the first call loads it.
    pub(super) fn imports(&mut self, name: &Bound<'py, PyString>) -> Hashed {
        if is_program(name) {
            return Err(Miss::Refused("a function in it may use any global there is"));
        }
        let origin = match self.imported(name)? {
            Some(module) => self.origin_of_globals(&module.dict())?,
            None => None,
        };
        self.out.number(origin.map_or(0, |origin| origin.generation));
        Ok(())
    }

    /// Returns the module that has these globals, if it is imported and not the program itself.
    pub(super) fn origin_of_globals(
        &self,
        globals: &Bound<'py, PyDict>,
    ) -> Hashed<Option<Origin<'py>>> {
        let Some(name) = globals.get_item(intern!(self.py, "__name__"))? else { return Ok(None) };
        let Ok(name) = name.cast_into_exact::<PyString>() else { return Ok(None) };
        match self.imported(&name)? {
            Some(module) if module.dict().is(globals) => self.origin_of_module(name, globals),
            _ => Ok(None),
        }
    }

    /// Returns the module of this name, if it is imported and the dotted name `path` leads in it to this same object.
    pub(super) fn origin_of_name(
        &self,
        object: &Bound<'py, PyAny>,
        module: &Bound<'py, PyAny>,
        path: &str,
    ) -> Hashed<Option<Origin<'py>>> {
        if path.contains("<locals>") {
            return Ok(None);
        }
        let Ok(name) = module.cast_exact::<PyString>() else { return Ok(None) };
        let Some(module) = self.imported(name)? else { return Ok(None) };
        let mut found = module.clone().into_any();
        for part in path.split('.') {
            found = match found.getattr(part) {
                Ok(found) => found,
                Err(error) => return self.absent(error),
            };
        }
        if !found.is(object) {
            return Ok(None);
        }
        self.origin_of_module(name.clone(), &module.dict())
    }

    /// Returns the module of this name, unless it is the program. The program's name does not tell what the program
    /// consists of.
    fn imported(&self, name: &Bound<'py, PyString>) -> Hashed<Option<Bound<'py, PyModule>>> {
        if is_program(name) {
            return Ok(None);
        }
        let module = self.known.modules(self.py).get_item(name)?;
        Ok(module.and_then(|module| module.cast_into::<PyModule>().ok()))
    }

    fn origin_of_module(
        &self,
        name: Bound<'py, PyString>,
        globals: &Bound<'py, PyDict>,
    ) -> Hashed<Option<Origin<'py>>> {
        match globals.get_item(intern!(self.py, "__spec__"))? {
            Some(spec) if !spec.is_none() => {
                let generation = generation(name.to_str()?, &spec);
                Ok(Some(Origin { name, generation }))
            }
            // The module was made by hand. The code that made it can make another of the same name.
            _ => Ok(None),
        }
    }
}

/// Returns true if this is the name of the program or notebook itself. There a name may come to mean something else.
fn is_program(name: &Bound<'_, PyString>) -> bool {
    matches!(name.to_str(), Err(_) | Ok("__main__" | "__mp_main__"))
}

/// The specification that was last seen of each module, and the number of those that were seen before.
static GENERATIONS: Mutex<HashMap<String, (Py<PyAny>, u64), FxBuildHasher>> =
    Mutex::new(HashMap::with_hasher(FxBuildHasher));

/// Returns how many times this process has seen the module of this name replaced.
fn generation(name: &str, spec: &Bound<'_, PyAny>) -> u64 {
    let mut generations = GENERATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let (generation, replaced) = match generations.get_mut(name) {
        Some((seen, generation)) if seen.is(spec) => (*generation, None),
        Some((seen, generation)) => {
            *generation += 1;
            (*generation, Some(std::mem::replace(seen, spec.clone().unbind())))
        }
        None => {
            generations.insert(name.to_owned(), (spec.clone().unbind(), 0));
            (0, None)
        }
    };
    // Dropping a Python object may run Python code, so the lock is freed first.
    drop(generations);
    drop(replaced);
    generation
}
