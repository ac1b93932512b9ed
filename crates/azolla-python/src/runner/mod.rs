//! Runs ready tasks. On threads, a worker's thread asks the engine for a task, makes the call and reports the result. On
//! worker processes, it sends the calls to a thread of a process, and needs no Python for that.
//!
//! This module may use `task`, `session`, `future`, and `submit::arguments`. It uses neither the client nor
//! the cluster object, which only starts it.

#[cfg(target_os = "linux")]
pub(crate) mod processes;
#[cfg(not(target_os = "linux"))]
#[path = "no_processes.rs"]
pub(crate) mod processes;
pub(crate) mod records;
pub(crate) mod threads;
mod unseen;
pub(crate) mod worker;

use crate::task::job::PyJob;
use azolla::runtime::Runner;
use azolla_process::place::Store;
use std::ffi::OsString;
use std::path::PathBuf;

/// How a worker process is started: the program with its arguments, what its environment has besides this one's, the text
/// that the program reads first, how many bytes of memory it may take, and the folder for what there is no memory for.
pub(crate) type Start = (Vec<OsString>, Vec<(OsString, OsString)>, String, Option<u64>, PathBuf);

/// Worker processes that were started: what runs tasks in them, what else is done with them, and what takes large data for
/// them.
pub(crate) struct Started {
    pub(crate) runner: Box<dyn Runner<PyJob>>,
    pub(crate) reins: processes::Reins,
    pub(crate) store: Box<dyn Store>,
}
