//! Hashes what holds its data as one block of memory: NumPy's arrays and scalars, memory views.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyString};

use super::hasher::Tag;
use super::walk::{Hashed, Walk};

/// The kinds of NumPy's types whose memory is their value, and whose name says all about them.
const PLAIN: &str = "biufcmMSU";

/// Memory goes to the hasher in pieces of this size.
const PIECE: usize = 1 << 16;

impl<'py> Walk<'_, 'py> {
    /// Writes one of NumPy's arrays or scalars; false if the object is neither.
    pub(super) fn numeric(&mut self, object: &Bound<'py, PyAny>) -> Hashed<bool> {
        let py = self.py;
        let Some(numpy) = self.known.numpy(py)? else { return Ok(false) };
        if object.get_type().is(&numpy.array) {
            self.array(object)
        } else if object.is_instance(numpy.scalar.bind(py))? {
            self.scalar(object)
        } else {
            Ok(false)
        }
    }

    /// Writes an array: type, layout, and the elements in C's order.
    fn array(&mut self, array: &Bound<'py, PyAny>) -> Hashed<bool> {
        let py = self.py;
        let dtype = array.getattr(intern!(py, "dtype"))?;
        let Some(name) = plain(&dtype)? else { return self.records(array, &dtype) };
        self.out.tag(Tag::Array);
        self.text(&name)?;
        self.layout(array)?;
        self.elements(array)?;
        Ok(true)
    }

    /// Writes an array of records, unless they contain references: those are taken apart like any
    /// object.
    fn records(&mut self, array: &Bound<'py, PyAny>, dtype: &Bound<'py, PyAny>) -> Hashed<bool> {
        let kind = dtype.getattr(intern!(self.py, "kind"))?;
        let has_objects = dtype.getattr(intern!(self.py, "hasobject"))?.is_truthy()?;
        if has_objects || !kind.eq("V")? {
            return Ok(false);
        }
        self.out.tag(Tag::Array);
        self.value(dtype)?;
        self.layout(array)?;
        self.elements(array)?;
        Ok(true)
    }

    /// Writes what a function can tell of an array beside its elements: shape, strides, and whether it may be
    /// written to. `ravel(order="K")` of two arrays that are equal gives different results if their strides differ.
    fn layout(&mut self, array: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        self.shape(array)?;
        self.value(&array.getattr(intern!(py, "strides"))?)?;
        let flags = array.getattr(intern!(py, "flags"))?;
        self.value(&flags.getattr(intern!(py, "writeable"))?)
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

    /// Writes one of NumPy's scalars; false if it is one whose memory is not its value.
    fn scalar(&mut self, scalar: &Bound<'py, PyAny>) -> Hashed<bool> {
        let py = self.py;
        let dtype = scalar.getattr(intern!(py, "dtype"))?;
        // Of a subclass of `numpy.float64` the memory is but a part.
        if !dtype.getattr(intern!(py, "type"))?.is(scalar.get_type()) {
            return Ok(false);
        }
        let Some(name) = plain(&dtype)? else { return Ok(false) };
        self.out.tag(Tag::Scalar);
        self.text(&name)?;
        self.copied(scalar)?;
        Ok(true)
    }

    /// Writes a view of some memory: its format, its shape, and what it shows.
    pub(super) fn memory_view(&mut self, view: &Bound<'py, PyAny>) -> Hashed {
        let py = self.py;
        self.out.tag(Tag::MemoryView);
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

    /// Writes memory that an object hands to pickling as it is.
    pub(super) fn pickle_buffer(&mut self, buffer: &Bound<'py, PyAny>) -> Hashed {
        self.out.tag(Tag::Buffer);
        self.memory_view(&buffer.call_method0(intern!(self.py, "raw"))?)
    }

    /// Writes a small object's memory, in C's order.
    fn copied(&mut self, object: &Bound<'py, PyAny>) -> Hashed {
        let copy = object.call_method0(intern!(self.py, "tobytes"))?;
        self.blob(copy.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes())
    }

    /// Writes a large object's memory, given as something flat to cut pieces from: all at once
    /// would be a second copy of all of it, and of a broadcast array one that was never there.
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

/// The name of a type of NumPy's, if that says all about it.
fn plain<'py>(dtype: &Bound<'py, PyAny>) -> Hashed<Option<Bound<'py, PyString>>> {
    let py = dtype.py();
    let kind = dtype.getattr(intern!(py, "kind"))?.cast_into::<PyString>().map_err(PyErr::from)?;
    if !PLAIN.contains(kind.to_str()?) {
        return Ok(None);
    }
    Ok(Some(dtype.getattr(intern!(py, "str"))?.cast_into::<PyString>().map_err(PyErr::from)?))
}
