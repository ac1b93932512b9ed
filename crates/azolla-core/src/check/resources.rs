//! The invariants of constraints: what each worker holds, what each set says about its tasks, and
//! that no slot is free while a ready task could use it.

use crate::constraint::{Amount, GroupId};
use crate::ensure::ensure;
use crate::id::{Priority, WorkerId};
use crate::placing::{Demand, Demands};
use crate::scheduler::Scheduler;
use crate::sets::Fit;
use crate::task::State;
use crate::workers::{Hold, Stock, Worker, WorkerState};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(super) fn check_resources(&self) -> Result<(), String> {
        for (id, worker) in self.workers.iter() {
            self.check_hold(id, worker)?;
        }
        self.check_stocks()?;
        self.check_sets()?;
        let demands = self.demands_found();
        for group in self.workers.group_ids() {
            self.check_best(group, &demands)?;
        }
        self.check_idle(&demands)
    }

    fn check_hold(&self, id: WorkerId, worker: &Worker) -> Result<(), String> {
        let Worker { hold, state, group, .. } = worker;
        let agrees = match state {
            WorkerState::Asleep | WorkerState::Waking | WorkerState::Summoned => {
                *hold == Hold::Nothing
            }
            WorkerState::Active | WorkerState::Resuming => {
                matches!(hold, Hold::Nothing | Hold::Used(_))
            }
            WorkerState::Parked { seceded: false, .. } => {
                matches!(hold, Hold::Nothing | Hold::Kept(_))
            }
            // When the runtime closes, a rejoining worker's task may end before it has its
            // resources back.
            WorkerState::Rejoining if worker.task.is_none() => *hold == Hold::Nothing,
            WorkerState::Rejoining => matches!(hold, Hold::GivenUp(_)),
            WorkerState::Seceded | WorkerState::Parked { seceded: true, .. } => {
                matches!(hold, Hold::Nothing | Hold::GivenUp(_))
            }
        };
        ensure!(agrees, "{id:?} is {state:?} and holds {hold:?}");
        ensure!(
            worker.task.is_some() || *hold == Hold::Nothing,
            "{id:?} holds {hold:?} for nothing"
        );
        for claimed in worker.claims.iter().filter_map(|task| self.tasks.get(*task)) {
            let is_claimed = claimed.state == State::Claimed { worker: id };
            ensure!(
                !is_claimed || self.tasks.set(claimed.rare).is_none(),
                "a claim has a constraint"
            );
        }
        let Some(task) = worker.task.and_then(|task| self.tasks.get(task)) else { return Ok(()) };
        if let Some(set) = self.tasks.set(task.rare) {
            let held = match hold {
                Hold::Nothing => self.takes(Some(set)).is_empty(),
                Hold::Used(held) | Hold::Kept(held) | Hold::GivenUp(held) => *held == set,
            };
            ensure!(held, "{id:?} holds {hold:?} in a task of {set:?}");
            let may = self.sets.get(set).fit(*group) != Fit::Never;
            ensure!(may || self.workers.group(*group).is_retired, "{id:?} may not run its task");
        }
        Ok(())
    }

    /// The total of each resource is what is available plus what is held.
    fn check_stocks(&self) -> Result<(), String> {
        for group in self.workers.group_ids() {
            let stocks = &self.workers.group(group).resources;
            let mut expected: Vec<Stock> =
                stocks.iter().map(|stock| Stock { kept: Amount::default(), ..*stock }).collect();
            expected.iter_mut().for_each(|stock| stock.available = stock.total);
            let workers = self.workers.iter().map(|(_, worker)| (worker.group, worker.hold));
            let detached = self.workerless.values().map(|(group, set)| (*group, Hold::Kept(*set)));
            for (_, hold) in workers.chain(detached).filter(|(of, _)| *of == group) {
                let (Hold::Used(set) | Hold::Kept(set)) = hold else { continue };
                for (resource, amount) in self.sets.get(set).takes() {
                    let stock = &mut expected[usize::from(resource.0)];
                    ensure!(stock.available >= *amount, "{group:?}: more of {resource:?} is taken");
                    stock.available = stock.available.minus(*amount);
                    if let Hold::Kept(_) = hold {
                        stock.kept = stock.kept.plus(*amount);
                    }
                }
            }
            ensure!(*stocks == expected, "{group:?} has {stocks:?}, it is {expected:?}");
            self.check_rejoining(group)?;
        }
        Ok(())
    }

    /// No task waits to rejoin for resources that are available and not saved for an earlier one.
    fn check_rejoining(&self, group: GroupId) -> Result<(), String> {
        let mut awaited = Vec::new();
        for id in &self.workers.group(group).rejoining {
            let Some(Hold::GivenUp(set)) = self.workers.get(*id).map(|worker| worker.hold) else {
                continue;
            };
            let takes = self.sets.get(set).takes();
            let lacks = self.lacks(group, takes);
            let overtakes = takes.iter().any(|(resource, _)| awaited.contains(resource));
            ensure!(!lacks.is_empty() || overtakes, "{id:?} could rejoin");
            if self.will_come(group, takes) {
                awaited.extend(lacks);
            }
        }
        Ok(())
    }

    fn check_sets(&self) -> Result<(), String> {
        let places = self.sets.iter().map(|(id, _)| id.index() + 1).max().unwrap_or(0);
        let mut uses = vec![0; places];
        let mut heads = vec![None; places];
        let mut ready = vec![0; places];
        for (_, task) in self.tasks.iter() {
            let Some(set) = self.tasks.set(task.rare) else { continue };
            uses[set.index()] += 1;
            if task.state == State::Ready {
                ready[set.index()] += 1;
                let head = &mut heads[set.index()];
                let order = self.tasks.order(task);
                *head = Some(head.map_or(order, |head| order.min(head)));
            }
        }
        for (_, worker) in self.workers.iter() {
            if let Hold::Used(set) | Hold::Kept(set) | Hold::GivenUp(set) = worker.hold {
                uses[set.index()] += 1;
            }
        }
        self.workerless.values().for_each(|(_, set)| uses[set.index()] += 1);
        let (mut runnable, mut unrunnable) = (0, 0);
        for (id, set) in self.sets.iter() {
            let at = id.index();
            ensure!(set.uses() == uses[at], "{id:?}: {} uses, counted {}", uses[at], set.uses());
            let queued = set.queue.len();
            ensure!(queued == ready[at], "{id:?}: {} ready, queued {queued}", ready[at]);
            ensure!(
                set.head == heads[at],
                "{id:?}: {:?} comes first, not {:?}",
                heads[at],
                set.head
            );
            *if set.is_runnable() { &mut runnable } else { &mut unrunnable } += ready[at];
            let listed = self.sets.ready().filter(|(other, _)| *other == id).count();
            let expected = usize::from(set.is_runnable() && ready[at] > 0);
            ensure!(listed == expected, "{id:?} is listed {listed} times with {queued} ready");
        }
        ensure!(runnable == self.sets.ready_tasks(), "{runnable} ready with a constraint");
        ensure!(unrunnable == self.sets.unrunnable(), "{unrunnable} that nobody can run");
        Ok(())
    }

    /// Returns what is ready, found by looking at the tasks.
    fn demands_found(&self) -> Demands {
        let mut demands = Demands::new();
        for (_, task) in self.tasks.iter().filter(|(_, task)| task.state == State::Ready) {
            let (set, head) = (self.tasks.set(task.rare), self.tasks.order(task));
            if set.is_some_and(|set| !self.sets.get(set).is_runnable()) {
                continue;
            }
            match demands.iter_mut().find(|demand: &&mut Demand| demand.set == set) {
                Some(demand) => {
                    demand.count += 1;
                    demand.head = demand.head.min(head);
                }
                None => demands.push(Demand { set, head, count: 1 }),
            }
        }
        demands
    }

    fn check_best(&self, group: GroupId, demands: &[Demand]) -> Result<(), String> {
        let best = match self.choose(group, demands) {
            _ if self.workers.group(group).tally.resuming > 0 => Priority::MAX,
            _ if self.workers.group(group).is_retired => Priority::MAX,
            Some(demand) => demand.head.priority(),
            None => Priority::MIN,
        };
        let told = self.best_ready(group);
        ensure!(told == best, "{group:?}: the best is {best:?}, told {told:?}");
        Ok(())
    }

    /// No worker sleeps beside a free slot while a task could begin there for which no worker was
    /// woken.
    fn check_idle(&self, demands: &[Demand]) -> Result<(), String> {
        if self.closing || self.workers.any_idle().is_none() {
            return Ok(());
        }
        let groups = || self.workers.group_ids();
        let begins = |group: GroupId, demand: &Demand| {
            self.can_begin(group, demand, &self.awaited(group, demands))
        };
        if self.at_cap() {
            let idle = |group: &GroupId| self.workers.group(*group).is_idle();
            let held_back = demands.iter().any(|d| groups().filter(idle).any(|g| begins(g, d)));
            ensure!(
                !held_back || self.something_goes_on(),
                "nothing goes on, and the cap holds {demands:?} back"
            );
            return Ok(());
        }
        for demand in demands {
            let can: Vec<GroupId> = groups().filter(|group| begins(*group, demand)).collect();
            let waking = |group: &GroupId| self.workers.group(*group).tally.waking;
            let woken: usize = can.iter().map(waking).sum();
            let could_more = |group: &&GroupId| {
                self.workers.group(**group).is_idle() && waking(group) < self.times(**group, demand)
            };
            if let Some(idle) = can.iter().find(could_more) {
                ensure!(woken > 0, "{idle:?} could begin {demand:?}, and nobody is woken");
                let plain =
                    demand.set.is_some() || woken >= demand.count || self.sets.ready_tasks() > 0;
                ensure!(plain, "{idle:?} is idle, {woken} are woken for {demand:?}");
            }
        }
        Ok(())
    }
}
