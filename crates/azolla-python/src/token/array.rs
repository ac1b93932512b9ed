//! Hashes objects that hold their data as one block of memory: NumPy's arrays and scalars, and memory views.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySlice, PyString, PyType};

use super::hasher::Tag;
use super::walk::{Hashed, Walk};

/// The kinds of NumPy's types for which the memory is the value, and the type's name says all about the type.
const PLAIN: &str = "biufcmMSU";

/// Memory goes to the hasher in pieces of this size.
const PIECE: usize = 1 << 16;

impl<'py> Walk<'_, 'py> {
    /// Writes one of NumPy's arrays or scalars. Returns false if the object is neither.
    pub(super) fn numeric(&mut self, object: &Bound<'py, PyAny>) -> Hashed<bool> {
        let py = self.py;
        let Some(numpy) = self.known.numpy(py)? else { return Ok(false) };
        let class = object.get_type();
        if class.is(&numpy.array) {
            self.array(object)
        } else if object.is_instance(numpy.array.bind(py))? {
            self.derived(object, &class)
        } else if object.is_instance(numpy.scalar.bind(py))? {
            self.scalar(object)
        } else {
            Ok(false)
        }
    }

    /// Writes an array of a derived class: with what its class has put beside the elements.
    fn derived(&mut self, array: &Bound<'py, PyAny>, class: &Bound<'py, PyType>) -> Hashed<bool> {
        self.out.tag(Tag::Derived);
        self.class(class)?;
        self.state(array)?;
        self.layout(array)?;
        let reduce = intern!(self.py, "__reduce__");
        let numpy = self.known.numpy(self.py)?.map(|numpy| numpy.array.bind(self.py));
        let own =
            numpy.map_or(Ok(true), |base| class.getattr(reduce)?.ne(base.getattr(reduce)?))?;
        Ok(!own && self.array(array)?)
    }

    /// Writes an object's attributes, which not every way to pickle it gives.
    fn state(&mut self, object: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        let state = py.get_type::<PyAny>().call_method1(intern!(py, "__getstate__"), (object,))?;
        // The file of a `memmap` is open in one of its attributes, and named in others.
        if let Ok(attributes) = state.cast::<PyDict>()
            && attributes.contains(intern!(py, "_mmap"))?
        {
            let rest = attributes.copy()?;
            rest.del_item(intern!(py, "_mmap"))?;
            return self.value(rest.as_any());
        }
        self.value(&state)
    }

    /// Writes an array: type, layout, and the elements in C's order.
    fn array(&mut self, array: &Bound<'py, PyAny>) -> Hashed<bool> {
        let py = self.py;
        let dtype = array.getattr(intern!(py, "dtype"))?;
        let Some(name) = plain(&dtype)? else { return self.records(array, &dtype) };
        self.out.tag(Tag::Array);
        self.text(&name)?;
        self.metadata(&dtype)?;
        self.layout(array)?;
        self.elements(array)?;
        Ok(true)
    }

    /// Writes an array of records. Records that contain references are taken apart like any object.
    fn records(&mut self, array: &Bound<'py, PyAny>, dtype: &Bound<'py, PyAny>) -> Hashed<bool> {
        let kind = dtype.getattr(intern!(self.py, "kind"))?;
        let has_objects = dtype.getattr(intern!(self.py, "hasobject"))?.is_truthy()?;
        if has_objects || !kind.eq("V")? {
            // Before it is taken apart: that makes a list of all that is in it.
            self.spend_objects(array.getattr(intern!(self.py, "size"))?.extract()?)?;
            return Ok(false);
        }
        self.out.tag(Tag::Array);
        self.value(dtype)?;
        self.layout(array)?;
        self.elements(array)?;
        Ok(true)
    }

    /// Writes what a function can tell of an array beside its elements: shape, strides, and flags, which say whether it
    /// may be written to, and whether its memory is its own. `ravel(order="K")` of two arrays that are equal gives
    /// different results if their strides differ.
    fn layout(&mut self, array: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        self.shape(array)?;
        self.value(&array.getattr(intern!(py, "strides"))?)?;
        let flags = array.getattr(intern!(py, "flags"))?;
        self.value(&flags.getattr(intern!(py, "writeable"))?)?;
        // An array that is equal but for this has the same token, and another key: a function can tell the two apart.
        match self.out.is_secret {
            true => self.value(&flags.getattr(intern!(py, "owndata"))?),
            false => Ok(()),
        }
    }

    /// Writes what users have noted on a type of elements, if they have.
    fn metadata(&mut self, dtype: &Bound<'py, PyAny>) -> Hashed {
        let metadata = dtype.getattr(intern!(self.py, "metadata"))?;
        if metadata.is_none() { Ok(()) } else { self.value(&metadata) }
    }

    fn shape(&mut self, array: &Bound<'py, PyAny>) -> Hashed {
        self.value(&array.getattr(intern!(self.py, "shape"))?)
    }

    fn elements(&mut self, array: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        let size: usize = array.getattr(intern!(py, "nbytes"))?.extract()?;
        if size <= PIECE {
            return self.copied(array);
        }
        let contiguous =
            array.getattr(intern!(py, "flags"))?.getattr(intern!(py, "c_contiguous"))?;
        let flat = match contiguous.is_truthy()? {
            true => array.call_method1(intern!(py, "reshape"), (-1,))?,
            false => array.getattr(intern!(py, "flat"))?,
        };
        let item_size = array.getattr(intern!(py, "itemsize"))?.extract()?;
        self.pieces(&flat, size, item_size)
    }

    /// Writes one of NumPy's scalars. Returns false if its memory is not its value.
    fn scalar(&mut self, scalar: &Bound<'py, PyAny>) -> Hashed<bool> {
        let py = self.py;
        let dtype = scalar.getattr(intern!(py, "dtype"))?;
        // An instance of a subclass of `numpy.float64` may hold more than its memory.
        let class = scalar.get_type();
        if !dtype.getattr(intern!(py, "type"))?.is(&class) {
            self.out.tag(Tag::Derived);
            self.class(&class)?;
            self.state(scalar)?;
            return Ok(false);
        }
        let Some(name) = plain(&dtype)? else { return Ok(false) };
        self.out.tag(Tag::Scalar);
        self.text(&name)?;
        self.copied(scalar)?;
        Ok(true)
    }

    /// Writes a view of some memory: its format, its shape, and its contents.
    pub(super) fn memory_view(&mut self, view: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        self.out.tag(Tag::MemoryView);
        self.class(&view.getattr(intern!(py, "obj"))?.get_type())?;
        self.value(&view.getattr(intern!(py, "format"))?)?;
        self.shape(view)?;
        self.value(&view.getattr(intern!(py, "strides"))?)?;
        self.value(&view.getattr(intern!(py, "readonly"))?)?;
        let size: usize = view.getattr(intern!(py, "nbytes"))?.extract()?;
        if size <= PIECE || !view.getattr(intern!(py, "c_contiguous"))?.is_truthy()? {
            return self.copied(view);
        }
        let bytes = view.call_method1(intern!(py, "cast"), ("B",))?;
        self.pieces(&bytes, size, 1)
    }

    /// Writes memory that an object gives to pickling as it is.
    pub(super) fn pickle_buffer(&mut self, buffer: &Bound<'py, PyAny>) -> Hashed {
        self.out.tag(Tag::Buffer);
        self.memory_view(&buffer.call_method0(intern!(self.py, "raw"))?)
    }

    /// Writes a small object's memory, in C's order.
    fn copied(&mut self, object: &Bound<'py, PyAny>) -> Hashed {
        let copy = object.call_method0(intern!(self.py, "tobytes"))?;
        self.blob(copy.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes())
    }

    /// Writes a large object's memory in pieces, which are cut from a flat view. In one step this would copy all of the
    /// memory, and of a broadcast array it would make memory that was never there.
    fn pieces(&mut self, flat: &Bound<'py, PyAny>, size: usize, item_size: usize) -> Hashed {
        self.spend(size as u64)?;
        self.out.number(size as u64);
        let (items, step) = (size / item_size, (PIECE / item_size).max(1));
        for begin in (0..items).step_by(step) {
            let end = items.min(begin + step);
            let piece = flat.get_item(PySlice::new(self.py, begin as isize, end as isize, 1))?;
            let piece = piece.call_method0(intern!(self.py, "tobytes"))?;
            self.out.raw(piece.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
            self.spend_objects(0)?;
        }
        Ok(())
    }
}

/// Returns the name of one of NumPy's types, if the name says all about the type.
fn plain<'py>(dtype: &Bound<'py, PyAny>) -> Hashed<Option<Bound<'py, PyString>>> {
    let py = dtype.py();
    let kind = dtype.getattr(intern!(py, "kind"))?.cast_into::<PyString>().map_err(PyErr::from)?;
    if !PLAIN.contains(kind.to_str()?) {
        return Ok(None);
    }
    Ok(Some(dtype.getattr(intern!(py, "str"))?.cast_into::<PyString>().map_err(PyErr::from)?))
}
