//! The scopes that are open, as a dashboard shows them.

use super::engine::Engine;
use super::job::Job;
use azolla_core::{ScopeView, Tally, TaskId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The most scopes that are told.
const MOST: usize = 100;

/// The scopes that have not ended, by what their front ends call them: groups.
#[derive(Clone, Debug, Default)]
pub struct OpenGroups {
    /// Of these at most a hundred, those with the most live tasks, in the order in which they were opened.
    pub told: Vec<GroupInfo>,
    /// How many there are.
    pub all: usize,
}

/// What is known of one group.
#[derive(Clone, Debug)]
pub struct GroupInfo {
    /// Its gate: what to cancel, with all that has grown from it.
    pub gate: TaskId,
    /// What it is called.
    pub name: String,
    /// How many groups it is in.
    pub depth: usize,
    /// How many tasks of it have not ended, and how many have ended how, with those of the groups within it.
    pub tally: Tally,
    /// Nothing more is submitted in its block: somebody waits for its end.
    pub is_closed: bool,
}

impl<J: Job + ?Sized> Engine<J> {
    pub(super) fn open_groups(&self) -> OpenGroups {
        let mut scopes = self.with(|locked| {
            let (scheduler, open) = (&locked.state.scheduler, locked.state.scopes.open());
            let view =
                |gate| Some((gate, scheduler.scope(gate)?, Arc::clone(scheduler.payload(gate)?)));
            open.filter_map(view).collect::<Vec<_>>()
        });
        let all = scopes.len();
        let (mut sums, depths) = sums(&scopes);
        if all > MOST {
            scopes.sort_by_key(|(gate, ..)| std::cmp::Reverse(sums[gate].live));
            scopes.truncate(MOST);
        }
        scopes.sort_by_key(|(_, view, _)| view.number);
        let mut told = Vec::new();
        if !scopes.is_empty() {
            self.runner().asking(&mut || {
                told = scopes
                    .iter()
                    .map(|(gate, view, job)| GroupInfo {
                        gate: *gate,
                        name: job.name(),
                        depth: depths[gate],
                        tally: sums.remove(gate).unwrap_or_default(),
                        is_closed: view.is_closed,
                    })
                    .collect();
            });
        }
        OpenGroups { told, all }
    }
}

type Found<J> = [(TaskId, ScopeView, Arc<J>)];

/// The counts of each scope and of those within it, and how many scopes it is in.
fn sums<J: ?Sized>(scopes: &Found<J>) -> (FxHashMap<TaskId, Tally>, FxHashMap<TaskId, usize>) {
    let around: FxHashMap<_, _> =
        scopes.iter().map(|(gate, view, _)| (*gate, view.around)).collect();
    let (mut sums, mut depths) = (FxHashMap::<_, Tally>::default(), FxHashMap::default());
    for (gate, view, _) in scopes {
        let above = |gate: &TaskId| around.get(gate).copied().flatten();
        let path = std::iter::successors(Some(*gate), above);
        let depth = path.map(|gate| sums.entry(gate).or_default().add(&view.tally)).count() - 1;
        depths.insert(*gate, depth);
    }
    (sums, depths)
}
