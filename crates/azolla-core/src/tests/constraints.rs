//! The rules of constraints: where tasks may run, what they take, and for how long.

use super::world::{Cell, Shows, ThreadState, World};
use crate::{
    Amount, Constraint, Event, Group, GroupId, Outcome, ResourceId, State, Wait, WorkerId,
};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

const GPU: ResourceId = ResourceId(0);

fn amount(number: u32) -> Amount {
    Amount::new(f64::from(number)).unwrap()
}

/// Returns a world of groups, each with this many slots and GPUs.
fn world(groups: &[(usize, u32)]) -> World {
    let group =
        |&(slots, gpus): &(usize, u32)| Group { slots, resources: vec![(GPU, amount(gpus))] };
    World::with_groups(&groups.iter().map(group).collect::<Vec<_>>(), 256)
}

fn gpus(number: u32) -> Option<Constraint> {
    Constraint::new(None, false, vec![(GPU, amount(number))])
}

fn only(groups: &[u16]) -> Option<Constraint> {
    Constraint::new(Some(groups.iter().copied().map(GroupId).collect()), false, vec![])
}

fn submit(world: &mut World, constraint: Option<Constraint>) -> Cell {
    world.submit_to(constraint, None, None, None, 0, &[])
}

/// Lets every worker that is awake and idle pull.
fn pull_all(world: &mut World) {
    loop {
        let mut workers = world.workers.iter();
        let idle = workers.find(|(_, t)| t.state == ThreadState::Awake && t.running.is_none());
        let Some(worker) = idle.map(|(worker, _)| *worker) else { return };
        world.next(worker);
    }
}

fn on(world: &World, cell: Cell) -> Option<WorkerId> {
    let mut workers = world.workers.iter();
    workers.find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).map(|(worker, _)| *worker)
}

fn group_of(world: &World, cell: Cell) -> Option<u16> {
    Some(world.scheduler.group_of(on(world, cell)?)?.0)
}

fn end(world: &mut World, cell: Cell) {
    let worker = on(world, cell).expect("it runs");
    world.finish(worker, Outcome::Done, 100_000);
    pull_all(world);
}

fn wait_for(world: &mut World, waiter: Cell, others: &[Cell]) -> bool {
    let tasks = others.iter().map(|cell| world.id(*cell)).collect();
    let worker = on(world, waiter).expect("it runs");
    let parked = world.park(worker, Wait { tasks: Arc::new(tasks), all: true });
    pull_all(world);
    parked
}

#[test]
fn a_task_runs_where_it_may_alone() {
    let mut world = world(&[(1, 0), (1, 0)]);
    let cells: Vec<_> = (0..3).map(|_| submit(&mut world, only(&[1]))).collect();
    pull_all(&mut world);
    assert_eq!(cells.iter().filter(|cell| on(&world, **cell).is_some()).count(), 1);
    for cell in cells {
        assert_eq!(group_of(&world, cell), Some(1));
        end(&mut world, cell);
    }
}

#[test]
fn others_run_what_wishes_for_a_group_that_has_no_room() {
    let mut world = world(&[(1, 0), (1, 0)]);
    let wish = || Constraint::new(Some(vec![GroupId(1)]), true, vec![]);
    let cells: Vec<_> = (0..2).map(|_| submit(&mut world, wish())).collect();
    pull_all(&mut world);
    assert_eq!(group_of(&world, cells[0]), Some(1));
    assert_eq!(group_of(&world, cells[1]), Some(0));
}

#[test]
fn no_more_run_than_their_group_has_resources_for() {
    let mut world = world(&[(4, 2)]);
    let cells: Vec<_> = (0..4).map(|_| submit(&mut world, gpus(1))).collect();
    let plain: Vec<_> = (0..2).map(|_| submit(&mut world, None)).collect();
    pull_all(&mut world);
    let running = |world: &World| cells.iter().filter(|cell| on(world, **cell).is_some()).count();
    assert_eq!(running(&world), 2);
    assert!(plain.iter().all(|cell| on(&world, *cell).is_some()), "slots are for those without");
    end(&mut world, cells[0]);
    assert_eq!(running(&world), 2);
    assert_eq!(world.scheduler.available(GroupId(0), GPU), amount(0));
}

#[test]
fn what_needs_much_is_not_overtaken_by_what_needs_little() {
    let mut world = world(&[(4, 2)]);
    let first = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let (large, small) = (submit(&mut world, gpus(2)), submit(&mut world, gpus(1)));
    pull_all(&mut world);
    assert_eq!((on(&world, large), on(&world, small)), (None, None));
    end(&mut world, first);
    assert!(on(&world, large).is_some() && on(&world, small).is_none());
    end(&mut world, large);
    assert!(on(&world, small).is_some());
}

/// Else the parent would wait for the child, the child for the large task, and that for the parent.
#[test]
fn what_waiting_tasks_keep_holds_nobody_back() {
    let mut world = world(&[(4, 2)]);
    let parent = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let large = submit(&mut world, gpus(2));
    let child = submit(&mut world, gpus(1));
    pull_all(&mut world);
    assert_eq!(on(&world, child), None, "the large one comes first");
    assert!(wait_for(&mut world, parent, &[child]));
    assert!(on(&world, child).is_some());
    end(&mut world, child);
    world.resume_satisfied();
    pull_all(&mut world);
    end(&mut world, parent);
    assert!(on(&world, large).is_some());
}

#[test]
fn a_waiting_task_keeps_its_resources_and_a_seceded_one_gives_them_up() {
    let mut world = world(&[(2, 1)]);
    let (holder, event) = (submit(&mut world, gpus(1)), submit(&mut world, None));
    pull_all(&mut world);
    let other = submit(&mut world, gpus(1));
    assert!(wait_for(&mut world, holder, &[event]));
    assert_eq!(on(&world, other), None, "the one that waits keeps it");
    end(&mut world, event);
    world.resume_satisfied();
    pull_all(&mut world);
    let worker = on(&world, holder).unwrap();
    world.secede(worker);
    pull_all(&mut world);
    assert!(on(&world, other).is_some(), "the one that seceded does not");
    world.resume(worker);
    assert_eq!(world.workers[&worker].state, ThreadState::Resuming, "to rejoin it needs it again");
    pull_all(&mut world);
    assert_eq!(world.scheduler.task(world.id(holder)).unwrap().state, State::Parked { worker });
    end(&mut world, other);
    assert_eq!(world.scheduler.task(world.id(holder)).unwrap().state, State::Running { worker });
}

#[test]
fn a_task_that_waits_for_what_needs_its_own_resources_is_told_so() {
    let mut world = world(&[(2, 1)]);
    let parent = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let child = submit(&mut world, gpus(1));
    let grandchild = world.submit_to(None, None, None, None, 0, &[child]);
    assert!(!wait_for(&mut world, parent, &[grandchild]));
    // Had it seceded, it would have given it up.
    let worker = on(&world, parent).unwrap();
    world.secede(worker);
    assert!(wait_for(&mut world, parent, &[grandchild]));
    assert!(on(&world, child).is_some());
}

#[test]
fn tasks_that_keep_from_each_other_what_their_children_need_are_told_so() {
    let mut world = world(&[(4, 2)]);
    let parents = [(); 2].map(|()| submit(&mut world, gpus(1)));
    pull_all(&mut world);
    let children = [(); 2].map(|()| submit(&mut world, gpus(1)));
    assert!(wait_for(&mut world, parents[0], &[children[0]]), "the other may end");
    assert!(!wait_for(&mut world, parents[1], &[children[1]]), "now nobody would");
}

#[test]
fn to_rejoin_for_what_is_kept_by_who_waits_for_one_is_refused() {
    let mut world = world(&[(2, 1)]);
    let seceded = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let worker = on(&world, seceded).unwrap();
    world.secede(worker);
    let waiter = submit(&mut world, gpus(1));
    pull_all(&mut world);
    assert!(wait_for(&mut world, waiter, &[seceded]));
    world.resume(worker);
    assert_eq!(world.workers[&worker].state, ThreadState::Seceded);
    assert_eq!(world.happened["a rejoin was refused"], 1);
}

#[test]
fn a_cancelled_task_uses_its_resources_until_it_really_ends() {
    let mut world = world(&[(2, 1)]);
    let cell = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let other = submit(&mut world, gpus(1));
    world.event(Event::Cancel(world.id(cell)));
    world.release(cell);
    pull_all(&mut world);
    assert_eq!(on(&world, other), None);
    end(&mut world, cell);
    assert!(on(&world, other).is_some());
}

#[test]
fn async_work_uses_its_resources_until_it_ends() {
    let mut world = world(&[(1, 1)]);
    let cell = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let worker = on(&world, cell).unwrap();
    world.detach(worker);
    let other = submit(&mut world, gpus(1));
    pull_all(&mut world);
    assert_eq!(on(&world, other), None);
    world.event(Event::Cancel(world.id(cell)));
    pull_all(&mut world);
    assert_eq!(on(&world, other), None, "it was cancelled, and has not ended yet");
    world.finish_detached(0);
    pull_all(&mut world);
    assert!(on(&world, other).is_some());
}

/// Lets this task go on without a slot.
fn detach(world: &mut World, cell: Cell) -> usize {
    let worker = on(world, cell).expect("it runs");
    world.detach(worker);
    pull_all(world);
    world.detached.len() - 1
}

#[test]
fn async_work_may_not_await_what_needs_what_it_keeps() {
    let mut world = world(&[(2, 1)]);
    let cell = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let at = detach(&mut world, cell);
    let child = submit(&mut world, gpus(1));
    let after = world.submit(None, None, None, 0, &[child]);
    let others = submit(&mut world, None);
    for (awaited, may) in [(child, false), (after, false), (others, true)] {
        let awaited = world.id(awaited);
        assert_eq!(world.awaits(at, vec![awaited]), may);
    }
}

#[test]
fn nothing_waits_for_what_async_work_keeps_that_waits_for_it() {
    let mut world = world(&[(2, 1)]);
    let keeps = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let [between, plain] = [(), ()].map(|()| submit(&mut world, None));
    pull_all(&mut world);
    let (keeps, between) = (detach(&mut world, keeps), detach(&mut world, between));
    let child = submit(&mut world, gpus(1));
    let ids = [world.detached[between], world.id(plain), world.id(child)];
    assert!(world.awaits(keeps, ids[..2].to_vec()));
    assert!(!world.awaits(between, vec![ids[2]]), "async work");
    assert!(!wait_for(&mut world, plain, &[child]), "on a worker");
    assert!(world.awaits(keeps, vec![]), "it goes on, and will give back what it keeps");
    assert!(world.awaits(between, vec![ids[2]]));
    assert!(wait_for(&mut world, plain, &[child]));
}

#[test]
fn a_task_that_is_run_again_takes_its_resources_again() {
    let mut world = world(&[(1, 1)]);
    let cell = submit(&mut world, gpus(1));
    pull_all(&mut world);
    world.finish(on(&world, cell).unwrap(), Outcome::Again, 1);
    assert_eq!(world.scheduler.available(GroupId(0), GPU), amount(1));
    pull_all(&mut world);
    assert_eq!(world.scheduler.available(GroupId(0), GPU), amount(0));
    world.finish(on(&world, cell).unwrap(), Outcome::Failed, 1);
    world.event(Event::Retry(world.id(cell)));
    pull_all(&mut world);
    assert!(on(&world, cell).is_some());
}

#[test]
fn a_task_that_is_sent_to_a_group_runs_there_with_what_it_takes() {
    let mut world = world(&[(1, 1), (1, 1)]);
    let busy = submit(&mut world, only(&[1]));
    let cell = submit(&mut world, gpus(1));
    pull_all(&mut world);
    assert_eq!(group_of(&world, cell), Some(0));
    world.finish(on(&world, cell).unwrap(), Outcome::Elsewhere(GroupId(1)), 1);
    pull_all(&mut world);
    assert_eq!(on(&world, cell), None, "the other group is at liberty");
    assert_eq!(world.scheduler.available(GroupId(0), GPU), amount(1));
    assert!(!world.scheduler.may_run_in(world.id(cell), GroupId(0)));
    end(&mut world, busy);
    assert_eq!(group_of(&world, cell), Some(1));
    assert_eq!(world.scheduler.available(GroupId(1), GPU), amount(0));
}

#[test]
fn a_chain_is_handed_over_where_its_constraint_fits_and_nowhere_else() {
    let mut world = world(&[(1, 1), (1, 0)]);
    let first = submit(&mut world, only(&[0]));
    pull_all(&mut world);
    let second = world.submit_to(gpus(1), None, None, None, 0, &[first]);
    let third = world.submit_to(only(&[1]), None, None, None, 0, &[second]);
    world.finish(on(&world, first).unwrap(), Outcome::Done, 1);
    assert_eq!(group_of(&world, second), Some(0), "handed over");
    world.finish(on(&world, second).unwrap(), Outcome::Done, 1);
    assert_eq!(on(&world, third), None);
    pull_all(&mut world);
    assert_eq!(group_of(&world, third), Some(1));
}

#[test]
fn what_no_group_can_run_waits_without_being_in_anybodys_way() {
    let mut world = world(&[(1, 1)]);
    let cells = [gpus(2), only(&[]), only(&[7])].map(|constraint| submit(&mut world, constraint));
    let plain = submit(&mut world, None);
    pull_all(&mut world);
    assert!(on(&world, plain).is_some());
    assert!(cells.iter().all(|cell| world.scheduler.is_unrunnable(world.id(*cell))));
    let counts = world.scheduler.counts();
    assert_eq!((counts.ready, counts.unrunnable), (0, 3));
    end(&mut world, plain);
    for cell in cells {
        world.event(Event::Cancel(world.id(cell)));
    }
    assert_eq!(world.scheduler.counts().live, 0);
}

#[test]
fn at_the_cap_a_needed_task_waits_for_its_own_group() {
    let groups = [Group::of_slots(1), Group::of_slots(1)];
    let mut world = World::with_groups(&groups, 1);
    let (busy, parent) = (submit(&mut world, only(&[1])), submit(&mut world, only(&[0])));
    pull_all(&mut world);
    let needed = submit(&mut world, only(&[1]));
    let other = submit(&mut world, None);
    assert!(wait_for(&mut world, parent, &[needed]));
    assert_eq!((on(&world, needed), on(&world, other)), (None, None));
    end(&mut world, busy);
    assert_eq!(group_of(&world, needed), Some(1));
    assert_eq!(on(&world, other), None, "nobody needs it");
    end(&mut world, needed);
    world.resume_satisfied();
    pull_all(&mut world);
    assert!(on(&world, other).is_some());
}

#[test]
fn tasks_that_wait_for_what_can_never_run_do_not_stop_the_others() {
    let mut world = World::with_groups(&[Group::of_slots(1)], 1);
    let never = submit(&mut world, only(&[]));
    let parent = submit(&mut world, None);
    pull_all(&mut world);
    assert!(wait_for(&mut world, parent, &[never]));
    let other = submit(&mut world, None);
    pull_all(&mut world);
    assert!(on(&world, other).is_some(), "the cap has risen: nothing else goes on");
}

#[test]
fn a_task_that_needs_what_the_waiter_of_its_scope_keeps_is_refused() {
    let mut world = world(&[(2, 1)]);
    let waiter = submit(&mut world, gpus(1));
    pull_all(&mut world);
    let (worker, opener) = (on(&world, waiter).unwrap(), world.id(waiter));
    let scope = world.open_scope(Some(opener));
    let parent = world.id(scope);
    let member = world.submit(None, Some(parent), None, 0, &[]);
    pull_all(&mut world);
    world.close_scope(scope);
    assert!(world.park(worker, Wait { tasks: Arc::new(vec![parent]), all: true }));
    let grower = world.id(member);
    let refused = world.submit_to(gpus(1), None, Some(grower), None, 0, &[]);
    assert_eq!(world.cells[refused].shows, Shows::Failed);
    let free = world.submit_to(only(&[0]), None, Some(grower), None, 0, &[]);
    assert_eq!(world.cells[free].shows, Shows::Pending);
}
