//! How a ready task is run: the runner asks the engine for it, makes the call, and reports the result.
//!
//! It may know all that a task is made of, and how the arguments of its call were found. It knows no
//! Python class but its own.

pub(crate) mod threads;
