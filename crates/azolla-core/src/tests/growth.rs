//! Scopes, watches of growth, and cancels of what has grown: named cases that the swarm meets by chance.

use super::world::{Cell, Shows, Thread, ThreadState, World};
use crate::{Effect, Event, GroupId, Kind, Outcome, Submission, Wait, WorkerId};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

const W0: WorkerId = WorkerId(0);
const W1: WorkerId = WorkerId(1);

fn submit_in(world: &mut World, parent: Cell, inputs: &[Cell]) -> Cell {
    let parent = world.id(parent);
    world.submit(None, Some(parent), None, 0, inputs)
}

/// Submits in a scope, and keeps no future.
fn forget_in(world: &mut World, parent: Cell) -> Cell {
    let cell = submit_in(world, parent, &[]);
    world.release(cell);
    cell
}

/// Has a worker that was woken begin this task.
fn begin(world: &mut World, cell: Cell) -> WorkerId {
    let runs = |world: &World| {
        let has_it = |thread: &Thread| thread.running.is_some_and(|(_, running)| running == cell);
        world.workers.iter().find(|(_, thread)| has_it(thread)).map(|(id, _)| *id)
    };
    for worker in [W0, W1] {
        let thread = &world.workers[&worker];
        if thread.state == ThreadState::Awake && thread.running.is_none() {
            world.next(worker);
        }
    }
    runs(world).expect("a worker was woken for it")
}

fn end(world: &mut World, worker: WorkerId, outcome: Outcome) {
    world.finish(worker, outcome, 100_000);
    world.next(worker);
}

#[test]
fn a_scope_ends_with_the_last_that_has_grown_in_it() {
    let mut world = World::new(1, 8);
    let scope = world.open_scope(None);
    let root = forget_in(&mut world, scope);
    world.next(W0);
    let child = submit_in(&mut world, root, &[]);
    world.release(child);
    world.close_scope(scope);
    end(&mut world, W0, Outcome::Done);
    assert_eq!(world.cells[scope].shows, Shows::Pending);
    assert_eq!(world.scheduler.tally(world.id(scope)).unwrap().live, 1);
    end(&mut world, W0, Outcome::Done);
    assert_eq!(world.cells[scope].shows, Shows::Done);
    assert_eq!(world.scheduler.tally(world.id(scope)).unwrap().finished, 2);
}

#[test]
fn an_endless_chain_keeps_two_families() {
    let mut world = World::new(1, 8);
    let scope = world.open_scope(None);
    let mut last = forget_in(&mut world, scope);
    world.next(W0);
    for _ in 0..100 {
        let next = submit_in(&mut world, last, &[]);
        world.release(next);
        end(&mut world, W0, Outcome::Done);
        last = next;
        assert!(world.scheduler.tasks.families.len() <= 2);
    }
}

#[test]
fn what_a_parent_has_not_seen_fail_is_told_when_its_last_future_goes() {
    let mut world = World::new(2, 8);
    let scope = world.open_scope(None);
    let parent = forget_in(&mut world, scope);
    begin(&mut world, parent);
    let child = submit_in(&mut world, parent, &[]);
    let worker = begin(&mut world, child);
    world.finish(worker, Outcome::Failed, 100_000);
    assert_eq!(world.cells[child].failed_in, 0);
    world.release(child);
    assert_eq!(world.cells[child].failed_in, 1);
    assert_eq!(world.scheduler.failures(world.id(scope)), [world.id(child)]);
    world.event(Event::Disregard(world.id(child)));
    assert!(world.cells[child].dropped);
}

#[test]
fn a_cancel_spares_what_somebody_outside_wants() {
    let mut world = World::new(1, 8);
    let busy = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    let scope = world.open_scope(None);
    let [needed, shared, doomed] = [0, 1, 2].map(|key| {
        let parent = world.id(scope);
        world.submit(None, Some(parent), Some(key), 0, &[])
    });
    let input = submit_in(&mut world, scope, &[needed]);
    let outside = world.submit(None, None, None, 0, &[input]);
    assert_eq!(world.submit(None, None, Some(1), 0, &[]), shared);
    world.event(Event::CancelGrown { task: world.id(scope), interrupt: false });
    world.finish_leftovers();
    let shows = |cell: Cell| world.cells[cell].shows;
    assert_eq!([busy, needed, shared, input, outside].map(shows), [Shows::Pending; 5]);
    assert_eq!(shows(doomed), Shows::Cancelled);
    let late = submit_in(&mut world, scope, &[]);
    assert_eq!(world.cells[late].shows, Shows::Cancelled);
}

#[test]
fn a_cancel_spares_the_growth_that_a_spared_task_waits_for() {
    let mut world = World::new(2, 8);
    let scope = world.open_scope(None);
    let parent = world.id(scope);
    let waiter = world.submit(None, Some(parent), Some(0), 0, &[]);
    let waits_on = begin(&mut world, waiter);
    let grown = submit_in(&mut world, scope, &[]);
    let runs_on = begin(&mut world, grown);
    let child = submit_in(&mut world, grown, &[]);
    let growth = world.watch_growth(grown);
    end(&mut world, runs_on, Outcome::Done);
    assert!(world.park(waits_on, Wait { tasks: Arc::new(vec![world.id(growth)]), all: true }));
    assert_eq!(world.submit(None, None, Some(0), 0, &[]), waiter);
    let doomed = submit_in(&mut world, scope, &[]);
    world.event(Event::CancelGrown { task: world.id(scope), interrupt: false });
    world.finish_leftovers();
    let shows = |world: &World, cell: Cell| world.cells[cell].shows;
    assert_eq!([waiter, child].map(|cell| shows(&world, cell)), [Shows::Pending; 2]);
    assert_eq!(shows(&world, doomed), Shows::Cancelled);
    let late = submit_in(&mut world, child, &[]);
    assert_eq!(shows(&world, late), Shows::Pending);
}

#[test]
fn a_cancelled_task_that_is_gone_grows_nothing_any_more() {
    let mut world = World::new(1, 8);
    let scope = world.open_scope(None);
    let parent = forget_in(&mut world, scope);
    world.next(W0);
    world.event(Event::CancelGrown { task: world.id(scope), interrupt: false });
    assert!(world.cells[parent].dropped);
    let child = submit_in(&mut world, parent, &[]);
    assert_eq!(world.cells[child].shows, Shows::Cancelled);
    end(&mut world, W0, Outcome::Done);
    assert!(world.scheduler.lingering.is_empty());
}

#[test]
fn a_task_that_needs_who_waits_for_its_scope_is_refused() {
    let mut world = World::new(2, 8);
    let waiter = world.submit(None, None, None, 0, &[]);
    let worker = begin(&mut world, waiter);
    let opener = world.id(waiter);
    let scope = world.open_scope(Some(opener));
    let member = forget_in(&mut world, scope);
    begin(&mut world, member);
    world.close_scope(scope);
    assert!(world.park(worker, Wait { tasks: Arc::new(vec![world.id(scope)]), all: true }));
    let refused = submit_in(&mut world, member, &[waiter]);
    assert_eq!(world.cells[refused].shows, Shows::Failed);
}

#[test]
fn a_scope_within_a_cancelled_one_ends_by_itself() {
    let mut world = World::new(1, 8);
    let outer = world.open_scope(None);
    let around = world.id(outer);
    let inner = world.open_scope(Some(around));
    let member = forget_in(&mut world, inner);
    world.event(Event::CancelGrown { task: around, interrupt: false });
    world.finish_leftovers();
    assert_eq!(world.cells[member].shows, Shows::Cancelled);
    assert_eq!(world.cells[inner].shows, Shows::Pending);
    world.close_scope(inner);
    world.close_scope(outer);
    assert_eq!([inner, outer].map(|cell| world.cells[cell].shows), [Shows::Done; 2]);
}

#[test]
fn a_scope_that_is_never_closed_ends_with_what_has_opened_it() {
    let mut world = World::new(1, 8);
    let outer = world.open_scope(None);
    let opener = forget_in(&mut world, outer);
    world.next(W0);
    let task = world.id(opener);
    let inner = world.open_scope(Some(task));
    let around = world.id(outer);
    let beside = world.open_scope(Some(around));
    end(&mut world, W0, Outcome::Done);
    assert_eq!(world.cells[inner].shows, Shows::Done);
    world.close_scope(outer);
    assert_eq!([outer, beside].map(|cell| world.cells[cell].shows), [Shows::Done; 2]);
}

#[test]
fn a_scope_that_a_cancelled_task_opens_is_cut_off() {
    let mut world = World::new(1, 8);
    let scope = world.open_scope(None);
    let parent = forget_in(&mut world, scope);
    world.next(W0);
    let (around, task) = (world.id(scope), world.id(parent));
    world.event(Event::CancelGrown { task: around, interrupt: false });
    let late = world.open_scope(Some(task));
    let child = submit_in(&mut world, late, &[]);
    assert_eq!(world.cells[child].shows, Shows::Cancelled);
}

#[test]
fn what_a_task_submits_first_after_the_cancel_of_its_growth_is_cancelled() {
    let mut world = World::new(1, 8);
    let root = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    let id = world.id(root);
    world.event(Event::CancelGrown { task: id, interrupt: false });
    world.event(Event::Cancel(id));
    let child = world.submit(None, Some(id), None, 0, &[]);
    assert_eq!(world.cells[child].shows, Shows::Cancelled);
}

#[test]
fn an_interrupt_tells_of_what_runs_and_waits_in_its_middle_alone() {
    let mut world = World::new(2, 8);
    let scope = world.open_scope(None);
    let (running, waits) = (forget_in(&mut world, scope), forget_in(&mut world, scope));
    let (runner, waiter) = (begin(&mut world, running), begin(&mut world, waits));
    let ready = submit_in(&mut world, waits, &[]);
    let wait = Wait { tasks: Arc::new(vec![world.id(running)]), all: true };
    assert!(world.park(waiter, wait));
    let interrupt = |task| Event::CancelGrown { task, interrupt: true };
    let before = world.happened.clone();
    world.event(interrupt(world.id(scope)));
    let told = world.happened["a task was interrupted"];
    assert_eq!(told - before.get("a task was interrupted").unwrap_or(&0), 2);
    assert_eq!([running, waits, ready].map(|it| world.cells[it].shows), [Shows::Cancelled; 3]);
    assert_eq!(world.workers[&runner].running.map(|(_, cell)| cell), Some(running));
}

#[test]
fn a_result_that_the_core_has_not_heard_of_outlives_the_cancel_of_its_scope() {
    let mut world = World::new(1, 8);
    let scope = world.open_scope(None);
    let cells: Vec<_> = (0..50).map(|_| submit_in(&mut world, scope, &[])).collect();
    let mut finished = 0;
    // Once it is known that they are short, they come in batches, and their ends are reported together.
    while world.workers[&W0].untold.is_empty() {
        world.next(W0);
        world.finish(W0, Outcome::Done, 1_000);
        finished += 1;
    }
    world.event(Event::CancelGrown { task: world.id(scope), interrupt: false });
    let done = cells.iter().filter(|cell| world.cells[**cell].shows == Shows::Done);
    assert_eq!(done.count(), finished);
    let tally = world.scheduler.tally(world.id(scope)).unwrap();
    assert_eq!((tally.live, tally.finished), (0, finished as u64));
    assert_eq!(tally.cancelled, 50 - finished as u64);
}

#[test]
fn a_task_holds_up_a_gate_that_waits_for_its_gate() {
    let mut world = World::new(1, 8);
    let root = world.submit(None, None, None, 0, &[]);
    let watch = world.watch_growth(root);
    let around = world.watch_growth(watch);
    let task = world.scheduler.tasks.get(world.id(root)).unwrap();
    let gates = [watch, around].map(|gate| world.id(gate));
    assert_eq!(world.scheduler.gates_above(task), gates);
}

#[test]
fn closing_ends_no_scope_as_if_all_had_ended() {
    let mut world = World::new(1, 8);
    // Its place in the table is before that of the scope.
    let before = world.submit(None, None, None, 0, &[]);
    let scope = world.open_scope(None);
    world.release(before);
    forget_in(&mut world, scope);
    world.close_scope(scope);
    world.close();
    assert_eq!(world.cells[scope].shows, Shows::Cancelled);
}

/// What grows wide and deep is cancelled in portions, without recursion.
#[test]
fn a_hundred_thousand_that_have_grown_are_cancelled_in_portions() {
    let mut scheduler = crate::Scheduler::<u32>::new(1);
    let mut effects = vec![];
    let mut handle = |event: Event<u32>, effects: &mut Vec<Effect<u32>>| {
        effects.clear();
        scheduler.handle(event, effects);
        scheduler.has_more()
    };
    handle(Event::Join(GroupId(0)), &mut effects);
    handle(Event::OpenScope(Submission::new(0, Kind(0))), &mut effects);
    let Effect::Submitted(scope) = effects[0] else { panic!() };
    let mut parent = scope;
    for number in 1..=100_000 {
        // Each thousandth has the next thousand as children.
        let submission = Submission { parent: Some(parent), ..Submission::new(number, Kind(0)) };
        handle(Event::Submit(submission), &mut effects);
        let Effect::Submitted(task) = effects[0] else { panic!() };
        if number % 1_000 == 0 {
            parent = task;
        }
    }
    handle(Event::CancelGrown { task: scope, interrupt: false }, &mut effects);
    let Some(Effect::Doomed { tasks, interrupt: false }) = effects.pop() else { panic!() };
    let tasks = tasks.into_iter().map(|(task, _)| (task, false)).collect();
    let mut more = handle(Event::CancelEach { tasks, interrupt: false }, &mut effects);
    let mut cancelled = 0;
    loop {
        let of_this_call = effects.iter().filter(|it| matches!(it, Effect::Cancelled(_))).count();
        assert!(of_this_call <= 300, "{of_this_call} in one call");
        cancelled += of_this_call;
        if !more {
            break;
        }
        more = handle(Event::Continue, &mut effects);
    }
    assert_eq!(cancelled, 100_000);
}
