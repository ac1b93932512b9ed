//! The Python package's extension module: it converts, calls and raises, and decides nothing.
//!
//! The Python half (`python/azolla`) holds what is easier to write in Python: the client's life, event loops, the
//! workers' threads.

include!(concat!(env!("OUT_DIR"), "/stubs.rs"));

#[cfg(target_os = "linux")]
mod child;
mod face;
mod future;
mod interpreter;
mod runner;
mod session;
mod submit;
mod sync;
mod task;
mod token;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
fn _azolla(module: &Bound<'_, PyModule>) -> PyResult<()> {
    interpreter::check_main()?;
    // If memory is short already, the first submission says so.
    let _ = interpreter::memory::check();
    module.add_class::<submit::actor::ActorFuture>()?;
    module.add_class::<submit::actor::Method>()?;
    #[cfg(target_os = "linux")]
    child::add_to(module)?;
    module.add_class::<future::as_completed::Endings>()?;
    module.add_class::<session::core::Core>()?;
    module.add_class::<face::cluster::ClusterCore>()?;
    module.add_class::<face::dashboard::Dashboard>()?;
    module.add_class::<future::handle::Future>()?;
    module.add_class::<interpreter::observed::PyObservations>()?;
    module.add_class::<interpreter::once::StoredOnce>()?;
    module.add_class::<sync::EventCore>()?;
    module.add_class::<sync::MultiLockCore>()?;
    module.add_class::<sync::PyTurn>()?;
    module.add_class::<sync::QueueCore>()?;
    module.add_class::<sync::SemaphoreCore>()?;
    module.add_class::<sync::VariableCore>()?;
    module.add_class::<runner::worker::PyWorker>()?;
    module.add_class::<future::running::Running>()?;
    submit::fastcall::add_submit(&module.py().get_type::<session::core::Core>())?;
    module.add_function(wrap_pyfunction!(face::dashboard::time_left, module)?)?;
    module.add_function(wrap_pyfunction!(face::tasks::check_options, module)?)?;
    module.add_function(wrap_pyfunction!(face::tasks::submit_as, module)?)?;
    module.add_function(wrap_pyfunction!(face::tasks::map_as, module)?)?;
    module.add_function(wrap_pyfunction!(face::groups::open_group, module)?)?;
    module.add_function(wrap_pyfunction!(face::groups::close_group, module)?)?;
    module.add_function(wrap_pyfunction!(face::groups::failed_in_group, module)?)?;
    module.add_function(wrap_pyfunction!(face::groups::cancel_grown, module)?)?;
    module.add_function(wrap_pyfunction!(face::groups::group_counts, module)?)?;
    module.add_function(wrap_pyfunction!(face::groups::watch_growth, module)?)?;
    module.add_function(wrap_pyfunction!(submit::group::group_entered, module)?)?;
    module.add_function(wrap_pyfunction!(submit::group::group_left, module)?)?;
    module.add_function(wrap_pyfunction!(future::actor::arrived_actor, module)?)?;
    module.add_function(wrap_pyfunction!(submit::actor::actor_state, module)?)?;
    module.add_function(wrap_pyfunction!(future::actor::actor_caller, module)?)?;
    module.add_function(wrap_pyfunction!(submit::actor::check_actor, module)?)?;
    module.add_function(wrap_pyfunction!(submit::actor::read_actor, module)?)?;
    module.add_function(wrap_pyfunction!(interpreter::raised::before_collection, module)?)?;
    module.add_function(wrap_pyfunction!(session::forked::before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(session::forked::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::coroutines_run_here, module)?)?;
    module.add_class::<face::asked::Asked>()?;
    module.add_class::<face::orders::PyParcel>()?;
    module.add_class::<face::orders::Ordered>()?;
    module.add_function(wrap_pyfunction!(face::orders::give_order, module)?)?;
    module.add_function(wrap_pyfunction!(face::inspect::keys_of, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::ask, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::forget, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::detach, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::secret, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::share_secret, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::awaits, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::in_plain_task, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::is_cancelled, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::check_cancelled, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::sleep_in_task, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::shield_task, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::secede, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::rejoin, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::lend, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::end_loan, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::thread_client, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::thread_running, module)?)?;
    module.add_function(wrap_pyfunction!(face::in_task::thread_task, module)?)?;
    module.add_function(wrap_pyfunction!(token::tokenize, module)?)?;
    module.add_function(wrap_pyfunction!(future::begun::has_begun, module)?)?;
    module.add_function(wrap_pyfunction!(future::begun::withdraw, module)?)?;
    module.add_function(wrap_pyfunction!(future::wait_for::wait_for, module)?)?;
    module.add_function(wrap_pyfunction!(future::wait_for::timed_out, module)?)?;
    module.add_function(wrap_pyfunction!(future::wait_for::why_cancelled, module)?)?;
    Ok(())
}
