//! The names of kinds: what the functions are called whose tasks there are.
//!
//! A name is asked for once a kind, with nothing locked, since to make it may lead to Python.

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

    /// What tasks of this kind are called; a question mark if that has still to be asked.
    pub(super) fn of(&self, kind: Kind) -> Arc<str> {
        let name = self.0.lock().get(kind.0 as usize).cloned().flatten();
        name.unwrap_or_else(|| "?".into())
    }
}
