//! What has happened to single tasks: the latest of all that has been observed, kept until somebody
//! asks for one of them.

use super::engine::Engine;
use super::job::Job;
use super::observe::{Keeps, Observation, Observations, What};
use azolla_core::{Key, TaskId};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Remembers what has happened, from when it is made: the latest 100,000 observations.
pub struct Story {
    observations: Observations,
    kept: VecDeque<Observation>,
}

/// As many as Dask keeps of its transitions.
const MOST: usize = if cfg!(test) { 100 } else { 100_000 };

impl Story {
    /// Begins to remember what happens in an engine. It costs every task a few hundred nanoseconds
    /// until this is dropped.
    #[must_use]
    pub fn begin<J: Job + ?Sized>(engine: &Engine<J>) -> Self {
        let observations = engine.observe_all(MOST, Keeps::Last);
        Self { observations, kept: VecDeque::new() }
    }

    /// What is remembered of tasks, in order, each with the place in `asked` of what it was asked by:
    /// the task's id, or the key that it had when it was submitted, or both.
    pub fn of(&mut self, asked: &[(Option<Key>, Option<TaskId>)]) -> Vec<(usize, Observation)> {
        self.remember();
        let (mut places, mut wanted) = (FxHashMap::default(), FxHashMap::default());
        for (place, (key, task)) in asked.iter().enumerate() {
            places.extend(key.map(|key| (key, place)));
            wanted.extend(task.map(|task| (task, place)));
        }
        for seen in &self.kept {
            if let What::Submitted { key: Some(key), .. } = seen.what
                && let Some(place) = places.get(&key)
            {
                wanted.insert(seen.task, *place);
            }
        }
        let told = self.kept.iter().filter_map(|seen| Some((*wanted.get(&seen.task)?, *seen)));
        told.collect()
    }

    fn remember(&mut self) {
        self.kept.extend(self.observations.take());
        let surplus = self.kept.len().saturating_sub(MOST);
        self.kept.drain(..surplus);
        // What several threads have seen comes in a little out of order.
        self.kept.make_contiguous().sort_by_key(|seen| seen.at);
    }
}
