//! The zero worker: the scheduler alone, driven by workers that answer at once, in simulated time.
//!
//! `cargo run --release -p azolla-core --example zero_worker -- WORKERS TASKS`
//!
//! First so many workers run so many tasks, a tenth of which is live at a time. Then curves: what a
//! task costs as live tasks, dependents of one task, distinct priorities and depth of nesting grow.
//! A line of JSON each. Time is the processor's, so that whatever else the machine does takes
//! nothing from it but its caches.

#![allow(clippy::print_stdout)] // what it is for

use azolla_core::{
    Effect, Event, GroupId, Input, Kind, Outcome, Priority, Scheduler, Submission, TaskId, WorkerId,
};
use std::collections::VecDeque;
use std::error::Error;

#[path = "../../../bench/counting.rs"]
mod counting;
#[path = "../../../bench/processor.rs"]
mod processor;

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
            world.tell(Event::Join(GroupId(0)));
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
        let submission = Submission {
            payload: (),
            key: None,
            priority,
            parent,
            kind: Kind(0),
            constraint: None,
            inputs,
            call: false,
        };
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

    fn release(&mut self, tasks: impl IntoIterator<Item = TaskId>) {
        for task in tasks {
            self.tell(Event::Release { task, there: false });
        }
    }
}

/// Something to do with a scheduler, and how much of it.
struct Run {
    name: String,
    workers: usize,
    /// How many tasks are submitted before any is run.
    live: u64,
    /// How many there are in all.
    tasks: u64,
    /// Whether a task is submitted for each that ends. Otherwise all end before there are more.
    steady: bool,
    submit_live: Box<SubmitLive>,
}

type SubmitLive = dyn Fn(&mut World) -> Vec<TaskId>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let workers = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let tasks: u64 = arguments.next().map_or(Ok(10_000_000), |text| text.parse())?;
    let runs = runs(workers, tasks);
    let timed: Vec<_> = runs.iter().map(Run::time).collect();
    // Only now, since counting takes time too.
    counting::begin();
    for (run, (seconds, events)) in runs.iter().zip(timed) {
        let (name, live) = (&run.name, run.live);
        let (ns, decisions) = (1e9 * seconds / run.tasks as f64, events as f64 / seconds);
        let bytes = run.bytes_a_task().map_or("null".to_owned(), |bytes| bytes.to_string());
        println!(
            r#"{{"run": "{name}", "live": {live}, "ns": {ns}, "decisions": {decisions}, "bytes": {bytes}}}"#
        );
    }
    Ok(())
}

fn runs(workers: usize, tasks: u64) -> Vec<Run> {
    let mut runs = vec![Run {
        name: format!("{workers} workers × {tasks} tasks"),
        tasks,
        steady: true,
        ..waves(tasks / 10, 1, |world, _| world.submit(None, None, &[]))
    }];
    runs[0].workers = workers;
    let all = tasks / 10;
    for live in [1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        if live <= tasks {
            let run = waves(live, all / live, |world, _| world.submit(None, None, &[]));
            runs.push(Run { name: format!("{live} live tasks"), ..run });
        }
    }
    let few = all.min(100_000);
    for dependents in [1, 10, 100, 1_000, 10_000, 100_000] {
        if dependents < all {
            runs.push(fan_out(dependents, all));
        }
    }
    for priorities in [1, 10, 100, 1_000, 10_000] {
        let name = format!("{priorities} distinct priorities");
        let priority = move |n: u64| Some(Priority::from((n * 7919 % priorities) as i32));
        let run = waves(few, all / few, move |world, n| world.submit(None, priority(n), &[]));
        runs.push(Run { name, ..run });
    }
    for depth in [1, 10, 100, 1_000, 10_000] {
        runs.push(nested(depth, few / depth, all / few));
    }
    runs
}

/// So many tasks at once, so many times over.
fn waves(live: u64, times: u64, submit: impl Fn(&mut World, u64) -> TaskId + 'static) -> Run {
    Run {
        name: String::new(),
        workers: 100,
        live,
        tasks: live * times.max(1),
        steady: false,
        submit_live: Box::new(move |world| (0..live).map(|n| submit(world, n)).collect()),
    }
}

/// Tasks that each have so many dependents.
fn fan_out(dependents: u64, tasks: u64) -> Run {
    let submit_live = move |world: &mut World| {
        let root = world.submit(None, None, &[]);
        let mut tasks = vec![root];
        tasks.extend((0..dependents).map(|_| world.submit(None, None, &[root])));
        tasks
    };
    let name = format!("{dependents} dependents of one task");
    let (live, steady) = (dependents + 1, false);
    let tasks = (tasks / live).max(1) * live;
    Run { name, workers: 100, live, tasks, steady, submit_live: Box::new(submit_live) }
}

/// Lines of tasks, each of which was submitted by the one before.
fn nested(depth: u64, lines: u64, times: u64) -> Run {
    let submit_live = move |world: &mut World| {
        let mut tasks = Vec::new();
        for _ in 0..lines {
            let mut parent = None;
            for _ in 0..depth {
                parent = Some(world.submit(parent, None, &[]));
                tasks.extend(parent);
            }
        }
        tasks
    };
    let name = format!("nested {depth} deep");
    let (live, steady) = (lines * depth, false);
    Run {
        name,
        workers: 100,
        live,
        tasks: live * times,
        steady,
        submit_live: Box::new(submit_live),
    }
}

impl Run {
    /// Seconds of processor time, and how many events the scheduler was told.
    fn time(&self) -> (f64, u64) {
        let start = processor::seconds();
        let mut world = World::new(self.workers);
        if self.steady {
            self.keep_up(&mut world);
        } else {
            for _ in 0..self.tasks / self.live {
                let tasks = (self.submit_live)(&mut world);
                world.run_dry();
                world.release(tasks);
            }
        }
        let seconds = processor::seconds() - start;
        let counts = world.scheduler.counts();
        assert_eq!((counts.submitted, counts.settled), (self.tasks, self.tasks), "{}", self.name);
        assert_eq!(counts.kept, 0, "{}: all that was released is gone", self.name);
        (seconds, world.events)
    }

    /// Workers that are never out of work: for each task that ends one is submitted.
    fn keep_up(&self, world: &mut World) {
        let mut held: VecDeque<_> = (self.submit_live)(world).into();
        for _ in self.live..self.tasks {
            let finished = world.finished;
            while world.finished == finished && world.step() {}
            world.release(held.pop_front());
            held.push_back(world.submit(None, None, &[]));
        }
        world.run_dry();
        world.release(held);
    }

    /// If they are enough for what is allocated in advance to weigh nothing.
    fn bytes_a_task(&self) -> Option<f64> {
        let mut world = World::new(self.workers);
        let before = counting::bytes();
        let tasks = (self.submit_live)(&mut world);
        let held = counting::bytes() - before - (tasks.capacity() * size_of::<TaskId>()) as isize;
        (self.live >= 10_000).then(|| held as f64 / self.live as f64)
    }
}
