//! The groups of slots as front ends know them: resources have names, and amounts are
//! floating-point numbers.

use azolla_core::{Amount, Constraint, Group, GroupId, ResourceId};
use std::sync::Arc;

/// The groups of an engine, which users call workers, and the names of their resources. Those that are retired have no
/// slots.
#[derive(Clone, Debug)]
pub struct Groups {
    groups: Vec<Group>,
    /// The names of the resources, by their numbers.
    resources: Vec<String>,
}

/// The error for an amount of a resource that is negative or NaN.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("there is no such amount of the resource {resource:?} as {amount}")]
pub struct BadAmount {
    /// The resource.
    pub resource: String,
    /// The amount.
    pub amount: f64,
}

impl Groups {
    /// One group with this many slots and no resources.
    #[must_use]
    pub fn of_slots(slots: usize) -> Self {
        Self { groups: vec![Group::of_slots(slots)], resources: Vec::new() }
    }

    /// Groups with these numbers of slots and amounts of resources, numbered in this order.
    ///
    /// # Errors
    /// If an amount is negative or NaN.
    pub fn new<'a, R>(groups: impl IntoIterator<Item = (usize, R)>) -> Result<Self, BadAmount>
    where
        R: IntoIterator<Item = (&'a str, f64)>,
    {
        let mut made = Self { groups: Vec::new(), resources: Vec::new() };
        for (slots, resources) in groups {
            made.add(slots, resources)?;
        }
        Ok(made)
    }

    /// Adds a group with so many slots and these amounts of resources.
    pub(super) fn add<'a>(
        &mut self,
        slots: usize,
        resources: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), BadAmount> {
        let mut group = Group::of_slots(slots);
        for (name, amount) in resources {
            let amount = measure(name, amount)?;
            group.resources.push((self.name(name), amount));
        }
        self.groups.push(group);
        Ok(())
    }

    /// This group begins nothing any more. It keeps its number.
    pub(super) fn retire(&mut self, group: GroupId) {
        if let Some(group) = self.groups.get_mut(usize::from(group.0)) {
            group.slots = 0;
        }
    }

    fn name(&mut self, name: &str) -> ResourceId {
        self.resource(name).unwrap_or_else(|| {
            self.resources.push(name.to_owned());
            ResourceId(self.resources.len() as u16 - 1)
        })
    }

    fn resource(&self, name: &str) -> Option<ResourceId> {
        self.resources.iter().position(|other| other == name).map(|at| ResourceId(at as u16))
    }

    /// The number of groups, those included that are retired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Returns true if there is no group, and so no place to run a task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The number of slots of all groups.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.groups.iter().map(|group| group.slots).sum()
    }

    /// The number of slots of this group.
    #[must_use]
    pub fn slots_of(&self, group: GroupId) -> usize {
        self.groups.get(usize::from(group.0)).map_or(0, |group| group.slots)
    }

    pub(super) fn as_core(&self) -> &[Group] {
        &self.groups
    }

    /// The constraint of tasks that take these amounts of resources and may run in these groups
    /// alone (`None`: in any group); with `others`, also in other groups while none of these has
    /// room. Returns `None` if that constrains nothing. A task that names a resource runs only in
    /// groups that have the resource, even if the amount is 0.
    ///
    /// # Errors
    /// If an amount is negative or NaN.
    pub fn constraint<'a>(
        &self,
        groups: Option<Vec<GroupId>>,
        others: bool,
        resources: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<Option<Arc<Constraint>>, BadAmount> {
        let (mut groups, mut others, mut takes) = (groups, others, Vec::new());
        for (name, amount) in resources {
            let amount = measure(name, amount)?;
            let resource = self.resource(name);
            if amount > Amount::default() {
                takes.push((resource.unwrap_or(ResourceId::NOWHERE), amount));
                continue;
            }
            let named = groups.filter(|_| !others).unwrap_or_else(|| self.all().collect());
            groups = Some(named.into_iter().filter(|group| self.has(*group, resource)).collect());
            others = false;
        }
        Ok(Constraint::new(groups, others, takes).map(Arc::new))
    }

    /// The groups, by their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.groups.len() as u16).map(GroupId)
    }

    fn has(&self, group: GroupId, resource: Option<ResourceId>) -> bool {
        let resources = &self.groups[usize::from(group.0)].resources;
        resources.iter().any(|(other, _)| Some(*other) == resource)
    }

    /// The groups that could run a task with this constraint: those that it names, if it names any.
    #[must_use]
    pub fn fitting(&self, constraint: Option<&Constraint>) -> Vec<GroupId> {
        let fits = |(group, id): (&Group, GroupId)| {
            let fits = constraint.map_or(group.slots > 0, |it| it.fits(id, group));
            fits.then_some(id)
        };
        let fitting: Vec<_> = self.groups.iter().zip(self.all()).filter_map(fits).collect();
        let is_named = |id: &GroupId| constraint.is_none_or(|constraint| constraint.names(*id));
        let named: Vec<_> = fitting.iter().copied().filter(is_named).collect();
        if named.is_empty() { fitting } else { named }
    }

    /// Returns true if some group could ever run a task with this constraint.
    #[must_use]
    pub fn can_run(&self, constraint: &Constraint) -> bool {
        self.groups.iter().zip(self.all()).any(|(group, id)| constraint.fits(id, group))
    }
}

fn measure(name: &str, amount: f64) -> Result<Amount, BadAmount> {
    Amount::new(amount).ok_or_else(|| BadAmount { resource: name.to_owned(), amount })
}
