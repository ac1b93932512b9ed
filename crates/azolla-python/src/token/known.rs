//! The types and functions of Python that hashing knows. They are looked up once per process.

use std::collections::HashMap;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};
use rustc_hash::FxBuildHasher;

use super::hasher::Tag;

/// How an object of a known exact type is hashed.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// There is one such object, and its tag says all about it.
    Singleton(Tag),
    /// By the values of its attributes, in this order.
    Attributes(Tag, &'static [&'static str]),
    Set(Tag),
    Proxy,
    ByteArray,
    MemoryView,
    Buffer,
    Complex,
    Path,
    Builtin,
    Code,
    Cell,
    Module,
    /// It has no value but its identity. Next time another object may be at its address.
    Identity,
}

impl Kind {
    /// Returns true if the compiler makes constants of this kind.
    pub(super) fn is_constant(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Singleton(_) | Complex | Code | Set(Tag::FrozenSet) | Attributes(Tag::Slice, _)
        )
    }
}

/// The known types: where to find each, and how its objects are hashed.
const KINDS: &[(&str, &str, Kind)] = {
    use Kind::*;
    const DESCRIBED: Kind = Attributes(Tag::Descriptor, &["__objclass__", "__name__"]);
    &[
        ("types", "EllipsisType", Singleton(Tag::Ellipsis)),
        ("types", "NotImplementedType", Singleton(Tag::NotImplemented)),
        ("builtins", "complex", Complex),
        ("builtins", "set", Set(Tag::Set)),
        ("builtins", "frozenset", Set(Tag::FrozenSet)),
        ("builtins", "bytearray", ByteArray),
        ("builtins", "memoryview", MemoryView),
        ("pickle", "PickleBuffer", Buffer),
        ("types", "MappingProxyType", Proxy),
        ("builtins", "slice", Attributes(Tag::Slice, &["start", "stop", "step"])),
        ("builtins", "range", Attributes(Tag::Range, &["start", "stop", "step"])),
        ("builtins", "object", Identity),
        ("types", "BuiltinFunctionType", Builtin),
        ("types", "MethodType", Attributes(Tag::Method, &["__func__", "__self__"])),
        ("types", "MethodWrapperType", Attributes(Tag::MethodWrapper, &["__name__", "__self__"])),
        ("types", "WrapperDescriptorType", DESCRIBED),
        ("types", "MethodDescriptorType", DESCRIBED),
        ("types", "ClassMethodDescriptorType", DESCRIBED),
        ("types", "GetSetDescriptorType", DESCRIBED),
        ("types", "MemberDescriptorType", DESCRIBED),
        (
            "functools",
            "partial",
            Attributes(Tag::Partial, &["func", "args", "keywords", "__dict__"]),
        ),
        // A call changes the cache, but not what the function returns. The function and the limits of the cache are
        // attributes.
        ("functools", "_lru_cache_wrapper", Attributes(Tag::Cached, &["__dict__"])),
        // It holds a lock, which cannot be pickled.
        ("functools", "cached_property", Attributes(Tag::CachedProperty, &["func", "attrname"])),
        ("builtins", "property", Attributes(Tag::Property, &["fget", "fset", "fdel"])),
        ("builtins", "staticmethod", Attributes(Tag::StaticMethod, &["__func__"])),
        ("builtins", "classmethod", Attributes(Tag::ClassMethod, &["__func__"])),
        // Pickling writes only its name, which says nothing about a type variable of a notebook.
        (
            "typing",
            "TypeVar",
            Attributes(
                Tag::TypeVariable,
                &["__name__", "__bound__", "__constraints__", "__covariant__", "__contravariant__"],
            ),
        ),
        ("types", "CodeType", Code),
        ("types", "CellType", Cell),
        ("types", "ModuleType", Module),
        ("pathlib", "PosixPath", Path),
        ("pathlib", "WindowsPath", Path),
        ("pathlib", "PurePosixPath", Path),
        ("pathlib", "PureWindowsPath", Path),
    ]
};

/// A known type.
pub(super) struct Sight {
    pub(super) kind: Kind,
    /// The names in `Kind::Attributes`, as Python has them.
    pub(super) attributes: Vec<Py<PyString>>,
    /// The type itself. It stays alive, so that no other object can be at its address.
    _ty: Py<PyAny>,
}

/// What hashing knows.
pub(super) struct Known {
    by_type: HashMap<usize, Sight, FxBuildHasher>,
    function: Py<PyAny>,
    new_object: Py<PyAny>,
    dispatch_table: Py<PyDict>,
    modules: Py<PyDict>,
    numpy: PyOnceLock<Numpy>,
}

/// The part of NumPy that matters here.
pub(super) struct Numpy {
    pub(super) module: Py<PyAny>,
    pub(super) array: Py<PyAny>,
    pub(super) scalar: Py<PyType>,
}

static KNOWN: PyOnceLock<Known> = PyOnceLock::new();

impl Known {
    /// Returns the table of this process. The first call makes it.
    #[inline]
    pub(super) fn of(py: Python<'_>) -> PyResult<&'static Known> {
        match KNOWN.get(py) {
            Some(known) => Ok(known),
            None => KNOWN.get_or_try_init(py, || Known::find(py)),
        }
    }

    fn find(py: Python<'_>) -> PyResult<Known> {
        let mut by_type = HashMap::default();
        for (module, name, kind) in KINDS {
            let ty = py.import(*module)?.getattr(*name)?;
            let attributes = match kind {
                Kind::Attributes(_, names) => {
                    names.iter().map(|name| PyString::intern(py, name).unbind()).collect()
                }
                _ => Vec::new(),
            };
            by_type
                .insert(ty.as_ptr() as usize, Sight { kind: *kind, attributes, _ty: ty.unbind() });
        }
        let copyreg = py.import("copyreg")?;
        Ok(Known {
            by_type,
            function: py.import("types")?.getattr("FunctionType")?.unbind(),
            new_object: copyreg.getattr("__newobj__")?.unbind(),
            dispatch_table: copyreg.getattr("dispatch_table")?.cast_into::<PyDict>()?.unbind(),
            modules: py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind(),
            numpy: PyOnceLock::new(),
        })
    }

    /// Returns how an object of this exact type is hashed, if the type is known.
    #[inline]
    pub(super) fn sight(&self, object: &Bound<'_, PyAny>) -> Option<&Sight> {
        self.by_type.get(&(object.get_type_ptr() as usize))
    }

    /// Returns true if this is a function written in Python.
    #[inline]
    pub(super) fn is_function(&self, object: &Bound<'_, PyAny>) -> bool {
        std::ptr::eq(object.get_type_ptr().cast(), self.function.as_ptr())
    }

    /// Returns true if this is the function with which pickling makes most objects.
    pub(super) fn is_new_object(&self, object: &Bound<'_, PyAny>) -> bool {
        object.is(&self.new_object)
    }

    /// Returns the function that pickles objects of this type, if one was registered from outside the type.
    pub(super) fn reducer<'py>(
        &self,
        ty: &Bound<'py, PyType>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.dispatch_table.bind(ty.py()).get_item(ty)
    }

    /// Returns `sys.modules`.
    #[inline]
    pub(super) fn modules<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.modules.bind(py)
    }

    /// Returns NumPy, if the program has loaded it. Otherwise there are no arrays.
    pub(super) fn numpy(&self, py: Python<'_>) -> PyResult<Option<&Numpy>> {
        if let Some(numpy) = self.numpy.get(py) {
            return Ok(Some(numpy));
        }
        let Some(module) = self.modules(py).get_item(intern!(py, "numpy"))? else {
            return Ok(None);
        };
        // While NumPy is being imported it does not have these yet. The next call looks again.
        let (Ok(array), Ok(scalar)) = (module.getattr("ndarray"), module.getattr("generic")) else {
            return Ok(None);
        };
        let scalar = scalar.cast_into::<PyType>()?.unbind();
        let numpy = Numpy { module: module.unbind(), array: array.unbind(), scalar };
        Ok(Some(self.numpy.get_or_init(py, || numpy)))
    }
}
