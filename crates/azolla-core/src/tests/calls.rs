//! Calls of actors run one at a time and in their order, whatever becomes of each.

use super::world::{Cell, Shows, ThreadState, World};
use crate::{Amount, Constraint, Event, Group, Outcome, ResourceId, Wait, WorkerId};
use std::sync::Arc;
use std::vec::Vec;

/// Returns a world with an actor whose state is there.
fn with_actor(slots: usize) -> (World, Cell) {
    let mut world = World::new(slots, 256);
    let actor = world.submit(None, None, None, 1, &[]);
    run(&mut world, actor);
    (world, actor)
}

/// Lets the awake workers look for work until this task runs. Returns the worker that runs it.
fn begin(world: &mut World, cell: Cell) -> Option<WorkerId> {
    for worker in world.workers.keys().copied().collect::<Vec<_>>() {
        let thread = &world.workers[&worker];
        if thread.state == ThreadState::Awake && thread.running.is_none() {
            world.next(worker);
        }
    }
    let runs = |world: &World, worker| running(world, worker) == Some(cell);
    world.workers.keys().copied().find(|worker| runs(world, *worker))
}

fn run(world: &mut World, cell: Cell) -> WorkerId {
    let worker = begin(world, cell).expect("it begins");
    world.finish(worker, Outcome::Done, 1_000);
    worker
}

fn running(world: &World, worker: WorkerId) -> Option<Cell> {
    Some(world.workers[&worker].running?.1)
}

fn wait_for(world: &World, cell: Cell) -> Wait {
    Wait { tasks: Arc::new([world.id(cell)].into()), all: true }
}

#[test]
fn the_next_call_is_handed_over_to_the_same_worker() {
    let (mut world, actor) = with_actor(2);
    let calls: Vec<Cell> = (0..3).map(|_| world.call(None, None, None, actor)).collect();
    let worker = begin(&mut world, calls[0]).unwrap();
    for call in calls {
        assert_eq!(running(&world, worker), Some(call));
        world.finish(worker, Outcome::Done, 1_000);
    }
    assert_eq!(running(&world, worker), None);
}

#[test]
fn a_call_in_a_scope_that_the_call_before_it_waits_for_is_refused() {
    let (mut world, actor) = with_actor(2);
    let scope = world.open_scope(None);
    let first = world.call(None, None, None, actor);
    let worker = begin(&mut world, first).unwrap();
    assert!(world.park(worker, wait_for(&world, scope)));
    let inside = Some(world.id(scope));
    let second = world.call(None, None, inside, actor);
    assert_eq!(world.cells[second].shows, Shows::Failed);
}

#[test]
fn a_call_cancelled_while_it_runs_lets_no_other_in() {
    let (mut world, actor) = with_actor(2);
    let (first, second) =
        (world.call(None, None, None, actor), world.call(None, None, None, actor));
    let worker = begin(&mut world, first).unwrap();
    world.event(Event::Cancel(world.id(first)));
    world.release(first);
    assert_eq!(begin(&mut world, second), None, "two calls at once");
    world.finish(worker, Outcome::Done, 1_000);
    run(&mut world, second);
}

#[test]
fn a_failed_call_is_followed_by_the_next() {
    let (mut world, actor) = with_actor(1);
    let (first, second) =
        (world.call(None, None, None, actor), world.call(None, None, None, actor));
    let worker = begin(&mut world, first).unwrap();
    world.finish(worker, Outcome::Failed, 1_000);
    assert!(begin(&mut world, second).is_some());
    assert_eq!(world.cells[first].shows, Shows::Failed);
    // What it has done is done: it is not called again.
    world.event(Event::Retry(world.id(first)));
    assert_eq!(world.cells[first].shows, Shows::Failed);
}

#[test]
fn calls_run_though_nobody_wants_their_results_and_the_actor_is_kept_for_them() {
    let (mut world, actor) = with_actor(1);
    let calls = [world.call(None, None, None, actor), world.call(None, None, None, actor)];
    for call in calls {
        world.release(call);
    }
    world.release(actor);
    for call in calls {
        assert!(!world.cells[actor].dropped);
        run(&mut world, call);
    }
    assert!(world.cells[actor].dropped);
}

#[test]
fn the_calls_of_an_actor_that_is_cancelled_are_cancelled_but_for_the_one_that_runs() {
    let (mut world, actor) = with_actor(1);
    let calls: Vec<Cell> = (0..3).map(|_| world.call(None, None, None, actor)).collect();
    let worker = begin(&mut world, calls[0]).unwrap();
    world.event(Event::Cancel(world.id(actor)));
    world.finish(worker, Outcome::Done, 1_000);
    let shows: Vec<Shows> = calls.iter().map(|call| world.cells[*call].shows).collect();
    assert_eq!(shows, [Shows::Done, Shows::Cancelled, Shows::Cancelled]);
}

#[test]
fn a_call_comes_before_newer_roots_and_has_the_higher_priority_of_actor_and_caller() {
    let (mut world, actor) = with_actor(1);
    let root = world.submit(None, None, None, 1, &[]);
    let urgent = world.submit(Some(5), None, None, 1, &[]);
    let call = world.call(None, None, None, actor);
    let worker = begin(&mut world, urgent).unwrap();
    let by_urgent = world.call(None, None, Some(world.id(urgent)), actor);
    let priority = |cell| world.scheduler.task(world.id(cell)).unwrap().priority.number();
    assert_eq!((priority(call), priority(by_urgent)), (0.0, 5.0));
    world.finish(worker, Outcome::Done, 1_000);
    for next in [call, by_urgent, root] {
        run(&mut world, next);
    }
}

#[test]
fn a_call_that_waits_for_a_later_one_of_the_same_actor_is_refused() {
    let (mut world, actor) = with_actor(1);
    let first = world.call(None, None, None, actor);
    let worker = begin(&mut world, first).unwrap();
    let later: Vec<Cell> = (0..3).map(|_| world.call(None, None, None, actor)).collect();
    let wait = wait_for(&world, later[2]);
    assert!(!world.park(worker, wait));
}

#[test]
fn two_actors_that_would_wait_for_each_other_are_refused() {
    let (mut world, one) = with_actor(2);
    let other = world.submit(None, None, None, 1, &[]);
    run(&mut world, other);
    let (first_of_one, first_of_other) =
        (world.call(None, None, None, one), world.call(None, None, None, other));
    let on_one = begin(&mut world, first_of_one).unwrap();
    let on_other = begin(&mut world, first_of_other).unwrap();
    let (of_one, of_other) =
        (world.call(None, None, None, one), world.call(None, None, None, other));
    let wait = wait_for(&world, of_other);
    assert!(world.park(on_one, wait));
    let wait = wait_for(&world, of_one);
    assert!(!world.park(on_other, wait));
}

#[test]
fn at_the_cap_the_calls_before_a_needed_one_run() {
    let mut world = World::new(1, 1);
    let actor = world.submit(None, None, None, 1, &[]);
    run(&mut world, actor);
    let waits = world.submit(Some(1), None, None, 1, &[]);
    let worker = begin(&mut world, waits).unwrap();
    let others: Vec<Cell> = (0..3).map(|_| world.submit(Some(9), None, None, 1, &[])).collect();
    let calls: Vec<Cell> = (0..3).map(|_| world.call(None, None, None, actor)).collect();
    let wait = wait_for(&world, calls[2]);
    assert!(world.park(worker, wait));
    for call in calls {
        run(&mut world, call);
    }
    assert!(others.iter().all(|other| world.cells[*other].shows == Shows::Pending));
}

/// The waiting task keeps what the call before the awaited one waits for.
#[test]
fn a_wait_behind_a_call_that_needs_what_the_waiting_task_keeps_is_refused() {
    let gpu = ResourceId(0);
    let one = || Amount::new(1.0).unwrap();
    let groups = [Group { slots: 2, resources: [(gpu, one())].into() }];
    let mut world = World::with_groups(&groups, 256);
    let takes = || Constraint::new(None, false, [(gpu, one())].into());
    let actor = world.submit(None, None, None, 1, &[]);
    run(&mut world, actor);
    let keeps = world.submit_to(takes(), None, None, None, 1, &[]);
    let on_keeps = begin(&mut world, keeps).unwrap();
    let (first, second) =
        (world.call(None, None, None, actor), world.call(None, None, None, actor));
    let on_first = begin(&mut world, first).unwrap();
    let needs = world.submit_to(takes(), None, None, None, 1, &[]);
    let wait = wait_for(&world, needs);
    assert!(world.park(on_first, wait));
    let wait = wait_for(&world, second);
    assert!(!world.park(on_keeps, wait));
}
