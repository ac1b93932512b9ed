//! The names of kinds, that is of the functions whose tasks there are.
//!
//! A job is asked for the name once for each kind, with nothing locked, since making it may run
//! Python.

use crate::primitives::Mutex;
use azolla_core::Kind;
use std::sync::Arc;

/// By the number of the kind.
#[derive(Default)]
pub(super) struct KindNames(Mutex<Vec<Option<Arc<str>>>>);

impl KindNames {
    pub(super) fn name(&self, kind: Kind, name: String) {
        let mut names = self.0.lock();
        let at = kind.0 as usize;
        if at >= names.len() {
            names.resize(at + 1, None);
        }
        names[at] = Some(name.into());
    }

    /// The name of this kind; a question mark until a job was asked.
    pub(super) fn of(&self, kind: Kind) -> Arc<str> {
        let name = self.0.lock().get(kind.0 as usize).cloned().flatten();
        name.unwrap_or_else(|| "?".into())
    }
}
