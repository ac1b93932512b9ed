//! A worker process, from the inside: it serves the client that has started it.
//!
//! The main thread hears the client's orders (`process.rs`). Each thread for tasks has a line of its own: it hears
//! frames of tasks on it, hands their calls to a loop in Python (`thread.rs`), and answers how they have ended
//! (`answers.rs`). What is no task's goes over a side line (`aside.rs`), and so do orders (`orders.rs`). This folder knows
//! no engine: what runs next, the client has decided.

#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) mod actors;
#[cfg(target_os = "linux")]
mod answers;
#[cfg(target_os = "linux")]
pub(crate) mod aside;
#[cfg(target_os = "linux")]
mod at_work;
#[cfg(target_os = "linux")]
mod bond;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod ends;
#[cfg(target_os = "linux")]
pub(crate) mod failures;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) mod input;
#[cfg(target_os = "linux")]
mod leaving;
#[cfg(target_os = "linux")]
mod orders;
pub(crate) mod pickled;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod records;
#[cfg(target_os = "linux")]
mod thread;
#[cfg(target_os = "linux")]
pub(crate) mod upstream;

use pyo3::prelude::*;

/// Adds this folder's classes and functions to the extension module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<input::Input>()?;
    module.add_function(wrap_pyfunction!(input::input_value, module)?)?;
    #[cfg(target_os = "linux")]
    {
        module.add_class::<orders::Order>()?;
        module.add_class::<thread::TaskThread>()?;
        module.add_function(wrap_pyfunction!(at_work::tasks_here, module)?)?;
        module.add_function(wrap_pyfunction!(actors::task_at_hand, module)?)?;
        module.add_function(wrap_pyfunction!(actors::keep_actor, module)?)?;
        module.add_function(wrap_pyfunction!(actors::kept_actor, module)?)?;
        module.add_function(wrap_pyfunction!(actors::keep_caller, module)?)?;
        module.add_function(wrap_pyfunction!(actors::kept_caller, module)?)?;
        module.add_function(wrap_pyfunction!(leaving::leave, module)?)?;
        module.add_function(wrap_pyfunction!(leaving::open_files, module)?)?;
        module.add_function(wrap_pyfunction!(process::serve_process, module)?)?;
    }
    Ok(())
}
