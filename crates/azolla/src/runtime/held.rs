//! How many bytes the results take that are held: from a sample, so that it costs little.

use super::engine::Engine;
use super::job::Job;
use azolla_core::State;
use std::sync::Arc;

/// What a sample of the results that are held has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many results were looked at.
    pub looked_at: usize,
    /// Of how many of those the size is known.
    pub known: usize,
    /// The bytes of those of which it is known.
    pub bytes: u64,
    /// Whether these were all that are held.
    pub all: bool,
}

/// The most results that are looked at.
const SAMPLE: usize = 512;
/// How many places are looked for in one hold of the lock.
const PORTION: usize = 64;

impl<J: Job + ?Sized> Engine<J> {
    /// Looks at up to 512 results, evenly spread over where tasks are kept; with another `turn`
    /// at others, unless these are all.
    pub(super) fn sample_held(&self, turn: usize) -> Held {
        let (places, kept) = self
            .with(|locked| (locked.state.scheduler.places(), locked.state.scheduler.counts().kept));
        let all = kept <= SAMPLE;
        let step = if all { 1 } else { (places / SAMPLE).max(1) };
        let mut found: Vec<Arc<J>> = Vec::new();
        let mut place = if all { 0 } else { turn.wrapping_mul(7919) % step };
        while place < places {
            self.with(|locked| {
                for _ in 0..PORTION {
                    let Some((next, id)) = locked.state.scheduler.next_from(place) else {
                        place = places;
                        return;
                    };
                    // Of those that lie in one stride, one: what lies sparsely counts no more.
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
