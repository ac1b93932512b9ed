//! Leases: which places a process may have mapped.
//!
//! The client takes a lease each time that a message to the process names a place. The process gives it back once nothing
//! there refers to that range any more, as often as it was named. When the process ends, it has given back all.

use crate::message::Range;
use crate::place::Place;
use std::collections::HashMap;
use std::sync::Arc;

/// The leases of one process.
#[derive(Debug, Default)]
pub struct Leases {
    /// The places by arena and start, and how often each was named and not given back.
    places: HashMap<(u32, u64), (Arc<Place>, usize)>,
    /// The process has ended.
    over: bool,
}

impl Leases {
    /// A message to the process names this place.
    pub fn lend(&mut self, place: &Arc<Place>) {
        if !self.over {
            let Range { arena, start, .. } = place.range();
            self.places.entry((arena, start)).or_insert_with(|| (Arc::clone(place), 0)).1 += 1;
        }
    }

    /// The process gives back a lease. Returns the place if it was the last one; the caller drops it when nothing is
    /// locked. One that the process does not have changes nothing.
    #[must_use]
    pub fn give_back(&mut self, range: Range) -> Option<Arc<Place>> {
        let key = (range.arena, range.start);
        let (_, count) = self.places.get_mut(&key)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.places.remove(&key).map(|(place, _)| place)
    }

    /// The process has ended. Returns all places that it had; the caller drops them when nothing is locked.
    #[must_use]
    pub fn end(&mut self) -> Vec<Arc<Place>> {
        self.over = true;
        self.places.drain().map(|(_, (place, _))| place).collect()
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
mod tests {
    use super::*;
    use crate::place::tests::{Counted, place};
    use proptest::prelude::*;
    use std::sync::atomic::Ordering;

    proptest! {
        #[test]
        fn a_place_lasts_while_it_is_stored_or_lent(
            steps in prop::collection::vec((0..4_u8, 0..5_usize), 1..200)
        ) {
            let home = Arc::new(Counted::default());
            let mut places: Vec<_> = (0..5).map(|start| Some(Arc::new(place(&home, start)))).collect();
            let mut leases = Leases::default();
            let (mut lent, mut over) = ([0; 5], false);
            for (what, which) in steps {
                let range = Range { arena: 1, start: which as u64, length: 1 };
                match (what, &places[which]) {
                    (0, Some(place)) => {
                        leases.lend(place);
                        lent[which] += usize::from(!over);
                    }
                    (1, _) => {
                        drop(leases.give_back(range));
                        lent[which] = lent[which].saturating_sub(1);
                    }
                    (2, _) => places[which] = None,
                    (3, _) if which == 0 => {
                        drop(leases.end());
                        (lent, over) = ([0; 5], true);
                    }
                    _ => {}
                }
                let kept = (0..5).filter(|which| lent[*which] > 0 || places[*which].is_some()).count();
                prop_assert_eq!(home.put_back.load(Ordering::Relaxed), 5 - kept);
            }
        }
    }
}
