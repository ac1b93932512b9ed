//! Tasks that are suspended and woken: which runs next, and when they are dropped.

use super::world::{Shows, World};
use crate::{Event, Outcome, State, Wait, WorkerId};
use std::vec;
use std::vec::Vec;

const W0: WorkerId = WorkerId(0);

/// Runs the next task on this worker to this outcome. Returns its cell.
fn run(world: &mut World, worker: WorkerId, outcome: Outcome) -> usize {
    if world.workers[&worker].running.is_none() {
        world.next(worker);
    }
    let (_, cell) = world.workers[&worker].running.expect("something is ready");
    world.finish(worker, outcome, 1);
    cell
}

fn wake(world: &mut World, cell: usize, yields: bool) {
    let task = world.id(cell);
    let at = world.suspended.iter().position(|other| *other == task).expect("it is suspended");
    world.wake(at, yields);
}

#[test]
fn the_woken_come_before_the_new_in_the_order_in_which_they_were_woken_and_those_who_yield_last() {
    let mut world = World::new(1, 256);
    let begun: Vec<_> = (0..3).map(|_| world.submit(None, None, None, 0, &[])).collect();
    for cell in &begun {
        assert_eq!(run(&mut world, W0, Outcome::Suspended), *cell);
    }
    let busy = world.submit(Some(2), None, None, 1, &[]);
    world.next(W0);
    let new = world.submit(None, None, None, 2, &[]);
    let urgent = world.submit(Some(1), None, None, 3, &[]);
    wake(&mut world, begun[2], false);
    wake(&mut world, begun[1], true);
    wake(&mut world, begun[0], false);
    let order: Vec<_> = (0..6).map(|_| run(&mut world, W0, Outcome::Done)).collect();
    assert_eq!(order, [busy, urgent, begun[2], begun[0], new, begun[1]]);
}

#[test]
fn a_suspended_task_goes_with_the_last_who_wants_it_and_is_woken_in_vain() {
    let mut world = World::new(1, 256);
    let [queued, unwanted] = [0, 0].map(|_| world.submit(None, None, None, 0, &[]));
    let kept = world.submit(None, None, None, 0, &[]);
    world.event(Event::Keep(world.id(kept)));
    for _ in 0..3 {
        run(&mut world, W0, Outcome::Suspended);
    }
    wake(&mut world, queued, false);
    for cell in [queued, unwanted, kept] {
        world.release(cell);
    }
    wake(&mut world, unwanted, false);
    assert!([queued, unwanted].iter().all(|cell| world.cells[*cell].shows == Shows::Cancelled));
    assert_eq!(world.scheduler.task(world.id(kept)).unwrap().state, State::Suspended);
    wake(&mut world, kept, false);
    assert_eq!(run(&mut world, W0, Outcome::Done), kept);
    assert_eq!(world.scheduler.counts().kept, 0);
}

#[test]
fn a_task_that_nobody_wants_any_more_is_not_suspended() {
    let mut world = World::new(1, 256);
    let task = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    world.release(task);
    run(&mut world, W0, Outcome::Suspended);
    assert_eq!(world.cells[task].shows, Shows::Cancelled);
}

#[test]
fn a_place_left_behind_in_the_queue_is_not_taken_for_a_later_one() {
    let mut world = World::new(1, 1);
    let parent = world.submit(None, None, None, 0, &[]);
    let child = world.submit(None, None, None, 1, &[]);
    world.next(W0);
    let wait = Wait { tasks: std::sync::Arc::new(vec![world.id(child)]), all: true };
    world.park(W0, wait);
    // At the cap the child is taken past the queue, for it is needed.
    let other = *world.workers.keys().last().expect("one has joined");
    assert_eq!(run(&mut world, other, Outcome::Suspended), child);
    world.resume(W0);
    world.next(other); // which gives W0 its slot back
    let new = world.submit(None, None, None, 2, &[]);
    let later = world.submit(None, None, None, 2, &[]);
    wake(&mut world, child, true);
    let order: Vec<_> = (0..4).map(|_| run(&mut world, W0, Outcome::Done)).collect();
    assert_eq!(order, [parent, new, later, child]);
}
