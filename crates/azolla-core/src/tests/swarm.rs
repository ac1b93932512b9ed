//! Seeded random runs: all events, in any order. Every invariant is checked after every event, and
//! each run must come to a clean end.
//!
//! `SWARM_SEEDS=n` runs n seeds instead of 200; `SWARM_SEED=s` replays one.

use super::world::{Cell, Gate, Shows, ThreadState, World};
use crate::{
    Amount, Constraint, Event, Group, GroupId, Outcome, ResourceId, TaskId, Wait, WorkerId,
};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::string::{String, ToString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec;
use std::vec::Vec;
use std::{env, panic, thread};

const SEEDS: u64 = 300;
const EVENTS: u64 = 10_000;

#[test]
fn swarm() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SWARM_SEED") {
        run(seed);
        return;
    }
    let seeds = number("SWARM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let happened = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(|| runs(&next, seeds))).collect();
        let mut happened = BTreeMap::new();
        for handle in handles {
            for (what, times) in handle.join().unwrap_or_else(|why| panic::resume_unwind(why)) {
                *happened.entry(what).or_insert(0) += times;
            }
        }
        happened
    });
    if seeds >= SEEDS {
        for what in MUST_HAPPEN {
            let times = happened.get(what).copied().unwrap_or(0);
            assert!(times >= 10, "{times} times in {seeds} runs: {what}\n{happened:#?}");
        }
    }
}

type Happened = BTreeMap<&'static str, u64>;

/// What the runs are for: one in which some of this never happens shows nothing about it.
const MUST_HAPPEN: &[&str] = &[
    "a call was cancelled while parked",
    "a call was cancelled while ready",
    "a call was cancelled while running",
    "a call was cancelled while waiting",
    "a claim was begun",
    "a claim was taken back",
    "a dozing worker left",
    "a failure was disregarded",
    "a failure was told to its scope",
    "a scope was opened",
    "a cycle was refused",
    "a cycle was refused to a nested wait",
    "a cycle was refused to async work",
    "async work awaited others",
    "a failure was inherited",
    "a failure was taken back for another attempt",
    "a group was gone",
    "a group was retired",
    "a group was retired while it worked",
    "a key was found again",
    "a task began since its groups were gone",
    "a sleeping worker was summoned",
    "a slot was free at the cap",
    "a task was claimed in a batch",
    "a task was handed over",
    "a suspended task kept its resources",
    "a task began where it was not wished for",
    "a task that no group can run was cancelled",
    "a task waited for its resources to rejoin",
    "a task was held back for one that lacks resources",
    "a task was pulled",
    "a task was refused that would be waited for without end",
    "a task was run by one that waits for it",
    "a task with a constraint began",
    "a wait for resources that would not come was refused",
    "an await was given up",
    "async work was refused to await resources that would not come",
    "a wait was given up",
    "a worker dozed",
    "a worker left",
    "a worker left in a nested wait",
    "an actor was called again",
    "an actor was cancelled",
    "an end was not told at once",
    "an event was left half done",
    "async work held resources",
    "cancelled twice",
    "cancelled when done",
    "cancelled when failed",
    "cancelled while claimed",
    "cancelled while detached",
    "cancelled while parked",
    "cancelled while ready",
    "cancelled while running",
    "cancelled while seceded",
    "cancelled while suspended",
    "cancelled while waiting",
    "claims were outranked",
    "closed",
    "detached",
    "growth had ended",
    "growth was watched",
    "kept without a future",
    "no spare was there",
    "parked for all",
    "parked for the first",
    "parked when seceded",
    "rejoined",
    "sent to a group",
    "released when cancelled",
    "released when done",
    "released when failed",
    "released while claimed",
    "released when done, before the core was told",
    "released while detached",
    "released while parked",
    "released while ready",
    "released while running",
    "released while seceded",
    "released while suspended",
    "released while waiting",
    "run again",
    "seceded",
    "suspended",
    "what had grown was cancelled",
    "a task was interrupted",
    "a task had ended that was to be cancelled",
    "the cap was raised",
    "the cap was reached",
    "woken",
    "woken too late",
    "yielded",
];

fn runs(next: &AtomicU64, seeds: u64) -> Happened {
    let mut happened = Happened::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds {
            return happened;
        }
        match panic::catch_unwind(|| run(seed)) {
            Ok(in_this_run) => {
                for (what, times) in in_this_run {
                    *happened.entry(what).or_insert(0) += times;
                }
            }
            Err(failure) => {
                let why = failure
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| failure.downcast_ref::<&str>().map(ToString::to_string));
                panic!("seed {seed}: {}\nreplay with SWARM_SEED={seed}", why.unwrap_or_default());
            }
        }
    }
}

/// A small generator (xorshift64*, Vigna 2016): the runs must be the same everywhere, for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())]) }
    }
}

/// A run: what this seed is fond of, and the futures that the user holds.
struct Run {
    world: World,
    random: Random,
    held: Vec<Cell>,
    priorities: i32,
    waits: usize,
    failures: usize,
    /// Percent of the turns that leave their task suspended, and two.
    suspensions: usize,
    live: usize,
    keys: usize,
    /// How often what is submitted is a call of something.
    calls: usize,
    /// Futures held at once, about.
    futures: usize,
    /// Of a hundred tasks.
    constraints: usize,
    groups: usize,
    /// Groups come and go once in so many steps, if at all.
    scales: Option<usize>,
    /// The futures of scopes and of watches of growth that the user holds.
    gates: Vec<Cell>,
    /// Of a hundred tasks, those whose parent is a scope. None: growth is not asked about.
    scoped: usize,
}

/// Up to three slots, and two resources of which there may be none.
fn group(random: &mut Random) -> Group {
    let mut group = Group::of_slots(1 + random.below(3));
    for resource in [ResourceId(0), ResourceId(1)] {
        if random.chance(70) {
            group.resources.push((resource, amount(1 + random.below(3))));
        }
    }
    group
}

fn amount(number: usize) -> Amount {
    Amount::new(number as f64).expect("it is not negative")
}

fn run(seed: u64) -> Happened {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let groups = if random.chance(40) {
        vec![Group::of_slots(1 + random.below(4))]
    } else {
        (0..1 + random.below(3)).map(|_| group(&mut random)).collect()
    };
    let cap = 1 + random.below(6);
    let mut run = Run {
        world: World::with_groups(&groups, cap),
        constraints: if random.chance(70) { random.below(80) } else { 0 },
        groups: groups.len(),
        scales: random.chance(40).then(|| 50 + random.below(1_000)),
        held: Vec::new(),
        priorities: 1 + random.below(4) as i32,
        waits: random.below(30),
        failures: random.below(20),
        suspensions: random.below(40),
        live: 10 + random.below(60),
        keys: random.below(30),
        calls: [0, 20, 60][random.below(3)],
        futures: 20 + random.below(150),
        gates: Vec::new(),
        scoped: [0, 20, 60][random.below(3)],
        random,
    };
    // Small portions: what is left half done meets everything else that can happen.
    if run.random.chance(70) {
        run.world.scheduler.transitions = 1 + run.random.below(20);
    }
    while run.world.events < EVENTS {
        run.step();
        run.world.check_idle();
    }
    if run.random.chance(30) {
        run.world.close();
    }
    run.finish();
    run.world.happened
}

impl Run {
    fn step(&mut self) {
        if self.scales.is_some_and(|scales| self.random.below(scales) == 0) {
            self.scale();
        }
        if self.scoped > 0 && self.random.chance(4) {
            self.gate();
        }
        match self.random.below(100) {
            0..30 => self.submit(),
            30..75 => self.work(),
            75..85 => self.release(),
            _ if self.held.len() > self.futures => self.release(),
            85..88 => self.disturb(),
            88..92 if !self.world.detached.is_empty() => {
                let at = self.random.below(self.world.detached.len());
                if self.waits > 0 && self.random.chance(50) {
                    let tasks =
                        (0..self.random.below(3)).filter_map(|_| self.random.pick(&self.held));
                    let tasks = tasks.map(|cell| self.world.id(cell)).collect();
                    self.world.awaits(at, tasks);
                } else if self.world.goes_on_detached(at) {
                    self.world.finish_detached(at);
                } else if self.waits > 0 && self.random.chance(50) {
                    self.world.note("an await was given up");
                    self.world.awaits(at, Vec::new());
                }
            }
            90 => {
                let group = self.random.chance(50).then_some(GroupId(0));
                self.world.event(Event::Rouse(group));
            }
            91 => self.world.while_passes(),
            92..94 if !self.world.suspended.is_empty() => {
                let at = self.random.below(self.world.suspended.len());
                let yields = self.random.chance(20);
                self.world.wake(at, yields);
            }
            92..96 if self.world.scheduler.has_more() => self.world.event(Event::Continue),
            _ => self.world.resume_satisfied(),
        }
    }

    /// Adds a group or retires one, and now and then the last.
    fn scale(&mut self) {
        let groups = &self.world.scheduler.workers.groups;
        let there = (0..self.groups as u16).map(GroupId);
        let there: Vec<_> = there.filter(|id| !groups[usize::from(id.0)].is_retired).collect();
        if there.len() < 4 && self.random.chance(50) || there.is_empty() {
            self.add_group();
        } else if let Some(group) = self.random.pick(&there) {
            self.world.retire_group(group);
        }
    }

    fn add_group(&mut self) {
        let group = group(&mut self.random);
        self.world.add_group(group);
        self.groups += 1;
    }

    /// Opens a scope or watches growth; closes, cancels or lets go of one of those.
    fn gate(&mut self) {
        let at = self.random.below(self.gates.len());
        let gate = self.gates.get(at).copied();
        match self.random.below(10) {
            0..4 if self.gates.len() < 8 => {
                let parent = self.parent();
                let scope = self.world.open_scope(parent);
                self.gates.push(scope);
            }
            4..6 if self.gates.len() < 12 => {
                let of = self.random.pick(&self.held).or(gate);
                self.gates.extend(of.map(|of| self.world.watch_growth(of)));
            }
            6 => {
                let some = if self.random.chance(50) { gate } else { None };
                if let Some(of) = some.or_else(|| self.random.pick(&self.held)) {
                    self.world.note("what had grown was cancelled");
                    let interrupt = self.random.chance(50);
                    self.world.event(Event::CancelGrown { task: self.world.id(of), interrupt });
                }
            }
            _ => {
                let Some(gate) = gate else { return };
                let is_open = self.world.cells[gate].gate == Some(Gate::Scope { open: true });
                let failures = self.world.scheduler.failures(self.world.id(gate));
                if let Some(failed) = self.random.pick(&failures)
                    && self.random.chance(30)
                {
                    self.world.note("a failure was disregarded");
                    self.world.event(Event::Disregard(failed));
                } else if self.random.chance(5) {
                    self.world.event(Event::Cancel(self.world.id(gate)));
                } else if is_open && self.random.chance(90) {
                    self.world.close_scope(gate);
                } else if !is_open || self.random.chance(30) {
                    self.gates.swap_remove(at);
                    self.world.release(gate);
                }
            }
        }
        self.world.check_gates();
    }

    /// A task that runs, or an open scope.
    fn parent(&mut self) -> Option<TaskId> {
        if self.random.chance(self.scoped) {
            let open =
                |cell: &Cell| self.world.cells[*cell].gate == Some(Gate::Scope { open: true });
            let scopes: Vec<Cell> = self.gates.iter().copied().filter(open).collect();
            if let Some(scope) = self.random.pick(&scopes) {
                return Some(self.world.id(scope));
            }
        }
        let parents: Vec<_> =
            self.world.workers.values().filter_map(|thread| Some(thread.running?.0)).collect();
        if self.random.chance(60) { self.random.pick(&parents) } else { None }
    }

    fn submit(&mut self) {
        if self.world.scheduler.counts().live as usize >= self.live {
            return;
        }
        let parent = self.parent();
        if self.random.chance(self.calls) {
            // The oldest few, so that some are called often.
            let few = self.held.len().min(3);
            if let Some(actor) = self.random.pick(&self.held[..few]) {
                let priority = self.random.chance(10).then_some(1);
                let constraint = self.constraint();
                let cell = self.world.call(constraint, priority, parent, actor);
                self.held.push(cell);
                return;
            }
        }
        let inputs = match self.random.below(10) {
            0..5 => 0,
            5..8 => 1,
            8 => 2,
            _ => 1 + self.random.below(20),
        };
        let inputs: Vec<Cell> = (0..inputs).filter_map(|_| self.random.pick(&self.held)).collect();
        let priority =
            self.random.chance(50).then(|| self.random.below(self.priorities as usize) as i32);
        let key = self.random.chance(self.keys).then(|| self.random.below(10) as u128);
        let kind = self.random.below(3) as u32;
        let constraint = self.constraint();
        let cell = self.world.submit_to(constraint, priority, parent, key, kind, &inputs);
        self.held.push(cell);
        if self.random.chance(3) {
            self.world.event(Event::Keep(self.world.id(cell)));
        }
    }

    fn constraint(&mut self) -> Option<Constraint> {
        if !self.random.chance(self.constraints) {
            return None;
        }
        let groups = self.random.chance(50).then(|| {
            // One of them may be yet to come.
            let all = (0..=self.groups as u16).map(GroupId);
            let chosen: Vec<GroupId> = all.filter(|_| self.random.chance(50)).collect();
            // Now and then none at all, and the task can never run.
            let none = chosen.is_empty() && !self.random.chance(5);
            if none { vec![GroupId(0)] } else { chosen }
        });
        let others = self.random.chance(30);
        let mut takes = Vec::new();
        for resource in [ResourceId(0), ResourceId(1)] {
            if self.random.chance(50) {
                takes.push((resource, amount(1 + self.random.below(3))));
            }
        }
        let constraint = Constraint::new(groups, others, takes)?;
        Some(if self.random.chance(30) { constraint.outliving_groups() } else { constraint })
    }

    fn release(&mut self) {
        if !self.held.is_empty() {
            let at = self.random.below(self.held.len());
            let cell = self.held.swap_remove(at);
            self.world.release(cell);
        }
    }

    fn disturb(&mut self) {
        let Some(cell) = self.random.pick(&self.held) else { return };
        let id = self.world.id(cell);
        if self.random.chance(60) {
            self.world.event(Event::Cancel(id));
        } else if self.world.cells[cell].shows == Shows::Failed {
            self.world.event(Event::Retry(id));
        }
    }

    /// Lets some worker do what it would do next.
    fn work(&mut self) {
        let workers: Vec<WorkerId> = self.world.workers.keys().copied().collect();
        let Some(worker) = self.random.pick(&workers) else { return };
        let group = self.world.scheduler.group_of(worker).expect("it joined");
        let thread = &self.world.workers[&worker];
        let (dozes, nested) = (thread.dozes, !thread.below.is_empty());
        let once_in = if dozes {
            20
        } else if nested {
            100
        } else {
            1_000
        };
        if self.random.below(once_in) == 0 {
            self.world.note(if dozes { "a dozing worker left" } else { "a worker left" });
            self.world.leave(worker);
            self.world.event(Event::Join(group));
            return;
        }
        let thread = &self.world.workers[&worker];
        match (thread.state, thread.running.is_some()) {
            (ThreadState::Awake, false) if !thread.below.is_empty() => {
                self.world.go_on_nested(worker);
            }
            // What ran on top has given up the slot: it is needed again.
            (ThreadState::Seceded, false) if !thread.below.is_empty() => self.world.resume(worker),
            (ThreadState::Awake, false) => self.world.next(worker),
            (ThreadState::Seceded, false) => self.world.next(worker),
            (ThreadState::Awake, true) => self.run_on(worker),
            (ThreadState::Seceded, true) if self.random.chance(80) => {}
            (ThreadState::Seceded, true) if self.random.chance(40) => self.world.resume(worker),
            (ThreadState::Seceded, true) => self.run_on(worker),
            // A time-out, or Ctrl-C: the wait ends though nothing came.
            (ThreadState::Parked { .. }, _) if self.random.chance(5) => {
                self.world.note("a wait was given up");
                self.world.resume(worker);
            }
            _ => {}
        }
    }

    fn run_on(&mut self, worker: WorkerId) {
        let seceded = self.world.workers[&worker].state == ThreadState::Seceded;
        if self.random.chance(self.waits) {
            let count = 1 + self.random.below(4);
            let gate = self.random.chance(self.scoped / 4);
            let gate = if gate { self.random.pick(&self.gates) } else { None };
            let tasks: Vec<_> = (0..count)
                .filter_map(|_| self.random.pick(&self.held))
                .chain(gate)
                .filter(|cell| self.world.cells[*cell].shows == Shows::Pending)
                .map(|cell| self.world.id(cell))
                .collect();
            let all = self.random.chance(70);
            if !tasks.is_empty() {
                let wait = Wait { tasks: std::sync::Arc::new(tasks), all };
                if all && !seceded && self.random.chance(50) {
                    self.world.nest(worker, wait);
                } else {
                    self.world.park(worker, wait);
                }
            }
        } else if self.random.chance(2) && !seceded {
            self.world.secede(worker);
        } else if self.random.chance(3) && !seceded {
            self.world.detach(worker);
        } else {
            let outcome = match self.random.below(100) {
                n if n < self.failures => Outcome::Failed,
                n if n < self.failures + 2 => Outcome::Again,
                n if n < self.failures + 5 && self.groups > 1 => self.elsewhere(worker),
                n if n < self.failures + self.suspensions => Outcome::Suspended,
                _ => Outcome::Done,
            };
            let took = if self.random.chance(90) { 1_000 } else { 100_000 };
            self.world.finish(worker, outcome, took);
        }
    }

    /// What the task of this worker needs is in another group, unless it may not run there.
    fn elsewhere(&mut self, worker: WorkerId) -> Outcome {
        let group = GroupId(self.random.below(self.groups) as u16);
        let running = self.world.workers[&worker].running;
        let may = |(task, _): (TaskId, Cell)| self.world.scheduler.may_run_in(task, group);
        if running.is_some_and(may) { Outcome::Elsewhere(group) } else { Outcome::Again }
    }

    /// Whatever happened, everything that is wanted ends, and nothing is left.
    fn finish(&mut self) {
        self.scales = None;
        self.add_group();
        self.failures = 0;
        self.suspensions = 0;
        self.waits = 0;
        self.live = 0;
        let mut idle = 0;
        while self.world.scheduler.counts().live > 0 {
            let before = self.world.scheduler.counts().settled;
            for _ in 0..20 {
                self.step();
            }
            self.world.finish_leftovers();
            self.world.resume_satisfied();
            self.world.cancel_unrunnable();
            let stuck = before == self.world.scheduler.counts().settled;
            idle = if stuck { idle + 1 } else { 0 };
            assert!(
                idle < 2_000,
                "stuck: {:?}\n{:#?}",
                self.world.scheduler.counts(),
                self.world.stuck()
            );
        }
        self.scoped = 0;
        for cell in std::mem::take(&mut self.gates) {
            if self.world.cells[cell].gate == Some(Gate::Scope { open: true }) {
                self.world.close_scope(cell);
            }
            self.world.finish_leftovers();
            self.world.check_gates();
            self.world.release(cell);
        }
        // What lingers may have waited for a scope.
        let mut idle = 0;
        while !self.world.scheduler.lingering.is_empty() {
            self.step();
            self.world.resume_satisfied();
            idle += 1;
            assert!(idle < 40_000, "these linger: {:?}", self.world.scheduler.lingering.keys());
        }
        for cell in std::mem::take(&mut self.held) {
            self.world.release(cell);
        }
        self.world.finish_leftovers();
        self.world.check_endings();
        assert_eq!(self.world.scheduler.counts().kept, 0, "tasks are left behind");
        assert_eq!(self.world.scheduler.tasks.families.len(), 0, "families are left behind");
        assert!(self.world.cells.iter().all(|cell| cell.dropped), "payloads are left behind");
    }
}
