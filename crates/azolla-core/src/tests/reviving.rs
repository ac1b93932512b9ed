//! Retries of very many tasks, and waits above very many: each takes few steps.

use super::world::{Cell, CellState, Shows, World};
use crate::cycles::FOLLOWED;
use crate::{Effect, Event, GroupId, Input, Kind, Outcome, State, Submission, Wait, WorkerId};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

const W0: WorkerId = WorkerId(0);
const MANY: usize = 20_000;

/// Submits past the checks of the world, which walk everything each time.
fn submit(world: &mut World, inputs: &[Cell]) -> Cell {
    let cell = world.cells.len();
    world.cells.push(CellState::new(inputs));
    let input = |cell: &Cell| Input { task: world.id(*cell), there: false };
    let submission = Submission {
        payload: cell,
        key: None,
        priority: None,
        parent: None,
        kind: Kind(0),
        constraint: None,
        inputs: inputs.iter().map(input).collect(),
        call: false,
    };
    let mut effects = vec![];
    world.scheduler.handle(Event::Submit(submission), &mut effects);
    let Effect::Submitted(id) = effects[0] else { panic!() };
    world.cells[cell].id = Some(id);
    cell
}

/// Handles an event past the checks. Returns the most effects of one call, and all of them.
fn handle(world: &mut World, event: Event<Cell>) -> (usize, Vec<Effect<Cell>>) {
    let mut effects = vec![];
    world.scheduler.handle(event, &mut effects);
    let mut most = effects.len();
    while world.scheduler.has_more() {
        let before = effects.len();
        world.scheduler.handle(Event::Continue, &mut effects);
        most = most.max(effects.len() - before);
    }
    (most, effects)
}

fn finish(world: &mut World, cell: Cell, outcome: Outcome) -> (usize, Vec<Effect<Cell>>) {
    if !matches!(state(world, cell), State::Running { .. }) {
        handle(world, Event::Pull(W0));
    }
    let State::Running { worker } = state(world, cell) else { panic!("it does not run") };
    let task = world.id(cell);
    handle(world, Event::Finish { worker: Some(worker), task, outcome, took: 100_000 })
}

fn state(world: &World, cell: Cell) -> State {
    world.scheduler.state(world.id(cell)).unwrap()
}

#[test]
fn a_long_chain_is_revived_in_portions() {
    let mut world = World::new(1, 256);
    let first = submit(&mut world, &[]);
    let mut last = first;
    for _ in 0..MANY {
        last = submit(&mut world, &[last]);
    }
    finish(&mut world, first, Outcome::Failed);
    assert_eq!(state(&world, last), State::Failed);
    let event = Event::Retry(world.id(last));
    let (most, effects) = handle(&mut world, event);
    assert!(most <= 256, "{most} transitions in one call");
    let resets = effects.iter().filter(|effect| matches!(effect, Effect::Reset(_))).count();
    assert_eq!(resets, MANY + 1);
    world.scheduler.check().unwrap();
    assert_eq!(state(&world, last), State::Waiting { unfinished: 1 });
    assert_eq!(state(&world, first), State::Ready);
}

#[test]
fn what_happens_while_a_chain_is_revived_counts() {
    for what in 0..4 {
        let mut world = World::new(1, 256);
        let first = submit(&mut world, &[]);
        let slow = submit(&mut world, &[]);
        let mut chain = vec![submit(&mut world, &[first, slow])];
        for _ in 0..600 {
            chain.push(submit(&mut world, &[*chain.last().unwrap()]));
        }
        finish(&mut world, first, Outcome::Failed);
        let last = *chain.last().unwrap();
        let mut effects = vec![];
        world.scheduler.handle(Event::Retry(world.id(last)), &mut effects);
        assert!(world.scheduler.has_more(), "it takes several calls");
        world.scheduler.check().unwrap();
        let event = match what {
            0 => Event::Cancel(world.id(chain[300])),
            1 => Event::Release { task: world.id(last), there: false },
            2 => Event::Pull(W0),
            _ => Event::Close,
        };
        world.scheduler.handle(event, &mut effects);
        world.scheduler.check().unwrap();
        while world.scheduler.has_more() {
            world.scheduler.handle(Event::Continue, &mut effects);
            world.scheduler.check().unwrap();
        }
        let shown = world.scheduler.state(world.id(last));
        match what {
            0 | 3 => assert_eq!(shown, Some(State::Cancelled)),
            1 => assert_eq!(shown, None),
            _ => assert_eq!(shown, Some(State::Waiting { unfinished: 1 })),
        }
    }
}

/// The swarm found it: what is counted first is ready before the task that needs it lists it.
#[test]
fn a_wait_that_begins_while_tasks_are_revived_needs_what_is_ready_later() {
    let mut world = World::new(1, 1);
    let [one, other] = [(); 2].map(|()| submit(&mut world, &[]));
    let both = submit(&mut world, &[one, other]);
    let waiter = submit(&mut world, &[]);
    finish(&mut world, one, Outcome::Failed);
    finish(&mut world, other, Outcome::Failed);
    handle(&mut world, Event::Pull(W0));
    assert_eq!(state(&world, waiter), State::Running { worker: W0 });
    handle(&mut world, Event::Join(GroupId(0)));
    world.scheduler.transitions = 1;
    let mut effects = vec![];
    let retry = Event::Retry(world.id(both));
    world.scheduler.handle(retry, &mut effects);
    while state(&world, one) == State::Failed || state(&world, other) == State::Failed {
        world.scheduler.handle(Event::Continue, &mut effects);
    }
    let wait = Wait { tasks: Arc::new(vec![world.id(both)]), all: true };
    world.scheduler.handle(Event::Park { worker: W0, wait }, &mut effects);
    while world.scheduler.has_more() {
        world.scheduler.handle(Event::Continue, &mut effects);
        world.scheduler.check().unwrap();
    }
    assert_eq!([one, other].map(|cell| state(&world, cell)), [State::Ready; 2]);
}

/// A task that is revived waits for a task that does not list it as a dependent yet.
#[test]
fn what_is_ready_before_its_dependent_is_counted_is_needed() {
    let mut world = World::new(1, 1);
    let first = submit(&mut world, &[]);
    let middle = submit(&mut world, &[first]);
    finish(&mut world, first, Outcome::Failed);
    let last = submit(&mut world, &[middle]);
    assert_eq!(state(&world, last), State::Failed);
    let mut chain = vec![submit(&mut world, &[])];
    finish(&mut world, chain[0], Outcome::Failed);
    for _ in 0..20 {
        let before = chain[chain.len() - 1];
        chain.push(submit(&mut world, &[before]));
    }
    let end = world.id(chain[20]);
    for cell in &chain[..20] {
        let task = world.id(*cell);
        handle(&mut world, Event::Release { task, there: false });
    }
    let waiter = submit(&mut world, &[]);
    handle(&mut world, Event::Pull(W0));
    assert_eq!(state(&world, waiter), State::Running { worker: W0 });
    handle(&mut world, Event::Join(GroupId(0)));
    world.scheduler.transitions = 1;
    let mut effects = vec![];
    let retry = Event::Retry(world.id(last));
    world.scheduler.handle(retry, &mut effects);
    while state(&world, middle) != (State::Waiting { unfinished: 1 }) {
        world.scheduler.handle(Event::Continue, &mut effects);
    }
    // Before the last is counted, the chain goes, task by task.
    let goes = Event::Release { task: end, there: false };
    let wait = Wait { tasks: Arc::new(vec![world.id(last)]), all: true };
    let (worker, task) = (WorkerId(1), world.id(first));
    let finish =
        Event::Finish { worker: Some(worker), task, outcome: Outcome::Done, took: 100_000 };
    for event in [goes, Event::Park { worker: W0, wait }, Event::Pull(worker), finish] {
        world.scheduler.handle(event, &mut effects);
    }
    while state(&world, middle) != State::Ready {
        world.scheduler.handle(Event::Continue, &mut effects);
        world.scheduler.check().unwrap();
    }
    assert_ne!(state(&world, last), State::Waiting { unfinished: 1 }, "it is counted later");
}

#[test]
fn many_dependents_are_retried_in_as_many_steps() {
    let mut world = World::new(2, 256);
    let (fails, slow) = (submit(&mut world, &[]), submit(&mut world, &[]));
    handle(&mut world, Event::Pull(W0));
    handle(&mut world, Event::Pull(WorkerId(1)));
    let dependents: Vec<Cell> = (0..MANY).map(|_| submit(&mut world, &[fails, slow])).collect();
    finish(&mut world, fails, Outcome::Failed);
    for cell in &dependents {
        let event = Event::Retry(world.id(*cell));
        let mut effects = vec![];
        world.scheduler.handle(event, &mut effects);
        assert!(effects.len() <= 2 && !world.scheduler.has_more());
    }
    world.scheduler.check().unwrap();
    // Each is told twice by the slow one, and is ready once.
    finish(&mut world, slow, Outcome::Done);
    world.scheduler.check().unwrap();
    assert!(dependents.iter().all(|cell| matches!(state(&world, *cell), State::Waiting { .. })));
    finish(&mut world, fails, Outcome::Done);
    world.scheduler.check().unwrap();
    assert!(dependents.iter().all(|cell| state(&world, *cell) == State::Ready));
}

#[test]
fn a_task_told_twice_by_one_input_waits_for_the_others() {
    let mut world = World::new(1, 256);
    let inputs: Vec<Cell> = (0..5).map(|_| world.submit(None, None, None, 0, &[])).collect();
    let joins = world.submit(None, None, None, 0, &inputs);
    for _ in 0..3 {
        world.next(W0);
        world.finish(W0, Outcome::Failed, 100_000);
        assert_eq!(world.cells[joins].shows, Shows::Failed);
        world.event(Event::Retry(world.id(joins)));
    }
    for _ in &inputs {
        assert_eq!(world.cells[joins].shows, Shows::Pending);
        assert!(matches!(state(&world, joins), State::Waiting { .. }));
        world.next(W0);
        world.finish(W0, Outcome::Done, 100_000);
    }
    assert!(matches!(state(&world, joins), State::Ready | State::Running { .. }));
}

#[test]
fn a_task_polls_what_depends_on_very_many_without_a_look_at_them() {
    let mut world = World::new(1, 256);
    let polls = submit(&mut world, &[]);
    handle(&mut world, Event::Pull(W0));
    let after = submit(&mut world, &[polls]);
    let mut last = submit(&mut world, &[]);
    for _ in 0..MANY {
        last = submit(&mut world, &[last]);
    }
    submit(&mut world, &[after, last]);
    FOLLOWED.set(0);
    handle(&mut world, Event::Join(GroupId(0)));
    let wait = Wait { tasks: Arc::new([world.id(last)].into()), all: true };
    for times in 0..10 {
        let (_, effects) = handle(&mut world, Event::Park { worker: W0, wait: wait.clone() });
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refused(_))), "{times}");
        handle(&mut world, Event::Resume(W0));
        assert_eq!(state(&world, polls), State::Parked { worker: W0 });
        // The other worker was granted the slot, finds that it is wanted back, and sleeps.
        handle(&mut world, Event::Pull(WorkerId(1)));
        assert_eq!(state(&world, polls), State::Running { worker: W0 });
    }
    assert!(FOLLOWED.get() < 100, "{} tasks were looked at", FOLLOWED.get());
    world.scheduler.check().unwrap();
}

#[test]
fn a_wait_for_a_task_that_is_half_revived_and_needs_the_waiter_is_refused() {
    let mut world = World::new(2, 256);
    let [waiter, fails] = [(), ()].map(|()| world.submit(None, None, None, 0, &[]));
    let both = world.submit(None, None, None, 0, &[fails, waiter]);
    let after = world.submit(None, None, None, 0, &[both]);
    for worker in [W0, WorkerId(1)] {
        world.next(worker);
    }
    let runs = |world: &World, cell| {
        let mut workers = world.workers.iter();
        let found = workers.find(|(_, thread)| thread.running.is_some_and(|(_, it)| it == cell));
        *found.expect("it runs").0
    };
    let [waiter, fails] = [waiter, fails].map(|cell| runs(&world, cell));
    world.finish(fails, Outcome::Failed, 1_000);
    world.finish_leftovers();
    assert_eq!(world.cells[after].shows, Shows::Failed);
    world.scheduler.transitions = 1;
    let after = world.id(after);
    world.event(Event::Retry(after));
    let mut portions = 1;
    while world.scheduler.has_more() {
        assert!(!world.park(waiter, Wait { tasks: Arc::new(vec![after]), all: true }));
        world.event(Event::Continue);
        portions += 1;
    }
    assert!(portions > 3, "each input was looked at, and then counted");
    assert!(!world.park(waiter, Wait { tasks: Arc::new(vec![after]), all: true }));
}
