//! Kinds, that is the functions whose tasks there are: their numbers and their names.
//!
//! A job is asked for the name once for each kind, with nothing locked, since making it may run
//! Python.

use crate::primitives::Mutex;
use azolla_core::Kind;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The kind of all functions that come up when there are so many kinds already: what is kept of a kind is
/// kept for the engine's life. The tree of growth has no room for more branches either.
pub(super) const REST: Kind = Kind(1000);

/// The name of what is counted together, since there is too much to count apart.
pub(super) const REST_NAME: &str = "(everything else)";

/// The kinds by the numbers that the front end gives them.
#[derive(Default)]
pub(super) struct Kinds {
    known: FxHashMap<u64, Kind>,
    /// The kind looked up last: tasks of one kind mostly come one after the other.
    last: Option<(u64, Kind)>,
}

impl Kinds {
    /// The kind with the front end's number `of`, and true if it comes up for the first time.
    #[inline(always)]
    pub(super) fn of(&mut self, of: u64) -> (Kind, bool) {
        match self.last {
            Some((last, kind)) if last == of => (kind, false),
            _ => self.other(of),
        }
    }

    fn other(&mut self, of: u64) -> (Kind, bool) {
        let known = self.known.get(&of).copied();
        let next = Kind(self.known.len() as u32);
        let is_new = known.is_none() && next != REST;
        if is_new {
            self.known.insert(of, next);
        }
        let kind = known.unwrap_or(next);
        self.last = Some((of, kind));
        (kind, is_new)
    }
}

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
        if kind == REST {
            return REST_NAME.into();
        }
        let name = self.0.lock().get(kind.0 as usize).cloned().flatten();
        name.unwrap_or_else(|| "?".into())
    }
}
