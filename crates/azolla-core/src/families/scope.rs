//! What a scope counts, and whether its end may be near.

use super::{Families, FamilyId};
use crate::few::Few;
use crate::task::State;
use core::mem;

/// How many tasks are live, and how many have ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks that have not ended.
    pub live: u64,
    /// Tasks that ended with a result.
    pub finished: u64,
    /// Tasks that ended with an error.
    pub failed: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
}

/// What a scope has beside what every family has.
#[derive(Default)]
pub(crate) struct Scope {
    /// Counts its tasks, but not those in the scopes within it.
    pub(crate) tally: Tally,
    /// The tasks that have failed in it, which are kept as long as the scope is.
    pub(crate) failed: Few,
    /// It is closed and has not ended.
    pub(crate) waits: bool,
    /// Many are live in it.
    pub(crate) is_busy: bool,
    /// How many of the scopes that are directly in it are busy.
    pub(crate) busy: u32,
}

/// In a scope with more live tasks than this the end of one is not about to end the scope.
const MANY_LIVE: u64 = if cfg!(test) { 2 } else { 64 };

impl Scope {
    /// What `is_busy` is to say.
    #[inline]
    pub(crate) fn is_busy_by_count(&self) -> bool {
        self.tally.live > MANY_LIVE || self.busy > 0
    }
}

impl Tally {
    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Done => &mut self.finished,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
            _ => &mut self.live,
        }
    }

    /// Adds what another counts.
    pub fn add(&mut self, other: &Self) {
        self.live += other.live;
        self.finished += other.finished;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }
}

impl Families {
    /// Counts a task of this scope from one state to another; `None` is none of the two.
    #[inline]
    pub(crate) fn count(&mut self, id: FamilyId, from: Option<State>, to: Option<State>) {
        if let Some(scope) = &mut self.get_mut(id).of_scope {
            if let Some(from) = from {
                *scope.tally.of(from) -= 1;
            }
            if let Some(to) = to {
                *scope.tally.of(to) += 1;
            }
            if scope.is_busy_by_count() != scope.is_busy {
                self.weigh(id);
            }
        }
    }

    /// Finds out whether this scope is busy, and the scopes around it.
    #[cold]
    fn weigh(&mut self, id: FamilyId) {
        let mut next = Some(id);
        while let Some(id) = next {
            let family = self.get_mut(id);
            let around = family.scope;
            let Some(scope) = &mut family.of_scope else { return };
            let is_busy = scope.is_busy_by_count();
            if is_busy == scope.is_busy {
                return;
            }
            scope.is_busy = is_busy;
            let waits = scope.waits;
            match is_busy {
                true => self.urgent -= usize::from(waits),
                false => self.urgent += usize::from(waits),
            }
            self.change_busy(around, is_busy);
            next = around;
        }
    }

    fn change_busy(&mut self, around: Option<FamilyId>, more: bool) {
        if let Some(around) = around
            && let Some(scope) = &mut self.get_mut(around).of_scope
        {
            scope.busy = if more { scope.busy + 1 } else { scope.busy - 1 };
        }
    }

    pub(crate) fn is_busy(&self, id: FamilyId) -> bool {
        self.get(id).of_scope.as_ref().is_some_and(|scope| scope.is_busy)
    }

    /// This scope, if it is one, has been closed, or has ended.
    pub(crate) fn set_waits(&mut self, id: FamilyId, waits: bool) {
        if let Some(scope) = &mut self.get_mut(id).of_scope
            && mem::replace(&mut scope.waits, waits) != waits
            && !scope.is_busy
        {
            self.urgent = if waits { self.urgent + 1 } else { self.urgent - 1 };
        }
    }

    /// If this family is a scope, what is in there is in the scope around it from now on.
    pub(super) fn leaves_scope(&mut self, id: FamilyId) {
        let family = self.get_mut(id);
        let around = family.scope.take();
        let Some(scope) = family.of_scope.take() else { return };
        if scope.is_busy {
            self.change_busy(around, false);
        }
        for below in self.all_below(id) {
            let family = self.get_mut(below);
            if family.scope == Some(id) {
                family.scope = around;
                if family.of_scope.as_ref().is_some_and(|scope| scope.is_busy) {
                    self.change_busy(around, true);
                }
            }
        }
        if let Some(around) = around
            && let Some(above) = &mut self.get_mut(around).of_scope
        {
            above.tally.add(&scope.tally);
            self.weigh(around);
        }
    }
}
