//! Estimates the bytes that the kept results take, from a sample, so that it costs little.

use super::engine::Engine;
use super::job::Job;
use azolla_core::State;
use std::sync::Arc;

/// What a sample of the kept results has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The number of results in the sample.
    pub looked_at: usize,
    /// The number of those whose size is known.
    pub known: usize,
    /// The bytes of those whose size is known.
    pub bytes: u64,
    /// True if the sample holds all results that are kept.
    pub all: bool,
}

/// The number of results that a sample aims at. It may look at nearly twice as many.
const SAMPLE: usize = 512;
/// The number of places that are looked at in one hold of the lock.
const PORTION: usize = 64;

impl<J: Job + ?Sized> Engine<J> {
    /// Looks at some 512 results, or nearly twice as many, spread evenly over the places of tasks.
    /// Another `round` looks at others, unless the sample holds all.
    pub(super) fn sample_held(&self, round: usize) -> Held {
        let (places, kept) = self
            .with(|locked| (locked.state.scheduler.places(), locked.state.scheduler.counts().kept));
        let all = kept <= SAMPLE;
        let step = if all { 1 } else { (places / SAMPLE).max(1) };
        let mut found: Vec<Arc<J>> = Vec::new();
        let mut place = if all { 0 } else { round.wrapping_mul(7919) % step };
        while place < places {
            self.with(|locked| {
                for _ in 0..PORTION {
                    let Some((next, id)) = locked.state.scheduler.next_from(place) else {
                        place = places;
                        return;
                    };
                    // Of the tasks in one stride only the first is looked at, so that sparse places
                    // count no more.
                    place = if all { next } else { (next - 1).max(place) + step };
                    let done = locked.state.scheduler.task(id);
                    if done.is_some_and(|task| task.state == State::Done)
                        && let Some(job) = locked.payload(id)
                    {
                        found.push(job);
                    }
                }
            });
        }
        let mut held = Held { looked_at: found.len(), all, ..Held::default() };
        self.runner().asking(&mut || {
            let sizes = found.iter().filter_map(|job| job.size());
            (held.known, held.bytes) = sizes.fold((0, 0), |(n, sum), size| (n + 1, sum + size));
        });
        held
    }
}
