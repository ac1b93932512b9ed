//! What the extension needs of the Python interpreter itself: forks, imports, the garbage collector,
//! exceptions and the sizes of objects.
//!
//! This folder knows Python, and knows no task of azolla: it imports no other folder of this crate. The engine's
//! observations are here because they show tasks as numbers.

pub(crate) mod collector;
pub(crate) mod forks;
pub(crate) mod imports;
pub(crate) mod observed;
pub(crate) mod raised;
pub(crate) mod size;
pub(crate) mod threads;
