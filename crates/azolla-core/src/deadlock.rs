//! Deadlocks over resources. A task may wait for a task that needs the resources which the waiting
//! task keeps. Or several waiting tasks keep what each other's children need.
//!
//! The check is made when a task is about to wait, to await or to rejoin. It assumes that every running task
//! ends and gives back what it uses. Then it simulates: each waiter that can go on does so, and
//! gives back what it keeps, until no other can. Any waiter that is left would wait for ever.

use crate::constraint::{Amount, GroupId};
use crate::event::Wait;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::sets::{Fit, SetId};
use crate::task::{State, Task};
use crate::workers::{Hold, Worker, WorkerState};
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// A task that waits or awaits in the middle of running, or wants to rejoin.
struct Waiter<'a> {
    task: Option<TaskId>,
    group: GroupId,
    /// What it waits for; `None` if it rejoins.
    wait: Option<&'a Wait>,
    hold: Hold,
    goes_on: bool,
}

/// The tasks that have not begun and that waiters need, each with whether it will begin and so end.
type Ends = HashMap<TaskId, bool, FxBuildHasher>;

impl<P: Clone> Scheduler<P> {
    /// Returns the tasks that would keep each other waiting for ever if the task on this worker
    /// began this wait (`None`: if it rejoined). That task comes first.
    #[inline]
    pub(crate) fn deadlock(
        &self,
        id: WorkerId,
        task: TaskId,
        wait: Option<&Wait>,
    ) -> Option<Vec<TaskId>> {
        if self.sets.is_empty() {
            return None;
        }
        let Worker { group, hold, .. } = *self.workers.get(id)?;
        self.find_deadlock(Waiter { task: Some(task), group, wait, hold, goes_on: false })
    }

    /// Does the same for a task without a slot that is about to await others.
    #[inline]
    pub(crate) fn deadlock_of_await(&self, task: TaskId, wait: &Wait) -> Option<Vec<TaskId>> {
        if self.sets.is_empty() { None } else { self.find_deadlock(self.awaiting(task, wait)) }
    }

    /// Returns the tasks that keep each other waiting for ever since this one has been submitted, which one of these gates waits
    /// for. It comes first.
    #[cold]
    pub(crate) fn starved_behind(&self, id: TaskId, gates: &[TaskId]) -> Option<Vec<TaskId>> {
        if self.sets.is_empty() {
            return None;
        }
        let waits_for_gate =
            |wait: &Wait| wait.all && wait.tasks.iter().any(|it| gates.contains(it));
        let waiters = self.waiters();
        if !waiters.iter().any(|waiter| waiter.wait.is_some_and(waits_for_gate)) {
            return None;
        }
        let (waiters, nodes, ends) = self.simulate(waiters);
        let is_stuck = |it: &Waiter<'_>| !it.goes_on && it.wait.is_some_and(waits_for_gate);
        if ends.get(&id) != Some(&false) || !waiters.iter().any(is_stuck) {
            return None;
        }
        let mut path = self.involved(&waiters, &nodes, &ends);
        path.retain(|task| *task != id);
        path.insert(0, id);
        Some(path)
    }

    /// Returns a task that awaits others without a slot, with what it holds meanwhile.
    fn awaiting<'a>(&self, task: TaskId, wait: &'a Wait) -> Waiter<'a> {
        let (group, hold) = match self.tasks.get(task).map(|task| task.state) {
            Some(State::Seceded { worker }) => {
                self.workers.get(worker).map(|worker| (worker.group, worker.hold))
            }
            _ => self.workerless.get(&task).map(|(group, set)| (*group, Hold::Kept(*set))),
        }
        .unwrap_or((GroupId(0), Hold::Nothing));
        Waiter { task: Some(task), group, wait: Some(wait), hold, goes_on: false }
    }

    fn find_deadlock(&self, own: Waiter<'_>) -> Option<Vec<TaskId>> {
        if !self.something_may_starve(&own) {
            return None;
        }
        let mut waiters = vec![own];
        waiters.extend(self.waiters());
        let (waiters, nodes, ends) = self.simulate(waiters);
        if waiters[0].goes_on { None } else { Some(self.involved(&waiters, &nodes, &ends)) }
    }

    /// Returns all that wait.
    fn waiters(&self) -> Vec<Waiter<'_>> {
        let mut waiters = Vec::new();
        waiters.extend(self.awaits.iter().map(|(task, wait)| self.awaiting(*task, wait)));
        for (_, worker) in self.workers.iter() {
            let Worker { group, hold, .. } = *worker;
            // A task that waits below another one on its worker's stack holds nothing.
            let waits = worker.waits().map(|(waiter, wait)| {
                let hold = if waiter == worker.task { hold } else { Hold::Nothing };
                Waiter { task: waiter, group, wait: Some(wait), hold, goes_on: false }
            });
            waiters.extend(waits);
            if let WorkerState::Rejoining = worker.state {
                let (task, wait) = (worker.task, None);
                waiters.push(Waiter { task, group, wait, hold, goes_on: false });
            }
        }
        waiters
    }

    /// Lets each of these go on that can, until no other can.
    fn simulate<'a>(&self, mut waiters: Vec<Waiter<'a>>) -> (Vec<Waiter<'a>>, Vec<TaskId>, Ends) {
        let mut spare = self.spare_beside(&waiters);
        let nodes = self.reached_from(&waiters);
        let mut ends: Ends = nodes.iter().map(|id| (*id, false)).collect();
        while self.let_go_on(&mut waiters, &mut spare, &nodes, &mut ends) {}
        (waiters, nodes, ends)
    }

    /// A quick look that mostly says no. Returns whether there is a constraint set for which no
    /// group would have enough, beside what waiting tasks keep. This task counts as one of them.
    fn something_may_starve(&self, own: &Waiter<'_>) -> bool {
        let (own_group, own_takes) = match own.hold {
            Hold::Used(set) | Hold::GivenUp(set) => (Some(own.group), self.sets.get(set).takes()),
            Hold::Nothing | Hold::Kept(_) => (None, &[][..]),
        };
        let starves = |set: &crate::sets::Set| {
            let enough = |group: GroupId| {
                set.takes().iter().all(|(resource, amount)| {
                    let stock = self.workers.group(group).stock(*resource);
                    let mut left = stock.total.minus(stock.kept);
                    if own_group == Some(group) {
                        let own = own_takes.iter().find(|(other, _)| other == resource);
                        left = left.minus(own.map_or(Amount::default(), |(_, amount)| *amount));
                    }
                    left >= *amount
                })
            };
            let mut groups = self.workers.group_ids();
            !set.takes().is_empty()
                && set.is_runnable()
                && !groups.any(|group| set.fit(group) != Fit::Never && enough(group))
        };
        // A task that rejoins needs the resources of its own group, so this look says nothing about
        // it.
        matches!(own.hold, Hold::GivenUp(_)) || self.sets.iter().any(|(_, set)| starves(set))
    }

    /// Returns, by group and resource, what is left beside what these waiters keep.
    fn spare_beside(&self, waiters: &[Waiter<'_>]) -> Vec<Vec<Amount>> {
        let groups = self.workers.groups.iter();
        let total = |group: &crate::workers::Slots| {
            group.resources.iter().map(|stock| stock.total).collect::<Vec<_>>()
        };
        let mut spare: Vec<Vec<Amount>> = groups.map(total).collect();
        for waiter in waiters {
            if let Hold::Used(set) | Hold::Kept(set) = waiter.hold {
                for (resource, amount) in self.sets.get(set).takes() {
                    let left = &mut spare[waiter.group.index()][usize::from(resource.0)];
                    *left = left.minus(*amount);
                }
            }
        }
        spare
    }

    /// Returns the tasks that have not begun and that waiters wait for, directly, through dependencies or
    /// in an actor's mailbox.
    fn reached_from(&self, waiters: &[Waiter<'_>]) -> Vec<TaskId> {
        let waits = waiters.iter().filter_map(|waiter| waiter.wait);
        let mut reached: Vec<TaskId> = waits.flat_map(|wait| wait.tasks.iter().copied()).collect();
        let mut seen: Ends = HashMap::default();
        let mut nodes = Vec::new();
        while let Some(id) = reached.pop() {
            let Some(task) = self.tasks.get(id) else { continue };
            let begins = matches!(task.state, State::Waiting { .. } | State::Ready);
            if begins && seen.insert(id, false).is_none() {
                nodes.push(id);
                if let State::Waiting { .. } = task.state {
                    reached.extend(self.awaited_by(id, task));
                }
            }
        }
        nodes
    }

    /// One round of the simulation. Returns whether a task turned out to begin, or a waiter to go
    /// on, that had not before.
    fn let_go_on(
        &self,
        waiters: &mut [Waiter<'_>],
        spare: &mut [Vec<Amount>],
        nodes: &[TaskId],
        ends: &mut Ends,
    ) -> bool {
        let mut changed = false;
        // The tasks that were reached last are mostly inputs of the others.
        for id in nodes.iter().rev() {
            if !ends[id] && self.will_begin(*id, waiters, spare, ends) {
                ends.insert(*id, true);
                changed = true;
            }
        }
        for at in 0..waiters.len() {
            let Waiter { group, wait, hold, goes_on, .. } = waiters[at];
            let over = match wait {
                _ if goes_on => false,
                None => match hold {
                    Hold::GivenUp(set) => self.has_enough(group, set, spare),
                    _ => true,
                },
                Some(wait) => {
                    let mut there = wait.tasks.iter().map(|id| self.will_end(*id, waiters, ends));
                    wait.tasks.is_empty()
                        || if wait.all { there.all(|it| it) } else { there.any(|it| it) }
                }
            };
            if over {
                waiters[at].goes_on = true;
                changed = true;
                if let Hold::Used(set) | Hold::Kept(set) = hold {
                    for (resource, amount) in self.sets.get(set).takes() {
                        let left = &mut spare[group.index()][usize::from(resource.0)];
                        *left = left.plus(*amount);
                    }
                }
            }
        }
        changed
    }

    /// Returns whether a task that has not begun will: its inputs and the call before it will end, and some
    /// group has enough.
    fn will_begin(
        &self,
        id: TaskId,
        waiters: &[Waiter<'_>],
        spare: &[Vec<Amount>],
        ends: &Ends,
    ) -> bool {
        let Some(task) = self.tasks.get(id) else { return true };
        if let State::Waiting { .. } = task.state
            && !self.awaited_by(id, task).all(|input| self.will_end(input, waiters, ends))
        {
            return false;
        }
        let Some(set) = self.tasks.set(task.rare) else { return true };
        // A wait for a task that no group can ever run never ends, but the waiters are not to
        // blame.
        !self.sets.get(set).is_runnable() || {
            let mut groups = self.workers.group_ids();
            groups.any(|group| {
                self.sets.get(set).fit(group) != Fit::Never && self.has_enough(group, set, spare)
            })
        }
    }

    fn has_enough(&self, group: GroupId, set: SetId, spare: &[Vec<Amount>]) -> bool {
        self.sets.get(set).takes().iter().all(|(resource, amount)| {
            let spare = spare[group.index()].get(usize::from(resource.0));
            spare.copied().unwrap_or_default() >= *amount
        })
    }

    fn will_end(&self, id: TaskId, waiters: &[Waiter<'_>], ends: &Ends) -> bool {
        let Some(task) = self.tasks.get(id) else { return true };
        match task.state {
            State::Waiting { .. } | State::Ready => ends.get(&id).copied().unwrap_or(true),
            _ => waiters
                .iter()
                .find(|waiter| waiter.task == Some(id))
                .is_none_or(|waiter| waiter.goes_on),
        }
    }

    /// Returns the tasks of a deadlock: the one that asked, then those that cannot begin, then the
    /// other waiters that hold resources or want them back.
    fn involved(&self, waiters: &[Waiter<'_>], nodes: &[TaskId], ends: &Ends) -> Vec<TaskId> {
        let stuck = waiters.iter().filter(|waiter| !waiter.goes_on);
        let mut tasks: Vec<TaskId> = stuck.clone().take(1).filter_map(|it| it.task).collect();
        let set = |task: &Task<P>| self.tasks.set(task.rare);
        let takes =
            |id: &TaskId| self.tasks.get(*id).is_some_and(|task| !self.takes(set(task)).is_empty());
        tasks.extend(nodes.iter().filter(|id| !ends[*id] && takes(id)));
        tasks.extend(stuck.skip(1).filter(|it| it.hold != Hold::Nothing).filter_map(|it| it.task));
        tasks
    }
}
