//! Waits within waits, very deep: each level costs the same.

use crate::needed::REACHED;
use crate::{Effect, Event, Kind, Outcome, Refusal, Scheduler, Submission, TaskId, Wait, WorkerId};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

const DEEP: usize = 5_000;

fn submit(scheduler: &mut Scheduler<()>, parent: Option<TaskId>) -> (TaskId, Vec<Effect<()>>) {
    let mut effects = Vec::new();
    let submission = Submission { parent, ..Submission::new((), Kind(0)) };
    scheduler.handle(Event::Submit(submission), &mut effects);
    let Some(Effect::Submitted(task)) = effects.first() else { panic!("{effects:?}") };
    (*task, effects)
}

/// Has the worker that is woken by these effects begin a task.
fn begin(scheduler: &mut Scheduler<()>, effects: &[Effect<()>]) -> WorkerId {
    let granted = |effect: &Effect<()>| match effect {
        Effect::Grant(worker) => Some(*worker),
        _ => None,
    };
    let worker = effects.iter().find_map(granted).expect("a worker is woken");
    let mut effects = Vec::new();
    scheduler.handle(Event::Pull(worker), &mut effects);
    assert!(matches!(effects[..], [Effect::Run { begun: true, .. }]), "{effects:?}");
    worker
}

fn park(scheduler: &mut Scheduler<()>, worker: WorkerId, wait: &Wait) -> Vec<Effect<()>> {
    loop {
        let mut effects = Vec::new();
        scheduler.handle(Event::Park { worker, wait: wait.clone() }, &mut effects);
        if !matches!(effects[..], [Effect::Refused(Refusal::NoSpare)]) {
            return effects;
        }
        scheduler.handle(Event::Join(crate::GroupId(0)), &mut Vec::new());
    }
}

#[test]
fn a_wait_costs_no_look_at_the_tasks_that_wait_for_the_waiter() {
    let mut scheduler = Scheduler::new(1);
    scheduler.handle(Event::Join(crate::GroupId(0)), &mut Vec::new());
    let before = REACHED.get();
    let (mut task, effects) = submit(&mut scheduler, None);
    let mut worker = begin(&mut scheduler, &effects);
    let mut waiting = Vec::new();
    for _ in 0..DEEP {
        let (child, _) = submit(&mut scheduler, Some(task));
        let wait = Wait { tasks: Arc::new(vec![child]), all: true };
        let effects = park(&mut scheduler, worker, &wait);
        waiting.push((task, worker));
        worker = begin(&mut scheduler, &effects);
        task = child;
    }
    while let Some((parent, waits)) = waiting.pop() {
        let finish = Event::Finish { worker: Some(worker), task, outcome: Outcome::Done, took: 1 };
        scheduler.handle(finish, &mut Vec::new());
        scheduler.handle(Event::Resume(waits), &mut Vec::new());
        scheduler.handle(Event::Pull(worker), &mut Vec::new());
        (task, worker) = (parent, waits);
    }
    let reached = REACHED.get() - before;
    assert!(reached <= 4 * DEEP, "{reached} tasks of waits for {DEEP} waits");
    scheduler.check().unwrap();
}
