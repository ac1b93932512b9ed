//! What a cluster of worker processes keeps of what it sends them.

use crate::task::actor::Spread;
use crate::task::packed::PackedFunction;
use azolla_process::message::{FUNCTION_BYTES, FUNCTIONS};
use azolla_process::place::Store;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The large data and the functions that worker processes get.
pub(crate) struct Sent {
    /// Takes large data.
    pub(crate) store: Box<dyn Store>,
    /// How many actors each worker process has.
    pub(crate) actors: Arc<Spread>,
    /// The functions that go by value, by their tokens. A thread locks it only while it holds the GIL, and runs no user code
    /// meanwhile.
    functions: Mutex<FxHashMap<u128, Arc<PackedFunction>>>,
}

impl Sent {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self { store, actors: Arc::default(), functions: Mutex::default() }
    }

    /// Returns the function of this token as worker processes get it, if that is known.
    pub(crate) fn function(&self, token: u128) -> Option<Arc<PackedFunction>> {
        self.functions().get(&token).map(Arc::clone)
    }

    pub(crate) fn keep_function(&self, token: u128, function: &Arc<PackedFunction>) {
        let mut functions = self.functions();
        let bytes: u64 = functions.values().map(|known| known.packed.size()).sum();
        if functions.len() >= FUNCTIONS || bytes >= FUNCTION_BYTES {
            functions.clear();
        }
        functions.insert(token, Arc::clone(function));
    }

    fn functions(&self) -> MutexGuard<'_, FxHashMap<u128, Arc<PackedFunction>>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
