//! Processes that come and go while the cluster runs.
//!
//! A process that comes has the next number everywhere: in the fleet, the orders and the engine. One that is retired gets no
//! task any more. Its proxies end when its tasks have; then it is told to leave, as at the end of the cluster.

use super::{Common, Reins, Shared, spill};
use crate::task::job::PyJob;
use azolla::runtime::{Engine, Groups, NoGroup};
use azolla_core::GroupId;
use azolla_process::arena::THREADS;
use azolla_process::fleet::Seen;
use std::io;
use std::sync::{Arc, PoisonError, Weak};

impl Reins {
    /// Adds a process of so many threads with these amounts of resources. Returns its number.
    ///
    /// # Errors
    /// If there can be no such process.
    pub(crate) fn add(
        &self,
        engine: &Arc<Engine<PyJob>>,
        threads: usize,
        resources: &[(String, f64)],
    ) -> Result<u16, NoGroup> {
        if threads > THREADS {
            return Err(io::Error::other("a worker process cannot have so many threads").into());
        }
        let one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { fleet, .. } = &*self.shared;
        if engine.is_closing() {
            return Err(NoGroup::Closing);
        }
        if engine.groups().len() >= usize::from(u16::MAX) {
            return Err(NoGroup::TooMany);
        }
        let amounts = resources.iter().map(|(name, amount)| (name.as_str(), *amount));
        Groups::new([(threads, amounts.clone())])?; // so that nothing is left of one that cannot be
        self.shared.make_room();
        let process = fleet.add();
        let added = engine.add_group(threads, amounts);
        if added.is_err() {
            fleet.retire(process);
        }
        drop(one_at_a_time);
        self.shared.set_limit();
        debug_assert!(
            added.as_ref().is_ok_and(|group| usize::from(group.0) == process) || added.is_err()
        );
        added.map(|group| group.0)
    }

    /// Has a process get no task any more. What has begun there ends there, if the process lives. Returns at once.
    pub(crate) fn retire(&self, engine: &Engine<PyJob>, process: u16) {
        self.shared.fleet.retire(process.into());
        engine.retire_group(GroupId(process));
        self.shared.set_limit();
    }

    /// Returns true if a process may get tasks: it is there, and fitted out.
    pub(crate) fn is_ready(&self, process: u16) -> bool {
        self.shared.fleet.seen_of(process.into()).ready
    }

    /// Returns true if a process could not be started, as several tries in a row have shown.
    pub(crate) fn has_failed(&self, process: u16) -> bool {
        self.shared.fleet.seen_of(process.into()).failed
    }

    /// Returns how many tasks have begun in a process and have not ended.
    pub(crate) fn at_work(&self, engine: &Engine<PyJob>, process: u16) -> usize {
        // A proxy has a task in hand while it waits for its process.
        if !self.is_ready(process) {
            return 0;
        }
        engine.at_work(GroupId(process)) + self.shared.common.coroutines(process.into())
    }

    /// Returns true if a process that was retired has no task and no proxy any more.
    pub(crate) fn is_idle(&self, engine: &Engine<PyJob>, process: u16) -> bool {
        engine.is_gone(GroupId(process)) && self.shared.common.coroutines(process.into()) == 0
    }
}

impl Shared {
    /// Makes room for one more process in all that is kept for each.
    fn make_room(&self) {
        let common = &self.common;
        self.threads().push(Vec::new());
        common.gone.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::default());
        let mut holdings = common.holdings.lock().unwrap_or_else(PoisonError::into_inner);
        holdings.push((Weak::new(), Weak::new()));
        drop(holdings);
        common.desks.lock().unwrap_or_else(PoisonError::into_inner).push(false);
        common.orders.make_room();
    }

    /// The data of all processes may take its share of what they may take together.
    fn set_limit(&self) {
        if let Some(limit) = self.limit {
            let there = self.fleet.seen().iter().filter(|Seen { retired, .. }| !retired).count();
            // Without a process the data stays where it is.
            self.common.shelf.set_limit(spill::share(limit * there.max(1) as u64));
        }
    }
}

impl Common {
    /// How many tasks run in a process as coroutines.
    fn coroutines(&self, process: usize) -> usize {
        let all = self.holdings.lock().unwrap_or_else(PoisonError::into_inner);
        let holdings = all.get(process).and_then(|(_, holdings)| holdings.upgrade());
        drop(all);
        holdings.map_or(0, |holdings| holdings.coroutines())
    }
}
