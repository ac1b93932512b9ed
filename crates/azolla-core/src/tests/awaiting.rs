//! Async work, which waits without a worker: circles of waits that lead through it.

use super::world::World;
use crate::{TaskId, Wait, WorkerId};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

const W0: WorkerId = WorkerId(0);

fn wait_for(tasks: Vec<TaskId>) -> Wait {
    Wait { tasks: Arc::new(tasks), all: true }
}

/// Two detached tasks.
fn two(world: &mut World) -> [TaskId; 2] {
    [(), ()].map(|()| {
        let cell = world.submit(None, None, None, 0, &[]);
        world.next(W0);
        world.detach(W0);
        world.id(cell)
    })
}

#[test]
fn detached_tasks_that_would_await_each_other_are_refused() {
    let mut world = World::new(1, 256);
    let [a, b] = two(&mut world);
    assert!(world.awaits(0, vec![b]));
    assert!(!world.awaits(1, vec![a]), "the second closes the circle");
    assert!(world.awaits(0, vec![]), "the first goes on");
    assert!(world.awaits(1, vec![a]));
    assert!(!world.awaits(0, vec![a]), "it would await itself");
}

#[test]
fn a_wait_on_a_worker_for_a_detached_task_that_awaits_the_waiter_is_refused() {
    let mut world = World::new(1, 256);
    let [a, _] = two(&mut world);
    let plain = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    let plain = world.id(plain);
    assert!(world.awaits(0, vec![plain]));
    assert!(!world.park(W0, wait_for(vec![a])));
}

#[test]
fn a_detached_task_that_would_await_what_depends_on_it_is_refused() {
    let mut world = World::new(1, 256);
    let [a, b] = two(&mut world);
    let after = world.submit(None, None, None, 0, &[0]);
    let after = world.id(after);
    assert!(!world.awaits(0, vec![after]));
    assert!(world.awaits(1, vec![after, a]));
    assert!(!world.awaits(0, vec![b]));
    // Once the task has ended, nothing of its waits is left.
    world.finish_detached(1);
    assert!(world.scheduler.awaits.is_empty());
}
