//! How much there will be, and how long it will take: an honest range.
//!
//! The tree of growth is taken as a branching process. How many tasks each one grows, and how long
//! each takes, is what has been measured so far. The low end assumes that nothing more grows and
//! times are on their low side; the high end that what has not ended grows as what has ended did,
//! both with two standard errors on top. If what has ended lately grew less than what ended before,
//! that counts: so the end of growth is seen when it comes. What cannot be told is not told: a function of which no
//! task has ended yet, or growth that has no end at the rates measured.

use azolla::watch::{BranchInfo, Grown, Overview};
use serde::Serialize;

/// From at least to at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// At least.
    pub low: f64,
    /// At most.
    pub high: f64,
}

/// What is to be expected, provided that nothing more is submitted from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Tasks in all, in the end.
    pub tasks: Option<Range>,
    /// Seconds until all have ended.
    pub seconds: Option<Range>,
    /// Why not.
    pub unknown: Option<String>,
}

/// How often the rates are followed: more generations than that do not come to an end.
const GENERATIONS: usize = 10_000;

struct Measured {
    live: f64,
    /// Seconds a task: the mean, and two standard errors of it.
    mean: Option<f64>,
    error: f64,
    /// It holds no slot for most of its time.
    is_async: bool,
}

/// What is to be expected of the tasks of an engine, as an [`Overview`] shows them.
#[must_use]
pub fn estimate(overview: &Overview) -> Estimate {
    let measured: Vec<Measured> = overview.branches.iter().map(measure).collect();
    let rates = rates(&overview.branches);
    let reached = reached(&measured, &rates);
    let unmeasured = (0..measured.len()).find(|b| reached[*b] && measured[*b].mean.is_none());
    let submitted = overview.counts.submitted as f64;
    let Some(expected) = descendants(&measured, &rates) else {
        let why = "at the rates measured so far it would grow without end";
        return Estimate { unknown: Some(why.into()), ..Estimate::default() };
    };
    let more: f64 = (0..measured.len()).map(|b| expected[b] - measured[b].live).sum();
    let tasks = Some(Range { low: submitted, high: (submitted + more).ceil() });
    if let Some(branch) = unmeasured {
        let name = &overview.branches[branch].name;
        let why = match overview.branches[branch].durations.turns {
            0 => format!("no task of {name} has been timed yet"),
            _ => format!("tasks of {name} are polled, and how long they wait is not timed"),
        };
        return Estimate { tasks, seconds: None, unknown: Some(why) };
    }
    let seconds = left(overview, &measured, &expected);
    Estimate { tasks, seconds: Some(seconds), unknown: None }
}

/// How long it takes until so many tasks of each branch have ended.
fn left(overview: &Overview, measured: &[Measured], expected: &[f64]) -> Range {
    let slots = overview.slots.max(1) as f64;
    // Where the work does not fill the slots now it may not do so later.
    let filled = (overview.counts.live as f64).clamp(1.0, slots);
    // Async work takes no slot: at best all of it goes on at once, at worst no more than now.
    let at_once = overview.counts.detached.max(1) as f64;
    let mut range = Range { low: 0.0, high: 0.0 };
    let mut longest: f64 = 0.0;
    for (branch, expected) in measured.iter().zip(expected) {
        let mean = branch.mean.unwrap_or(0.0);
        let (low, high) = ((mean - branch.error).max(0.0), mean + branch.error);
        if branch.is_async {
            // What runs already may be near its end.
            let is_new = branch.live > 0.0 && overview.counts.detached == 0;
            longest = longest.max(if is_new { low } else { 0.0 });
            range.high += expected * high / at_once.min(expected.max(1.0));
        } else {
            range.low += branch.live * low / slots;
            range.high += expected * high / filled;
        }
    }
    Range { low: range.low.max(longest), ..range }
}

fn measure(branch: &BranchInfo) -> Measured {
    let live = branch.submitted().saturating_sub(branch.settled()) as f64;
    let seen: f64 = branch.durations.by_power.iter().map(|count| f64::from(*count)).sum();
    if seen == 0.0 || branch.durations.turns > 0 {
        return Measured { live, mean: None, error: 0.0, is_async: false };
    }
    let mean = branch.durations.total as f64 / seen * 1e-9;
    let middle = |power: usize| 1.5 * 2f64.powi(power as i32) * 1e-9;
    let by_power = branch.durations.by_power.iter().enumerate();
    let squares: f64 =
        by_power.map(|(power, count)| f64::from(*count) * (middle(power) - mean).powi(2)).sum();
    // One alone says nothing of how much they differ: as much as their mean, say.
    let deviation = if seen < 2.0 { mean } else { (squares / (seen - 1.0)).sqrt() };
    let is_async = f64::from(branch.durations.detached) * 2.0 > seen;
    Measured { live, mean: Some(mean), error: 2.0 * deviation / seen.sqrt(), is_async }
}

/// From, to, and how many a task at the most: by how many have grown from those that have ended.
fn rates(branches: &[BranchInfo]) -> Vec<(usize, usize, f64)> {
    let mut rates = Vec::new();
    for (to, branch) in branches.iter().enumerate() {
        for Grown { from, count, lately } in &branch.grown_from {
            let from = *from as usize;
            let (ended, ended_lately) = (branches[from].settled(), branches[from].lately);
            if from != 0 && ended > 0 {
                // Where growth has come to its end, what ended lately shows that before all does.
                let rate = at_most(*count, ended).min(at_most(*lately, ended_lately));
                rates.push((from, to, rate));
            }
        }
    }
    rates
}

/// How many have grown from each that has ended, and two standard errors of it.
fn at_most(grown: u64, ended: u64) -> f64 {
    match ended {
        0 => f64::INFINITY,
        _ => (grown as f64 + 2.0 * (grown.max(1) as f64).sqrt()) / ended as f64,
    }
}

/// Which branches tasks may still come to be in.
fn reached(measured: &[Measured], rates: &[(usize, usize, f64)]) -> Vec<bool> {
    let mut reached: Vec<bool> = measured.iter().map(|branch| branch.live > 0.0).collect();
    loop {
        let found = rates.iter().filter(|(from, to, _)| reached[*from] && !reached[*to]);
        let found: Vec<usize> = found.map(|(_, to, _)| *to).collect();
        if found.is_empty() {
            return reached;
        }
        for to in found {
            reached[to] = true;
        }
    }
}

/// How many tasks of each branch are still to end, those that have still to grow included.
fn descendants(measured: &[Measured], rates: &[(usize, usize, f64)]) -> Option<Vec<f64>> {
    let mut expected: Vec<f64> = measured.iter().map(|branch| branch.live).collect();
    let mut generation = expected.clone();
    for _ in 0..GENERATIONS {
        let mut next = vec![0.0; generation.len()];
        for (from, to, rate) in rates {
            next[*to] += generation[*from] * rate;
        }
        let grown: f64 = next.iter().sum();
        for (all, new) in expected.iter_mut().zip(&next) {
            *all += new;
        }
        if grown < 0.5 {
            return Some(expected);
        }
        if grown > 1e12 {
            return None;
        }
        generation = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use azolla::watch::{Counts, Durations};
    use std::time::Duration;

    fn branch(name: &str, grown_from: &[(u32, u64)], finished: u64, each: u64) -> BranchInfo {
        let mut durations = Durations { total: each * finished, ..Durations::default() };
        if finished > 0 {
            durations.by_power[each.ilog2() as usize] = finished as u32;
        }
        // As it went all the time, so it went lately.
        let grown =
            |(from, count): &(u32, u64)| Grown { from: *from, count: *count, lately: *count };
        let (name, grown_from) = (name.into(), grown_from.iter().map(grown).collect());
        let (failed, cancelled, lately) = (0, 0, finished);
        BranchInfo { parent: 0, name, grown_from, finished, failed, cancelled, lately, durations }
    }

    fn overview(branches: Vec<BranchInfo>) -> Overview {
        let submitted = branches.iter().map(BranchInfo::submitted).sum();
        let settled = branches.iter().map(BranchInfo::settled).sum();
        let counts = Counts { submitted, settled, live: submitted - settled, ..Counts::default() };
        Overview { at: Duration::ZERO, slots: 2, left_out: 0, counts, queue: Vec::new(), branches }
    }

    #[test]
    fn what_has_ended_takes_no_more() {
        let none = branch("", &[], 0, 1);
        let done = estimate(&overview(vec![none, branch("f", &[(0, 4)], 4, 1000)]));
        assert_eq!(done.seconds, Some(Range { low: 0.0, high: 0.0 }));
        assert_eq!(done.tasks, Some(Range { low: 4.0, high: 4.0 }));
    }

    #[test]
    fn a_range_holds_what_is_left() {
        let second = 1 << 30;
        let none = branch("", &[], 0, 1);
        let parents = branch("parse", &[(0, 200)], 100, second);
        let children = branch("process", &[(1, 500)], 500, second);
        let seen = estimate(&overview(vec![none, parents, children]));
        // 100 more parents, with 5 children each, on two slots.
        let (tasks, seconds) = (seen.tasks.unwrap(), seen.seconds.unwrap());
        assert!(tasks.low == 700.0 && (1200.0..1300.0).contains(&tasks.high), "{tasks:?}");
        let each = second as f64 * 1e-9;
        assert!(seconds.low <= 50.0 * each && seconds.high >= 300.0 * each, "{seconds:?}");
        assert!(seconds.high < 500.0 * each, "{seconds:?}");
    }

    #[test]
    fn async_work_may_all_go_on_at_once() {
        let second = 1 << 30;
        let none = branch("", &[], 0, 1);
        let mut fetches = branch("fetch", &[(0, 1000)], 900, second);
        fetches.durations.detached = 900;
        let mut overview = overview(vec![none, fetches]);
        let seen = estimate(&overview).seconds.unwrap();
        let each = second as f64 * 1e-9;
        assert!((0.5 * each..each).contains(&seen.low) && seen.high >= 100.0 * each, "{seen:?}");
        // A hundred go on now: two slots are no limit to them.
        overview.counts.detached = 100;
        let seen = estimate(&overview).seconds.unwrap();
        assert!(seen.low == 0.0 && (each..3.0 * each).contains(&seen.high), "{seen:?}");
    }

    #[test]
    fn growth_that_has_stopped_is_seen() {
        let none = branch("", &[], 0, 1);
        // Each task grew one and more, until the last quarter grew none.
        let mut crawl = branch("crawl", &[(0, 1), (1, 1000)], 800, 1000);
        assert!(estimate(&overview(vec![none.clone(), crawl.clone()])).tasks.is_none());
        (crawl.lately, crawl.grown_from[1].lately) = (200, 0);
        let seen = estimate(&overview(vec![none, crawl]));
        let tasks = seen.tasks.unwrap();
        assert!(tasks.low == 1001.0 && (1001.0..1010.0).contains(&tasks.high), "{tasks:?}");
        assert!(seen.seconds.is_some() && seen.unknown.is_none());
    }

    #[test]
    fn what_is_unknown_is_called_so() {
        let none = branch("", &[], 0, 1);
        let new = estimate(&overview(vec![none.clone(), branch("new", &[(0, 4)], 0, 1)]));
        assert!(new.seconds.is_none() && new.unknown.unwrap().contains("new"));
        let endless = branch("crawl", &[(0, 1), (1, 1000)], 400, 1000);
        let endless = estimate(&overview(vec![none, endless]));
        assert!(endless.tasks.is_none() && endless.unknown.unwrap().contains("without end"));
    }
}
