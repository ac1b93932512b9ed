//! Where a task may run, and what it takes meanwhile: groups of slots, resources, constraints.
//!
//! A *group* is what users call a worker: some slots, and amounts of resources (two GPUs, say) that
//! the tasks on them share. A task without a constraint runs on any slot and takes nothing else.

use alloc::vec::Vec;

/// A group of slots that share resources: the groups are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u16);

impl GroupId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A resource: a dense small number that the caller deals out, one a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(pub u16);

impl ResourceId {
    /// A resource that no group has.
    pub const NOWHERE: Self = Self(u16::MAX);
}

/// How much of a resource, exact to a millionth: what is taken and given back a million times adds
/// up, as it would not in floating point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// The amount nearest to `number`, but never nothing for something; `None` if that is negative
    /// or NaN. Beyond 1.8 × 10¹³ an amount is without end.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        if number.is_nan() || number < 0.0 {
            return None;
        }
        let millionths = (number * 1e6 + 0.5) as u64;
        Some(Self(if number > 0.0 { millionths.max(1) } else { 0 }))
    }

    /// The number that this amount was made from, to a millionth.
    #[must_use]
    pub fn number(self) -> f64 {
        if self.0 == u64::MAX { f64::INFINITY } else { self.0 as f64 / 1e6 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// How often `part` can be taken of it.
    pub(crate) fn times(self, part: Self) -> usize {
        if self.0 == u64::MAX { usize::MAX } else { (self.0 / part.0.max(1)) as usize }
    }

    /// What is left when `other` is taken away; of what is without end, all.
    pub(crate) fn minus(self, other: Self) -> Self {
        if self.0 == u64::MAX { self } else { Self(self.0.saturating_sub(other.0)) }
    }
}

/// What a group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many of its tasks may run at once.
    pub slots: usize,
    /// What they share.
    pub resources: Vec<(ResourceId, Amount)>,
}

impl Group {
    /// A group that has slots alone.
    #[must_use]
    pub fn of_slots(slots: usize) -> Self {
        Self { slots, resources: Vec::new() }
    }
}

/// Which groups may run a task, and what it takes of their resources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Constraint {
    groups: Option<Vec<GroupId>>,
    others: bool,
    takes: Vec<(ResourceId, Amount)>,
}

impl Constraint {
    /// A task may run on `groups` alone, or on any if that is `None`. With `others` the groups are
    /// a wish: the rest may run it while none of them has a slot and the resources to spare. While it
    /// runs it `takes` so much of these resources of its group; a resource named twice is taken twice.
    ///
    /// `None` if that leaves a task free to run anywhere.
    #[must_use]
    pub fn new(
        groups: Option<Vec<GroupId>>,
        others: bool,
        takes: Vec<(ResourceId, Amount)>,
    ) -> Option<Self> {
        let mut groups = groups.filter(|groups| !(others && groups.is_empty()));
        if let Some(groups) = &mut groups {
            groups.sort_unstable();
            groups.dedup();
        }
        let mut sums: Vec<(ResourceId, Amount)> = Vec::with_capacity(takes.len());
        for (resource, amount) in takes.into_iter().filter(|(_, amount)| *amount > Amount(0)) {
            match sums.iter_mut().find(|(other, _)| *other == resource) {
                Some((_, sum)) => *sum = sum.plus(amount),
                None => sums.push((resource, amount)),
            }
        }
        sums.sort_unstable();
        let others = others && groups.is_some();
        (groups.is_some() || !sums.is_empty()).then_some(Self { groups, others, takes: sums })
    }

    /// What it takes of its group's resources, each once.
    #[must_use]
    pub fn takes(&self) -> &[(ResourceId, Amount)] {
        &self.takes
    }

    /// Whether a group of this number ever could run the task, if not now.
    #[must_use]
    pub fn fits(&self, id: GroupId, group: &Group) -> bool {
        let has = |resource: ResourceId| {
            let amounts = group.resources.iter().filter(|(other, _)| *other == resource);
            amounts.fold(Amount::default(), |sum, (_, amount)| sum.plus(*amount))
        };
        group.slots > 0
            && (self.others || self.names(id))
            && self.takes.iter().all(|(resource, amount)| has(*resource) >= *amount)
    }

    /// Whether this group is among those that it names, or it names none.
    pub(crate) fn names(&self, group: GroupId) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.contains(&group))
    }

    pub(crate) fn lets_others(&self) -> bool {
        self.others
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use alloc::vec;

    #[test]
    fn amounts_add_up_where_floats_do_not() {
        let tenth = Amount::new(0.1).unwrap();
        let sum = (0..10).fold(Amount::default(), |sum, _| sum.plus(tenth));
        assert_eq!(sum, Amount::new(1.0).unwrap());
        assert_eq!(sum.number(), 1.0);
        assert!(Amount::new(1e-12).unwrap() > Amount::default());
        assert_eq!(Amount::new(f64::INFINITY).unwrap().minus(sum).number(), f64::INFINITY);
        assert_eq!(Amount::new(-1.0), None);
        assert_eq!(Amount::new(f64::NAN), None);
    }

    #[test]
    fn a_constraint_that_constrains_nothing_is_none() {
        assert_eq!(Constraint::new(None, false, vec![]), None);
        assert_eq!(Constraint::new(Some(vec![]), true, vec![]), None);
        assert_eq!(Constraint::new(None, true, vec![(ResourceId(0), Amount(0))]), None);
        assert!(Constraint::new(Some(vec![]), false, vec![]).is_some(), "no group may run it");
        let (two, one) = (Amount::new(2.0).unwrap(), Amount::new(1.0).unwrap());
        let twice = Constraint::new(None, false, vec![(ResourceId(1), one), (ResourceId(1), one)]);
        assert_eq!(twice.unwrap().takes(), [(ResourceId(1), two)]);
    }
}
