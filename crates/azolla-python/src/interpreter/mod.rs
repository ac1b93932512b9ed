//! What the extension needs of the Python interpreter itself: forks, imports, the garbage collector,
//! exceptions and the sizes of objects.
//!
//! It knows Python, and no task of ours: it imports no other folder of this crate. What it shows of
//! tasks, the engine's observations, is numbers.

pub(crate) mod collector;
pub(crate) mod forks;
pub(crate) mod imports;
pub(crate) mod observed;
pub(crate) mod raised;
pub(crate) mod size;
