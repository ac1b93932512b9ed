//! How often worker processes have died under a task.

use azolla_core::TaskId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// After so many deaths a task runs again; the next one fails it. As Dask's `allowed-failures`.
const ALLOWED: u32 = 3;

/// The deaths by task. One task more is in it for each process that has died.
#[derive(Default)]
pub(super) struct Deaths(Mutex<HashMap<TaskId, u32>>);

impl Deaths {
    /// Counts one more. Returns how many there were if the task is to be given up.
    pub(super) fn another(&self, task: TaskId) -> Option<u32> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deaths = all.entry(task).or_default();
        *deaths += 1;
        let deaths = *deaths;
        if deaths <= ALLOWED {
            return None;
        }
        all.remove(&task);
        Some(deaths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_death_gives_a_task_up_and_each_task_has_its_own() {
        let deaths = Deaths::default();
        let [one, other] = [1 << 32, (1 << 32) + 1].map(|bits| TaskId::from_bits(bits).unwrap());
        assert!((0..ALLOWED).all(|_| deaths.another(one).is_none()));
        assert_eq!(deaths.another(other), None);
        assert_eq!(deaths.another(one), Some(ALLOWED + 1));
        assert_eq!(deaths.another(one), None, "a retry begins anew");
    }
}
