//! Pure functions that take long to hash: the user is told, once for each, if that takes longer than their tasks.
//! Nothing below a millisecond is long.
//!
//! A function is hashed at each submit, since the values that it names may change. The clock is read only for
//! functions that were found to name much.

use crate::session::shared::Shared;
use azolla::watch::Watch;
use pyo3::intern;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Below this a submit is not slow, whatever its task takes.
const LONG: Duration = Duration::from_millis(1);

/// The first hashings, in which much is new, are not judged.
const JUDGED: u32 = 4;

/// What is known of the hashing of a function.
struct Hashing {
    /// How many times it was hashed since it was found to name much.
    times: u32,
    /// The shortest time of those taken. Another thread may have interrupted the longer ones.
    least: Duration,
}

/// The functions that were found to name much. `None`: the user was told.
static COSTLY: Mutex<FxHashMap<u64, Option<Hashing>>> =
    Mutex::new(FxHashMap::with_hasher(rustc_hash::FxBuildHasher));

/// True once there is a function that names much. Mostly there is none.
static ANY: AtomicBool = AtomicBool::new(false);

fn with<T>(change: impl FnOnce(&mut FxHashMap<u64, Option<Hashing>>) -> T) -> T {
    // Nothing of Python's is touched while this is locked.
    change(&mut COSTLY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns when the hashing of a function begins, if the function names much. The user's being told soon is enough,
/// so only some of its submits are timed.
pub(super) fn begin(kind: u64) -> Option<Instant> {
    if !ANY.load(Ordering::Relaxed) {
        return None;
    }
    let timed = with(|costly| match costly.get_mut(&kind) {
        Some(Some(hashing)) => {
            hashing.times += 1;
            hashing.times.is_power_of_two()
        }
        _ => false,
    });
    timed.then(Instant::now)
}

/// Notes that a function names much.
pub(super) fn note(kind: u64) {
    with(|costly| {
        costly.entry(kind).or_insert(Some(Hashing { times: 0, least: Duration::MAX }));
    });
    ANY.store(true, Ordering::Relaxed);
}

/// Tells the user if the hashings of the function take longer than its tasks, each and together.
pub(super) fn end(
    shared: &Shared,
    name: &Bound<'_, PyAny>,
    kind: u64,
    began: Instant,
) -> PyResult<()> {
    let took = began.elapsed();
    let judged = with(|costly| {
        let hashing = costly.get_mut(&kind)?.as_mut()?;
        hashing.least = hashing.least.min(took);
        (hashing.times >= JUDGED && hashing.least >= LONG)
            .then_some((hashing.times, hashing.least.as_secs_f64()))
    });
    let Some((times, took)) = judged else { return Ok(()) };
    let shown = name.to_string();
    let overview = shared.engine.overview();
    let Some(branch) = overview.branches.iter().find(|branch| *branch.name == *shown) else {
        return Ok(());
    };
    let tasks: u32 = branch.durations.by_power.iter().sum();
    let total = branch.durations.total as f64 / 1e9;
    let each = total / f64::from(tasks.max(1));
    // A `map` hashes its function once for all its tasks.
    if tasks == 0 || took <= each || took * f64::from(times) <= total {
        return Ok(());
    }
    with(|costly| costly.insert(kind, None));
    let cluster = shared.cluster.object(name.py())?;
    cluster.call_method1(intern!(name.py(), "_warn_costly"), (shown, took, each))?;
    Ok(())
}
