//! The Python package's extension module: it converts, calls and raises, and decides nothing.
//!
//! The Python half (`python/azolla`) holds what is easier said in Python: the client's life, event
//! loops, the workers' threads.

mod actor;
mod arguments;
mod as_completed;
mod client;
mod cluster;
mod collected;
mod dashboard;
mod fastcall;
mod future;
mod gather;
mod inspect;
mod job;
mod key;
mod map;
mod observe;
mod placing;
mod raised;
mod shared;
mod size;
mod submit;
mod sync;
mod token;
mod wait;
mod worker;

use pyo3::prelude::*;

#[pymodule]
fn _azolla(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<actor::ActorFuture>()?;
    module.add_class::<actor::Method>()?;
    module.add_class::<as_completed::Endings>()?;
    module.add_class::<client::Core>()?;
    module.add_class::<cluster::ClusterCore>()?;
    module.add_class::<dashboard::Dashboard>()?;
    module.add_class::<future::Future>()?;
    module.add_class::<observe::PyObservations>()?;
    module.add_class::<sync::EventCore>()?;
    module.add_class::<sync::MultiLockCore>()?;
    module.add_class::<sync::PyTurn>()?;
    module.add_class::<sync::QueueCore>()?;
    module.add_class::<sync::SemaphoreCore>()?;
    module.add_class::<sync::VariableCore>()?;
    module.add_class::<worker::PyWorker>()?;
    module.add_class::<worker::Running>()?;
    fastcall::add_submit(&module.py().get_type::<client::Core>())?;
    module.add_function(wrap_pyfunction!(dashboard::time_left, module)?)?;
    module.add_function(wrap_pyfunction!(actor::actor_state, module)?)?;
    module.add_function(wrap_pyfunction!(raised::before_collection, module)?)?;
    module.add_function(wrap_pyfunction!(shared::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(worker::secede, module)?)?;
    module.add_function(wrap_pyfunction!(worker::rejoin, module)?)?;
    module.add_function(wrap_pyfunction!(worker::thread_client, module)?)?;
    module.add_function(wrap_pyfunction!(worker::thread_running, module)?)?;
    module.add_function(wrap_pyfunction!(worker::thread_task, module)?)?;
    module.add_function(wrap_pyfunction!(token::tokenize, module)?)?;
    module.add_function(wrap_pyfunction!(wait::wait_for, module)?)?;
    Ok(())
}
