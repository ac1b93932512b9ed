//! The stories of single tasks: keeps the latest observations of all tasks, and picks out those of
//! the tasks that are asked for.

use super::engine::Engine;
use super::job::Job;
use super::observe::{Keeps, Observation, Observations, What};
use azolla_core::{Key, TaskId};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Remembers what happens to tasks, from when it is made: the latest 100,000 observations.
pub struct Story {
    observations: Observations,
    kept: VecDeque<Observation>,
}

/// As many as Dask keeps of its transitions.
const MOST: usize = if cfg!(test) { 100 } else { 100_000 };

impl Story {
    /// Begins to remember what happens in an engine. Each task costs a few hundred nanoseconds more
    /// until the `Story` is dropped.
    #[must_use]
    pub fn begin<J: Job + ?Sized>(engine: &Engine<J>) -> Self {
        let observations = engine.observe_all(MOST, Keeps::Last);
        Self { observations, kept: VecDeque::new() }
    }

    /// What is remembered of the tasks in `asked`, in order of time. A task is asked for by its id,
    /// by the key that it was submitted with, or by both. Each observation comes with the task's
    /// place in `asked`.
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
        // Observations of several threads come a little out of order.
        self.kept.make_contiguous().sort_by_key(|seen| seen.at);
    }
}
