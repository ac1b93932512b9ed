//! The scheduler alone, one kind of event at a time.

use crate::{MOST, Work};
use azolla_core::{
    Effect, Event, GroupId, Input, Inputs, Key, Kind, Outcome, Priority, Scheduler, Submission,
    TaskId, Wait, WorkerId,
};
use std::sync::Arc;

pub(crate) const WORKS: &[Work] = &[
    ("scheduler: submit", submit),
    ("scheduler: submit, with a key", submit_keyed),
    ("scheduler: submit, from a task", submit_from_a_task),
    ("scheduler: submit, one input", |times| submit_with_inputs(1, times)),
    ("scheduler: submit, three inputs", |times| submit_with_inputs(3, times)),
    ("scheduler: pull", pull),
    ("scheduler: pull and finish, short tasks", short_tasks),
    ("scheduler: submit and pull, 100 priorities", priorities),
    ("scheduler: finish", finish),
    ("scheduler: finish, hand over to the one dependent", finish_in_a_chain),
    ("scheduler: finish, each of 100 dependents", finish_with_many_dependents),
    ("scheduler: release, finished", release_finished),
    ("scheduler: release, ready", release_ready),
    ("scheduler: cancel, each of 100 dependents", cancel_with_dependents),
    ("scheduler: park and resume", park_and_resume),
];

/// The scheduler, and what it said last.
struct Told {
    scheduler: Scheduler<()>,
    effects: Vec<Effect<()>>,
    workers: Vec<WorkerId>,
}

/// Longer than what is pulled several at once.
const LONG: u64 = 50_000;
const SHORT: u64 = 1_000;

impl Told {
    /// So many workers, as many slots, and no worker that was granted one yet.
    fn new(workers: u64) -> Self {
        Self::with_slots(workers, workers)
    }

    fn with_slots(workers: u64, slots: u64) -> Self {
        let (scheduler, effects) = (Scheduler::new(slots as usize), Vec::new());
        let mut told = Self { scheduler, effects, workers: Vec::new() };
        for _ in 0..workers {
            told.tell(Event::Join(GroupId(0)));
            let Some(Effect::Joined(worker)) = told.effects.first() else { unreachable!() };
            told.workers.push(*worker);
        }
        told
    }

    fn tell(&mut self, event: Event<()>) {
        self.effects.clear();
        self.scheduler.handle(event, &mut self.effects);
        while self.scheduler.has_more() {
            self.scheduler.handle(Event::Continue, &mut self.effects);
        }
    }

    fn submit(&mut self, submission: Submission<()>) -> TaskId {
        self.tell(Event::Submit(submission));
        let Some(Effect::Submitted(task)) = self.effects.first() else { unreachable!() };
        *task
    }

    /// A task that waits for these.
    fn after(&mut self, inputs: &[TaskId]) -> TaskId {
        let inputs = inputs.iter().map(|task| Input { task: *task, there: false }).collect();
        self.submit(Submission { inputs, ..task() })
    }

    fn ready(&mut self, tasks: u64) -> Vec<TaskId> {
        (0..tasks).map(|_| self.submit(task())).collect()
    }

    /// The first task that a pull of this worker has it run.
    fn pull(&mut self, worker: WorkerId) -> TaskId {
        self.tell(Event::Pull(worker));
        let Some(Effect::Run { task, .. }) = self.effects.first() else { unreachable!() };
        *task
    }

    fn finish(&mut self, worker: WorkerId, task: TaskId, took: u64) {
        self.tell(Event::Finish { worker: Some(worker), task, outcome: Outcome::Done, took });
    }
}

fn task() -> Submission<()> {
    let (key, priority, parent, inputs) = (None, None, None, Inputs::new());
    let (kind, constraint, call) = (Kind(0), None, false);
    Submission { payload: (), key, priority, parent, kind, constraint, inputs, call }
}

fn submit(times: u64) {
    let mut told = Told::new(1);
    for _ in 0..times {
        told.submit(task());
    }
    std::mem::forget(told);
}

fn submit_keyed(times: u64) {
    let mut told = Told::new(1);
    for n in 0..times {
        let key = Some(Key::from_digest(u128::from(n) * 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        told.submit(Submission { key, ..task() });
    }
    std::mem::forget(told);
}

fn submit_from_a_task(times: u64) {
    let mut told = Told::new(1);
    let parent = told.submit(task());
    told.pull(told.workers[0]);
    for _ in 0..times {
        told.submit(Submission { parent: Some(parent), ..task() });
    }
    std::mem::forget(told);
}

fn submit_with_inputs(inputs: u64, times: u64) {
    let mut told = Told::new(1);
    let roots = told.ready(inputs * MOST);
    for roots in roots.chunks(inputs as usize).take(times as usize) {
        told.after(roots);
    }
    std::mem::forget(told);
}

fn pull(times: u64) {
    let mut told = Told::new(MOST);
    told.ready(MOST);
    for at in 0..times {
        told.pull(told.workers[at as usize]);
    }
    std::mem::forget(told);
}

/// One worker, which pulls several at once and tells their ends one after the other.
fn short_tasks(times: u64) {
    let mut told = Told::new(1);
    told.ready(MOST + 100);
    let worker = told.workers[0];
    let mut finished = 0;
    while finished < times {
        told.tell(Event::Pull(worker));
        let runs = told.effects.iter().filter_map(|effect| match effect {
            Effect::Run { task, .. } => Some(*task),
            _ => None,
        });
        for task in runs.collect::<Vec<_>>() {
            told.finish(worker, task, SHORT);
            finished += 1;
        }
    }
    std::mem::forget(told);
}

fn priorities(times: u64) {
    let mut told = Told::new(MOST);
    for n in 0..times {
        told.submit(Submission { priority: Some(Priority::from((n * 37 % 100) as i32)), ..task() });
    }
    // The last to sleep were the first that were woken.
    for worker in told.workers.clone().into_iter().rev().take(times as usize) {
        told.pull(worker);
    }
    std::mem::forget(told);
}

/// So many workers that each run a task.
fn all_running(tasks: u64) -> (Told, Vec<(WorkerId, TaskId)>) {
    let mut told = Told::new(tasks);
    told.ready(tasks);
    let workers = told.workers.clone();
    let running = workers.into_iter().map(|worker| (worker, told.pull(worker))).collect();
    (told, running)
}

fn finish(times: u64) {
    let (mut told, running) = all_running(MOST);
    for (worker, task) in running.into_iter().take(times as usize) {
        told.finish(worker, task, LONG);
    }
    std::mem::forget(told);
}

fn finish_in_a_chain(times: u64) {
    let mut told = Told::new(1);
    let mut last = told.submit(task());
    for _ in 0..MOST {
        last = told.after(&[last]);
    }
    let worker = told.workers[0];
    let mut running = told.pull(worker);
    for _ in 0..times {
        told.finish(worker, running, LONG);
        running = match told.effects.first() {
            Some(Effect::Run { task, .. }) => *task,
            _ => told.pull(worker), // so many in a row were handed over that the queue is asked
        };
    }
    std::mem::forget(told);
}

fn finish_with_many_dependents(times: u64) {
    let (mut told, running) = all_running(MOST / 100);
    for (_, root) in &running {
        for _ in 0..100 {
            told.after(&[*root]);
        }
    }
    for (worker, task) in running.into_iter().take(times as usize / 100) {
        told.finish(worker, task, LONG);
    }
    std::mem::forget(told);
}

fn release_finished(times: u64) {
    let (mut told, running) = all_running(MOST);
    for (worker, task) in &running {
        told.finish(*worker, *task, LONG);
    }
    for (_, task) in running.into_iter().take(times as usize) {
        told.tell(Event::Release { task, there: false });
    }
    std::mem::forget(told);
}

fn release_ready(times: u64) {
    let mut told = Told::new(1);
    for task in told.ready(MOST).into_iter().take(times as usize) {
        told.tell(Event::Release { task, there: false });
    }
    std::mem::forget(told);
}

fn cancel_with_dependents(times: u64) {
    let mut told = Told::new(1);
    let roots = told.ready(MOST / 100);
    for root in &roots {
        for _ in 0..100 {
            told.after(&[*root]);
        }
    }
    for root in roots.into_iter().take(times as usize / 100) {
        told.tell(Event::Cancel(root));
    }
    std::mem::forget(told);
}

/// A task that waits for another one again and again, with nothing to do in its place.
fn park_and_resume(times: u64) {
    let mut told = Told::with_slots(3, 2);
    let tasks = told.ready(2);
    let [_, other, one] = told.workers[..] else { unreachable!() }; // the last are woken first
    told.pull(one);
    told.pull(other);
    let wait = Wait { tasks: Arc::new(vec![tasks[1]]), all: true };
    for _ in 0..times {
        told.tell(Event::Park { worker: one, wait: wait.clone() });
        assert!(told.effects.is_empty());
        told.tell(Event::Resume(one));
        assert!(matches!(told.effects[..], [Effect::Grant(worker)] if worker == one));
    }
    std::mem::forget(told);
}
