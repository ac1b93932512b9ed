//! How the call of a task has ended, or of an order, as it travels to the client.

use super::actors;
use super::answers::End;
use super::failures::{asks_for_another_run, pack, sent};
use super::pickled::{Named, collecting};
use crate::interpreter::blobs::Made;
use azolla_process::message::{Blob, Bytes};
use azolla_process::place::Store;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::Arc;

/// Sends the end of a call that has returned this, with the tasks of the futures in it. `task` is its task, if it is one: its
/// number and its key. A result that cannot be pickled stays in this process; of an order it is a failure.
pub(super) fn returned<R>(
    result: &Bound<'_, PyAny>,
    task: impl FnOnce() -> Option<(u64, Arc<str>)>,
    store: &dyn Store,
    send: impl FnOnce(End<Blob<'_>>, Named) -> R,
) -> R {
    let (made, futures) = collecting(|| Made::of(result, store));
    match made {
        Ok(Made::Small(pickle)) => {
            let pickle = Bytes::Here(pickle.as_bytes());
            send(End::Done(Blob { pickle, buffers: Vec::new() }), futures)
        }
        Ok(Made::Large(large)) => {
            let (pickle, buffers) = large.give_away();
            let pickle = pickle.as_ref().map_or_else(|it| Bytes::There(*it), |it| Bytes::Here(it));
            send(End::Done(Blob { pickle, buffers }), futures)
        }
        Err(error) => {
            let error = error.value(result.py());
            let send = |end: End<Blob<'_>>| send(end, Named::default());
            let Some((task, key)) = task() else {
                let note = "the function has returned this result, which must travel from its worker process as a pickle";
                let _ = error.call_method1(intern!(result.py(), "add_note"), (note,));
                return failed(error, None, store, send);
            };
            match actors::stay(task, &key, result, error) {
                Ok(pickle) => {
                    let pickle = Bytes::Here(pickle.as_bytes());
                    send(End::Stays(Blob { pickle, buffers: Vec::new() }))
                }
                Err(error) => raised(error.value(result.py()), &key, store, send),
            }
        }
    }
}

/// Sends the end of a task that has raised this.
pub(super) fn raised<R>(
    error: &Bound<'_, PyAny>,
    key: &str,
    store: &dyn Store,
    send: impl FnOnce(End<Blob<'_>>) -> R,
) -> R {
    if asks_for_another_run(error) {
        return send(End::Again);
    }
    failed(error, Some(key), store, send)
}

/// Sends the end of a call that has raised this. `key` is that of the task, if it is one.
pub(super) fn failed<R>(
    error: &Bound<'_, PyAny>,
    key: Option<&str>,
    store: &dyn Store,
    send: impl FnOnce(End<Blob<'_>>) -> R,
) -> R {
    let mut packed = pack(error, key);
    send(End::Failed(sent(error, &mut packed, store)))
}
