//! The zero worker: the scheduler alone, driven by workers that answer at once, in simulated time.
//!
//! `cargo run --release -p azolla-core --example zero_worker -- WORKERS TASKS`
//!
//! First so many workers run so many tasks, a tenth of which is live at a time. Then curves: what a
//! task costs as live tasks, dependents of one task, distinct priorities and depth of nesting grow.
//! A line of JSON each.

#![allow(clippy::print_stdout)] // what it is for

use azolla_core::{
    Effect, Event, Input, Kind, Outcome, Priority, Scheduler, Submission, TaskId, WorkerId,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Instant;

/// Counts the bytes that are allocated.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The scheduler, and workers that answer as soon as they are asked.
struct World {
    scheduler: Scheduler<()>,
    effects: Vec<Effect<()>>,
    /// Who was granted a slot, or has ended a task.
    pulling: VecDeque<WorkerId>,
    running: VecDeque<(WorkerId, TaskId)>,
    events: u64,
    finished: u64,
}

impl World {
    fn new(workers: usize) -> Self {
        let mut world = Self {
            scheduler: Scheduler::new(workers),
            effects: Vec::new(),
            pulling: VecDeque::new(),
            running: VecDeque::new(),
            events: 0,
            finished: 0,
        };
        for _ in 0..workers {
            world.tell(Event::Join);
        }
        world
    }

    /// Tells the scheduler, and takes in what it decides. The task, if one was submitted.
    fn tell(&mut self, event: Event<()>) -> Option<TaskId> {
        let mut submitted = None;
        self.scheduler.handle(event, &mut self.effects);
        self.events += 1;
        loop {
            for effect in self.effects.drain(..) {
                match effect {
                    Effect::Submitted(task) => submitted = Some(task),
                    Effect::Grant(worker) => self.pulling.push_back(worker),
                    Effect::Run { worker, task, .. } => self.running.push_back((worker, task)),
                    _ => {}
                }
            }
            if !self.scheduler.has_more() {
                return submitted;
            }
            self.scheduler.handle(Event::Continue, &mut self.effects);
        }
    }

    fn submit(
        &mut self,
        parent: Option<TaskId>,
        priority: Option<Priority>,
        inputs: &[TaskId],
    ) -> TaskId {
        let inputs = inputs.iter().map(|task| Input { task: *task, there: false }).collect();
        let submission =
            Submission { payload: (), key: None, priority, parent, kind: Kind(0), inputs };
        self.tell(Event::Submit(submission)).expect("a task without a key is new")
    }

    /// A worker pulls, or ends the oldest task that runs. Whether there was one.
    fn step(&mut self) -> bool {
        if let Some(worker) = self.pulling.pop_front() {
            self.tell(Event::Pull(worker));
            return true;
        }
        let Some((worker, task)) = self.running.pop_front() else { return false };
        let (running, outcome) = (self.running.len(), Outcome::Done);
        // Longer than what is pulled several at once.
        self.tell(Event::Finish { worker: Some(worker), task, outcome, took: 50_000 });
        self.finished += 1;
        if self.running.len() == running {
            self.pulling.push_back(worker); // nothing was handed over
        }
        true
    }

    fn run_dry(&mut self) {
        while self.step() {}
    }
}

/// Prints the figures of a run that is over, and checks that it has left nothing.
fn report(run: &str, live: u64, world: &World, tasks: u64, start: Instant, bytes: isize) {
    let seconds = start.elapsed().as_secs_f64();
    let counts = world.scheduler.counts();
    assert_eq!((counts.submitted, counts.settled), (tasks, tasks), "{run}");
    assert_eq!(counts.kept, 0, "{run}: all that was released is gone");
    let (ns, decisions) = (1e9 * seconds / tasks as f64, world.events as f64 / seconds);
    let bytes = bytes as f64 / live as f64;
    println!(
        r#"{{"run": "{run}", "live": {live}, "ns": {ns}, "decisions": {decisions}, "bytes": {bytes}}}"#
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let workers = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let tasks: u64 = arguments.next().map_or(Ok(10_000_000), |text| text.parse())?;
    steady(workers, tasks, tasks / 10);
    for live in [1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        if live <= tasks {
            waves("live tasks", live, |_| None);
        }
    }
    let few = (tasks / 10).min(200_000);
    for dependents in [1, 10, 100, 1_000, 10_000, 100_000] {
        fan_out(dependents, few);
    }
    for priorities in [1, 10, 100, 1_000, 10_000] {
        let run = format!("{priorities} distinct priorities");
        waves(&run, few, |n| Some(Priority::from((n * 7919 % priorities) as i32)));
    }
    for depth in [1, 10, 100, 1_000, 10_000] {
        nested(depth, few);
    }
    Ok(())
}

/// Workers that are never out of work: for each task that ends one is submitted.
fn steady(workers: usize, tasks: u64, live: u64) {
    let start = Instant::now();
    let mut world = World::new(workers);
    let before = BYTES.load(Ordering::Relaxed);
    let mut held: VecDeque<_> = (0..live).map(|_| world.submit(None, None, &[])).collect();
    let bytes = BYTES.load(Ordering::Relaxed) - before;
    for _ in live..tasks {
        let finished = world.finished;
        while world.finished == finished && world.step() {}
        if let Some(task) = held.pop_front() {
            world.tell(Event::Release(task));
        }
        held.push_back(world.submit(None, None, &[]));
    }
    world.run_dry();
    for task in held {
        world.tell(Event::Release(task));
    }
    report(&format!("{workers} workers × {tasks} tasks"), live, &world, tasks, start, bytes);
}

/// So many tasks at once, on 100 workers.
fn waves(run: &str, live: u64, priority: impl Fn(u64) -> Option<Priority>) {
    let mut world = World::new(100);
    let waves = (200_000 / live).max(1);
    let (start, mut bytes) = (Instant::now(), 0);
    for _ in 0..waves {
        let before = BYTES.load(Ordering::Relaxed);
        let tasks: Vec<_> = (0..live).map(|n| world.submit(None, priority(n), &[])).collect();
        bytes = BYTES.load(Ordering::Relaxed) - before;
        world.run_dry();
        for task in tasks {
            world.tell(Event::Release(task));
        }
    }
    report(run, live, &world, waves * live, start, bytes);
}

/// Tasks that each have so many dependents.
fn fan_out(dependents: u64, tasks: u64) {
    let mut world = World::new(100);
    let rounds = (tasks / (dependents + 1)).max(1);
    let (start, mut bytes) = (Instant::now(), 0);
    for _ in 0..rounds {
        let before = BYTES.load(Ordering::Relaxed);
        let root = world.submit(None, None, &[]);
        let tasks: Vec<_> = (0..dependents).map(|_| world.submit(None, None, &[root])).collect();
        bytes = BYTES.load(Ordering::Relaxed) - before;
        world.run_dry();
        for task in tasks {
            world.tell(Event::Release(task));
        }
        world.tell(Event::Release(root));
    }
    let run = format!("{dependents} dependents of one task");
    report(&run, dependents + 1, &world, rounds * (dependents + 1), start, bytes);
}

/// Lines of tasks, each of which was submitted by the one before.
fn nested(depth: u64, tasks: u64) {
    let mut world = World::new(100);
    let lines = (tasks / depth).max(1);
    let before = BYTES.load(Ordering::Relaxed);
    let (start, mut all) = (Instant::now(), Vec::new());
    for _ in 0..lines {
        let mut parent = None;
        for _ in 0..depth {
            let task = world.submit(parent, None, &[]);
            all.push(task);
            parent = Some(task);
        }
    }
    let bytes = BYTES.load(Ordering::Relaxed) - before;
    world.run_dry();
    for task in all {
        world.tell(Event::Release(task));
    }
    report(&format!("nested {depth} deep"), lines * depth, &world, lines * depth, start, bytes);
}
