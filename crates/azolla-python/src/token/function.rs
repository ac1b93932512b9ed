//! Hashes functions: their code, and what the code sees besides its arguments.
//!
//! Only what cannot change is remembered: the digest of a code object, and the names that it looks up. A function's
//! defaults, closure, attributes and globals are read again each time.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString, PyTuple};

use super::cache::IdentityCache;
use super::hasher::Tag;
use super::module::Origin;
use super::walk::{Hashed, Miss, Mode, Walk};

/// The parts of a code object that decide what it does. Its file, its lines and how it was specialised do not.
const CODE: &[&str] = &[
    "co_name",
    "co_qualname",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_flags",
    "co_code",
    "co_consts",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_exceptiontable",
];

/// Functions that reach globals without naming them.
const REACH_ANYTHING: &[&str] = &["eval", "exec", "globals"];

/// What is known about a code object.
struct Code {
    digest: u128,
    /// The names are found when they are first needed.
    names: OnceLock<Names>,
}

/// The names that a code object and the code objects nested in it look up elsewhere, each name once, in the order of
/// the code.
#[derive(Default)]
struct Names {
    globals: Vec<Py<PyString>>,
    imports: Vec<Py<PyString>>,
}

static CODES: IdentityCache<Arc<Code>> = IdentityCache::new();
static BUILTINS: IdentityCache<u128> = IdentityCache::new();

impl<'py> Walk<'_, 'py> {
    /// Writes a function written in Python.
    pub(super) fn function(&mut self, function: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        let globals = function.getattr(intern!(py, "__globals__"))?;
        // A subclass of dict may look names up in its own way.
        let globals = globals.cast_into_exact::<PyDict>().map_err(PyErr::from)?;
        let origin = self.origin_of_globals(&globals)?;
        if self.mode == Mode::SortKey && origin.is_none() {
            return self.name_only(function);
        }
        if self.describes && origin.is_none() {
            self.description(function)?;
        }
        let closure = function.getattr(intern!(py, "__closure__"))?;
        let attributes = function
            .getattr(intern!(py, "__dict__"))?
            .cast_into::<PyDict>()
            .map_err(PyErr::from)?;
        // These are the functions that can lead back to themselves.
        if (origin.is_none() || !closure.is_none() || !attributes.is_empty()) && self.met(function)
        {
            return Ok(());
        }
        self.spend_objects(8)?;
        let code = function.getattr(intern!(py, "__code__"))?;
        let facts = self.code_facts(&code)?;
        self.out.tag(Tag::PyFunction);
        self.out.digest(facts.digest);
        self.environment(|walk| {
            walk.value(&function.getattr(intern!(py, "__defaults__"))?)?;
            walk.value(&function.getattr(intern!(py, "__kwdefaults__"))?)?;
            walk.closure(&closure)?;
            walk.dict(Tag::Dict, &attributes)?;
            walk.globals(origin, &globals, &facts, &code)
        })
    }

    /// Writes a function written in C, or a method of an object written in C.
    pub(super) fn builtin(&mut self, builtin: &Bound<'py, PyAny>) -> Hashed {
        if let Some(digest) = BUILTINS.get(builtin) {
            self.out.tag(Tag::Builtin);
            self.out.digest(digest);
            return Ok(());
        }
        let owner = builtin.getattr(intern!(self.py, "__self__"))?;
        let module = builtin.getattr(intern!(self.py, "__module__"))?;
        let name = builtin.getattr(intern!(self.py, "__qualname__"))?;
        if !owner.is_none() && !owner.is_instance_of::<PyModule>() {
            self.out.tag(Tag::Method);
            self.value(&owner)?;
            return self.value(&name);
        }
        if module.is_none() {
            return Err(Miss::Refused(
                "it is a function written in C that does not say where it is from",
            ));
        }
        let mut walk = self.for_constants(Tag::Builtin);
        walk.value(&module)?;
        walk.value(&name)?;
        let digest = walk.out.finish();
        BUILTINS.insert(builtin, digest);
        self.out.tag(Tag::Builtin);
        self.out.digest(digest);
        Ok(())
    }

    /// Writes a code object.
    pub(super) fn code(&mut self, code: &Bound<'py, PyAny>) -> Hashed {
        self.out.tag(Tag::Code);
        self.out.digest(self.code_facts(code)?.digest);
        Ok(())
    }

    /// Returns what is known about a code object. If the code object is new, this finds it out.
    fn code_facts(&self, code: &Bound<'py, PyAny>) -> Hashed<Arc<Code>> {
        if let Some(facts) = CODES.get(code) {
            return Ok(facts);
        }
        let mut walk = self.for_constants(Tag::Code);
        for name in CODE {
            walk.value(&code.getattr(*name)?)?;
        }
        let facts = Arc::new(Code { digest: walk.out.finish(), names: OnceLock::new() });
        CODES.insert(code, facts.clone());
        Ok(facts)
    }

    /// Writes what a function says about itself. That may matter to a call that gets the function as a value. It makes
    /// no difference to calling the function.
    fn description(&mut self, function: &Bound<'py, PyAny>) -> Hashed {
        self.out.tag(Tag::Described);
        for name in ["__name__", "__qualname__", "__module__", "__doc__", "__annotations__"] {
            self.value(&function.getattr(name)?)?;
        }
        Ok(())
    }

    fn closure(&mut self, closure: &Bound<'py, PyAny>) -> Hashed {
        if let Ok(cells) = closure.cast::<PyTuple>() {
            self.out.number(cells.len() as u64);
            return cells.iter_borrowed().try_for_each(|cell| self.nested(|walk| walk.cell(&cell)));
        }
        self.out.number(0);
        Ok(())
    }

    /// Writes what the function finds in its module. For an imported module that is the module's name, otherwise the
    /// values of the globals that the function names.
    fn globals(
        &mut self,
        origin: Option<Origin<'py>>,
        globals: &Bound<'py, PyDict>,
        facts: &Code,
        code: &Bound<'py, PyAny>,
    ) -> Hashed {
        if let Some(origin) = origin {
            self.out.tag(Tag::Importable);
            return self.origin(&origin);
        }
        self.out.tag(Tag::Local);
        // The names themselves are part of the code's digest.
        let names = facts.names(code)?;
        for name in &names.globals {
            match globals.get_item(name)? {
                Some(value) => self.value(&value)?,
                None if REACH_ANYTHING.contains(&name.bind(self.py).to_str()?) => {
                    return Err(Miss::Refused("a function in it may use any global there is"));
                }
                // The name is one of the builtins, or has no value yet.
                None => self.out.tag(Tag::Absent),
            }
        }
        names.imports.iter().try_for_each(|name| self.imports(name.bind(self.py)))
    }
}

impl Code {
    fn names(&self, code: &Bound<'_, PyAny>) -> PyResult<&Names> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let names = names_in(code)?;
        Ok(self.names.get_or_init(|| names))
    }
}

/// Reads the names from the code.
fn names_in(code: &Bound<'_, PyAny>) -> PyResult<Names> {
    let instructions = code.py().import("dis")?.getattr("get_instructions")?;
    let mut names = Names::default();
    let mut seen = HashSet::new();
    let mut codes = vec![code.clone()];
    while let Some(code) = codes.pop() {
        for instruction in instructions.call1((&code,))?.try_iter()? {
            let instruction = instruction?;
            let operation: String = instruction.getattr("opname")?.extract()?;
            let imports = operation == "IMPORT_NAME";
            // LOAD_NAME is how the body of a class reads globals.
            let loads = operation.starts_with("LOAD_")
                && (operation.contains("GLOBAL") || operation.contains("NAME"));
            if !imports && !loads {
                continue;
            }
            let name = instruction.getattr("argval")?.cast_into::<PyString>()?;
            if seen.insert((imports, name.to_str()?.to_owned())) {
                if imports { &mut names.imports } else { &mut names.globals }.push(name.unbind());
            }
        }
        for constant in code.getattr("co_consts")?.try_iter()? {
            let constant = constant?;
            if constant.get_type().is(code.get_type()) {
                codes.push(constant);
            }
        }
    }
    Ok(names)
}
