//! Groups of slots, their resources, and constraints: where a task may run and what it takes
//! meanwhile.
//!
//! A *group* is what users call a worker. It has some slots, and amounts of resources (two GPUs,
//! say) that the tasks on those slots share. A task without a constraint runs on any slot and takes
//! nothing else.

use alloc::vec::Vec;

/// A group of slots that share resources. Groups are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u16);

impl GroupId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A resource: a small dense number. The caller assigns one to each name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(pub u16);

impl ResourceId {
    /// A resource that no group has.
    pub const NOWHERE: Self = Self(u16::MAX);
}

/// An amount of a resource, in millionths. Amounts are integers, so taking and giving back a
/// million times leaves no rounding error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// Returns the amount nearest to `number`, but never 0 for a number above 0. Returns `None` if
    /// `number` is negative or NaN. Beyond 1.8 × 10¹³ an amount is infinite.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        if number.is_nan() || number < 0.0 {
            return None;
        }
        let millionths = (number * 1e6 + 0.5) as u64;
        Some(Self(if number > 0.0 { millionths.max(1) } else { 0 }))
    }

    /// Returns the number that this amount was made from, to a millionth.
    #[must_use]
    pub fn number(self) -> f64 {
        if self.0 == u64::MAX { f64::INFINITY } else { self.0 as f64 / 1e6 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns how many times `part` can be taken from it.
    pub(crate) fn times(self, part: Self) -> usize {
        if self.0 == u64::MAX { usize::MAX } else { (self.0 / part.0.max(1)) as usize }
    }

    /// Returns what is left when `other` is taken away. An infinite amount stays infinite.
    pub(crate) fn minus(self, other: Self) -> Self {
        if self.0 == u64::MAX { self } else { Self(self.0.saturating_sub(other.0)) }
    }
}

/// What a group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many of its tasks may run at once.
    pub slots: usize,
    /// The resources that its tasks share.
    pub resources: Vec<(ResourceId, Amount)>,
}

impl Group {
    /// Returns a group that has slots and no resources.
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
    /// Once all of `groups` are retired, any group may run the task.
    outlives: bool,
    takes: Vec<(ResourceId, Amount)>,
}

impl Constraint {
    /// Returns a constraint under which a task may run only on `groups`, or on any group if that is
    /// `None`. With `others`, `groups` is a preference: the other groups may run the task while no
    /// preferred group has a slot and the resources to spare. While the task runs it `takes` these
    /// amounts of the resources of its group. A resource that is named twice is taken twice.
    ///
    /// Returns `None` if the task may run anywhere and takes nothing.
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
        (groups.is_some() || !sums.is_empty()).then_some(Self {
            groups,
            others,
            outlives: false,
            takes: sums,
        })
    }

    /// Returns the same constraint for a task that any group may run once all the groups that it names are retired: one that
    /// has to tell that what it needs has gone with them.
    #[must_use]
    pub fn outliving_groups(self) -> Self {
        Self { outlives: true, ..self }
    }

    /// Returns whether any group may run the task, since those that it names are gone.
    pub(crate) fn is_orphaned(&self, is_gone: impl Fn(&GroupId) -> bool) -> bool {
        self.outlives && self.groups.as_ref().is_some_and(|groups| groups.iter().all(is_gone))
    }

    /// Returns what a task takes of its group's resources. Each resource occurs once.
    #[must_use]
    pub fn takes(&self) -> &[(ResourceId, Amount)] {
        &self.takes
    }

    /// Returns whether this group can ever run the task, even if it cannot now.
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

    /// Returns whether the constraint names this group, or names none.
    #[must_use]
    pub fn names(&self, group: GroupId) -> bool {
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
