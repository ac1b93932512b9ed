//! The families below a family, which are in a ring.

use super::{Families, FamilyId};
use alloc::vec::Vec;

impl Families {
    /// Returns the families of the children of this one.
    pub(crate) fn below(&self, id: FamilyId) -> impl Iterator<Item = FamilyId> {
        let first = self.get(id).below;
        core::iter::successors(first, move |at| {
            self.get(*at).next.filter(|next| Some(*next) != first)
        })
    }

    /// Returns this family and all those of what has grown from its children.
    pub(crate) fn all_below(&self, id: FamilyId) -> Vec<FamilyId> {
        let mut all = Vec::from([id]);
        let mut at = 0;
        while let Some(id) = all.get(at).copied() {
            at += 1;
            all.extend(self.below(id));
        }
        all
    }

    /// Puts a family into the ring of those below another.
    pub(super) fn link(&mut self, up: FamilyId, id: FamilyId) {
        let family = self.get_mut(id);
        (family.next, family.before) = (Some(id), Some(id));
        self.splice(up, id);
    }

    /// Joins a ring of families with those that are below another.
    pub(super) fn splice(&mut self, up: FamilyId, ring: FamilyId) {
        let Some(first) = self.get(up).below else {
            self.get_mut(up).below = Some(ring);
            return;
        };
        let (after_first, after_ring) = (self.get(first).next, self.get(ring).next);
        self.connect(Some(first), after_ring);
        self.connect(Some(ring), after_first);
    }

    fn connect(&mut self, one: Option<FamilyId>, next: Option<FamilyId>) {
        if let (Some(one), Some(next)) = (one, next) {
            self.get_mut(one).next = Some(next);
            self.get_mut(next).before = Some(one);
        }
    }

    pub(super) fn unlink(&mut self, up: FamilyId, id: FamilyId) {
        let family = self.get_mut(id);
        let (next, before) = (family.next.take(), family.before.take());
        self.connect(before.filter(|it| *it != id), next.filter(|it| *it != id));
        let above = self.get_mut(up);
        if above.below == Some(id) {
            above.below = next.filter(|it| *it != id);
        }
    }
}
