//! A named test for every bug that was found, and for the rules that a reader should find stated.

use super::world::{Shows, ThreadState, World};
use crate::growth::{BranchId, Growth};
use crate::{Event, Kind, Outcome, Refusal, State, Wait, WorkerId};
use std::vec;
use std::vec::Vec;

const W0: WorkerId = WorkerId(0);

fn wait_for(tasks: Vec<crate::TaskId>) -> Wait {
    Wait { tasks: std::sync::Arc::new(tasks), all: true }
}

#[test]
fn a_chain_is_handed_over_without_the_queue() {
    let mut world = World::new(1, 256);
    let first = world.submit(None, None, None, 0, &[]);
    let second = world.submit(None, None, None, 0, &[first]);
    world.next(W0);
    world.finish(W0, Outcome::Done, 1);
    assert_eq!(world.workers[&W0].running.map(|(_, cell)| cell), Some(second));
}

#[test]
fn a_child_inherits_priority_unless_it_gives_its_own() {
    let mut world = World::new(1, 256);
    let parent = world.submit(Some(7), None, None, 0, &[]);
    world.next(W0);
    let parent = world.id(parent);
    let child = world.submit(None, Some(parent), None, 0, &[]);
    let zero = world.submit(Some(0), Some(parent), None, 0, &[]);
    assert_eq!(world.scheduler.task(world.id(child)).unwrap().priority.number(), 7.0);
    assert_eq!(world.scheduler.task(world.id(zero)).unwrap().priority.number(), 0.0);
}

#[test]
fn two_tasks_that_wait_for_each_other_are_a_cycle() {
    let mut world = World::new(2, 256);
    let a = world.submit(None, None, None, 0, &[]);
    let b = world.submit(None, None, None, 0, &[]);
    let workers: Vec<_> = world.workers.keys().copied().collect();
    for worker in &workers {
        world.next(*worker);
    }
    let runs = |world: &World, cell| {
        *world.workers.iter().find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).unwrap().0
    };
    let (on_a, on_b) = (runs(&world, a), runs(&world, b));
    assert!(world.park(on_a, wait_for(vec![world.id(b)])));
    assert!(!world.park(on_b, wait_for(vec![world.id(a)])), "the second wait closes the cycle");
}

#[test]
fn a_wait_through_a_dependency_is_a_cycle_too() {
    let mut world = World::new(1, 256);
    let a = world.submit(None, None, None, 0, &[]);
    let after_a = world.submit(None, None, None, 0, &[a]);
    world.next(W0);
    world.event(Event::Park { worker: W0, wait: wait_for(vec![world.id(after_a)]) });
    let Some(crate::Effect::Refused(Refusal::Cycle(path))) = world.answer.pop() else { panic!() };
    assert_eq!(path, vec![world.id(a), world.id(after_a)]);
}

#[test]
fn a_failure_reaches_all_that_depend_on_it_however_deep() {
    let mut world = World::new(1, 256);
    let first = world.submit(None, None, None, 0, &[]);
    let mut last = first;
    for _ in 0..100_000 {
        last = world.cells.len();
        // Submitted past the checks, which walk everything each time.
        world.cells.push(super::world::CellState::new(&[last - 1]));
        let input = crate::Input { task: world.id(last - 1), there: false };
        let mut effects = vec![];
        world.scheduler.handle(
            Event::Submit(crate::Submission {
                payload: last,
                key: None,
                priority: None,
                parent: None,
                kind: Kind(0),
                constraint: None,
                inputs: [input].into_iter().collect(),
                call: false,
            }),
            &mut effects,
        );
        let crate::Effect::Submitted(id) = effects[0] else { panic!() };
        world.cells[last].id = Some(id);
    }
    let mut effects = vec![];
    world.scheduler.handle(Event::Pull(W0), &mut effects);
    let task = world.id(first);
    let finish = Event::Finish { worker: Some(W0), task, outcome: Outcome::Failed, took: 0 };
    world.scheduler.handle(finish, &mut effects);
    let mut holds = 1;
    while world.scheduler.has_more() {
        world.scheduler.handle(Event::Continue, &mut effects);
        holds += 1;
    }
    assert!(holds > 100_000 / 256, "one call made more transitions than it may");
    assert_eq!(world.scheduler.task(world.id(last)).unwrap().state, State::Failed);
    world.scheduler.check().unwrap();
}

#[test]
fn retrying_a_dependent_runs_the_culprit_again() {
    let mut world = World::new(1, 256);
    let culprit = world.submit(None, None, None, 0, &[]);
    let victim = world.submit(None, None, None, 0, &[culprit]);
    world.next(W0);
    world.finish(W0, Outcome::Failed, 1);
    assert_eq!(world.cells[victim].shows, Shows::Failed);
    world.event(Event::Retry(world.id(victim)));
    assert_eq!(world.cells[culprit].shows, Shows::Pending);
    world.next(W0);
    world.finish(W0, Outcome::Done, 1);
    assert_eq!(world.workers[&W0].running.map(|(_, cell)| cell), Some(victim));
}

#[test]
fn a_retried_task_is_told_once_by_an_input_that_was_unfinished_all_along() {
    let mut world = World::new(2, 256);
    let fails = world.submit(None, None, None, 0, &[]);
    let slow = world.submit(None, None, None, 0, &[]);
    let both = world.submit(None, None, None, 0, &[fails, slow]);
    let workers: Vec<_> = world.workers.keys().copied().collect();
    for worker in &workers {
        world.next(*worker);
    }
    let on = |world: &World, cell| {
        *world.workers.iter().find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).unwrap().0
    };
    let (on_fails, on_slow) = (on(&world, fails), on(&world, slow));
    world.finish(on_fails, Outcome::Failed, 1);
    assert_eq!(world.cells[both].shows, Shows::Failed);
    world.event(Event::Retry(world.id(both)));
    world.finish(on_slow, Outcome::Done, 1);
    assert_eq!(world.cells[both].shows, Shows::Pending, "the culprit has not run again yet");
    world.next(on_fails);
    world.finish(on_fails, Outcome::Done, 1);
    assert_eq!(world.workers[&on_fails].running.map(|(_, cell)| cell), Some(both));
}

#[test]
fn a_task_whose_wait_is_over_comes_before_new_work() {
    let mut world = World::new(1, 256);
    let parent = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    let child = world.submit(None, Some(world.id(parent)), None, 0, &[]);
    let urgent = world.submit(Some(100), None, None, 0, &[]);
    assert!(world.park(W0, wait_for(vec![world.id(child)])));
    let other = *world.workers.keys().find(|worker| **worker != W0).unwrap();
    world.next(other);
    assert_eq!(world.workers[&other].running.map(|(_, cell)| cell), Some(urgent));
    world.finish(other, Outcome::Done, 1);
    world.next(other);
    world.submit(Some(100), None, None, 0, &[]);
    world.finish(other, Outcome::Done, 1);
    assert_eq!(world.cells[child].shows, Shows::Done);
    world.resume_satisfied();
    assert_eq!(world.workers[&W0].state, ThreadState::Resuming);
    world.next(other);
    assert_eq!(world.workers[&W0].state, ThreadState::Awake);
    assert_eq!(world.workers[&other].running, None);
}

#[test]
fn short_tasks_come_in_batches_that_leave_something_for_others() {
    let mut world = World::new(2, 256);
    let cells: Vec<_> = (0..50).map(|_| world.submit(None, None, None, 0, &[])).collect();
    for _ in 0..4 {
        world.next(W0);
        world.finish(W0, Outcome::Done, 1_000);
    }
    world.next(W0);
    let claimed = world.workers[&W0].batch.len();
    assert!((8..32).contains(&claimed), "{claimed} of {} claimed", cells.len() - 4);
}

#[test]
fn only_short_tasks_are_pulled_several_at_once_and_only_once_that_is_known() {
    let (short, long) = (0, 1);
    let mut world = World::new(1, 256);
    for kind in [short, short, short, long, long, long, long].repeat(4) {
        world.submit(None, None, None, kind, &[]);
    }
    let mut batches = Vec::new();
    while world.scheduler.counts().live > 0 {
        world.next(W0);
        let thread = &world.workers[&W0];
        let tasks = thread.batch.iter().chain(&thread.running).map(|(task, _)| *task);
        let kinds: Vec<_> = tasks.map(|task| world.scheduler.task(task).unwrap().kind.0).collect();
        let took = if kinds.last() == Some(&short) { 1_000 } else { 100_000 };
        world.finish(W0, Outcome::Done, took);
        batches.push(kinds);
    }
    let [first, second, third, ..] = &batches[..] else { panic!("{batches:?}") };
    assert_eq!([first.len(), second.len(), third.len()], [1; 3], "nothing is known of them yet");
    assert!(batches.iter().any(|batch| batch.len() > 1), "{batches:?}");
    let alike = |batch: &Vec<u32>| batch.iter().all(|kind| *kind == short);
    assert!(batches.iter().filter(|batch| batch.len() > 1).all(alike), "{batches:?}");
}

#[test]
fn a_chain_without_end_lets_others_of_its_priority_in() {
    let mut world = World::new(1, 256);
    let mut chain = vec![world.submit(None, None, None, 0, &[])];
    world.next(W0);
    let other = world.submit(None, None, None, 1, &[]);
    let mut links = 0;
    while world.cells[other].shows == Shows::Pending {
        // The next link is there before this one ends, and newer than the other task.
        chain.push(world.submit(None, None, None, 0, &[chain[links]]));
        links += 1;
        world.finish(W0, Outcome::Done, 100_000);
        if world.workers[&W0].running.is_none() {
            world.next(W0);
        }
        assert!(links < 100, "it never comes to the other");
    }
}

#[test]
fn what_a_worker_has_claimed_is_ready_again_when_it_pulls() {
    let mut world = World::new(2, 256);
    for _ in 0..20 {
        world.submit(None, None, None, 0, &[]);
    }
    for _ in 0..4 {
        world.next(W0);
        world.finish(W0, Outcome::Done, 1_000);
    }
    world.next(W0);
    assert!(world.scheduler.counts().claimed > 0);
    let claimed = std::mem::take(&mut world.workers.get_mut(&W0).unwrap().batch);
    world.finish(W0, Outcome::Done, 1_000_000);
    world.next(W0);
    let first = claimed[0].0;
    assert_eq!(world.workers[&W0].running.map(|(task, _)| task), Some(first));
}

#[test]
fn at_the_cap_only_what_a_parked_task_needs_begins() {
    let mut world = World::new(1, 2);
    // Parents are more urgent than their children, so by priority alone all would be begun.
    for _ in 0..5 {
        world.submit(Some(10), None, None, 0, &[]);
    }
    let mut most = 0;
    for _ in 0..1_000 {
        world.resume_satisfied();
        let workers: Vec<_> = world.workers.keys().copied().collect();
        for worker in workers {
            let thread = &world.workers[&worker];
            match (thread.state, thread.running) {
                (ThreadState::Awake, None) => world.next(worker),
                (ThreadState::Awake, Some((task, _))) => {
                    let view = world.scheduler.task(task).unwrap();
                    if view.lineage.depth == 0 && world.cells.len() < 10 {
                        let child = world.submit(Some(0), Some(task), None, 0, &[]);
                        world.park(worker, wait_for(vec![world.id(child)]));
                    } else {
                        world.finish(worker, Outcome::Done, 100_000);
                    }
                }
                _ => {}
            }
        }
        most = most.max(world.scheduler.counts().parked);
    }
    assert_eq!(world.scheduler.counts().live, 0);
    assert_eq!(most, 2);
}

/// The swarm found it: as one of the two ends, its waiter is about to go on, and waits for neither.
#[test]
fn a_wait_for_the_first_is_over_once_one_has_ended() {
    let mut world = World::new(3, 256);
    let cells = [(); 3].map(|()| world.submit(None, None, None, 0, &[]));
    let workers: Vec<_> = world.workers.keys().copied().collect();
    for worker in &workers {
        world.next(*worker);
    }
    let on = |world: &World, cell| {
        *world.workers.iter().find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).unwrap().0
    };
    let [waiter, one, other] = cells.map(|cell| (on(&world, cell), world.id(cell)));
    let first_of_two = Wait { tasks: std::sync::Arc::new(vec![one.1, other.1]), all: false };
    assert!(world.park(waiter.0, first_of_two));
    world.finish(one.0, Outcome::Done, 1);
    assert!(world.park(other.0, wait_for(vec![waiter.1])), "the first has ended: no cycle");
}

#[test]
fn a_wait_for_the_first_of_which_one_is_left_is_a_wait_for_that_one() {
    let mut world = World::new(2, 256);
    let done = world.submit(None, None, None, 0, &[]);
    let granted = *world.workers.iter().find(|(_, t)| t.state == ThreadState::Awake).unwrap().0;
    world.next(granted);
    world.finish(granted, Outcome::Done, 1);
    let cells = [(); 2].map(|()| world.submit(None, None, None, 0, &[]));
    let workers: Vec<_> = world.workers.keys().copied().collect();
    for worker in &workers {
        world.next(*worker);
    }
    let on = |world: &World, cell| {
        *world.workers.iter().find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).unwrap().0
    };
    let [a, b] = cells.map(|cell| (on(&world, cell), world.id(cell)));
    let tasks = std::sync::Arc::new(vec![world.id(done), b.1]);
    assert!(world.park(a.0, Wait { tasks, all: false }));
    assert!(!world.park(b.0, wait_for(vec![a.1])));
}

#[test]
fn a_worker_that_goes_in_the_middle_of_a_wait_lowers_the_cap_too() {
    let mut world = World::new(1, 1);
    world.submit(None, None, None, 0, &[]);
    world.next(W0);
    // Both wait for something outside: the cap must rise for the second to be begun.
    assert!(world.park(W0, wait_for(vec![])));
    world.submit(None, None, None, 0, &[]);
    assert!(world.scheduler.cap_is_raised());
    world.leave(W0);
    assert!(!world.scheduler.cap_is_raised());
}

#[test]
fn a_slot_that_a_waiting_task_lends_goes_to_what_others_have_claimed() {
    let mut world = World::new(2, 256);
    for _ in 0..40 {
        world.submit(None, None, None, 0, &[]);
    }
    for _ in 0..4 {
        world.next(W0);
        world.finish(W0, Outcome::Done, 1_000);
    }
    let w1 = WorkerId(1);
    world.next(w1);
    // The other one alone does what is left, until it has one task in hand and nothing is ready.
    while world.scheduler.counts().ready > 0 || world.workers[&W0].running.is_none() {
        if world.workers[&W0].running.is_some() {
            world.finish(W0, Outcome::Done, 1_000);
        }
        world.next(W0);
    }
    assert!(!world.workers[&w1].batch.is_empty());
    assert!(world.park(W0, wait_for(vec![])));
    world.check_idle();
}

#[test]
fn closing_leaves_results_that_are_there() {
    let mut world = World::new(1, 256);
    let done = world.submit(None, None, None, 0, &[]);
    let queued = world.submit(None, None, None, 0, &[done]);
    world.next(W0);
    world.finish(W0, Outcome::Done, 1);
    world.close();
    assert_eq!(world.cells[done].shows, Shows::Done);
    assert_eq!(world.cells[queued].shows, Shows::Cancelled);
}

#[test]
fn a_retry_that_comes_before_the_end_is_not_begun_after_it() {
    let mut world = World::new(1, 256);
    world.scheduler.transitions = 1;
    let failed = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    world.finish(W0, Outcome::Failed, 1);
    // Something is left half done, so that the retry has to wait.
    let busy = world.submit(None, None, None, 0, &[]);
    let dependents = [(); 3].map(|()| world.submit(None, None, None, 0, &[busy]));
    world.event(Event::Cancel(world.id(busy)));
    assert!(world.scheduler.has_more());
    world.event(Event::Retry(world.id(failed)));
    world.event(Event::Close);
    world.finish_leftovers();
    assert!(dependents.iter().all(|cell| world.cells[*cell].shows == Shows::Cancelled));
    assert_eq!(world.cells[failed].shows, Shows::Failed);
}

/// The swarm found it: what is retried was counted by those who waited for it when it failed.
#[test]
fn a_task_that_is_retried_closes_no_cycle_with_those_who_have_seen_it_fail() {
    let mut world = World::new(3, 256);
    let cells = [(); 3].map(|()| world.submit(None, None, None, 0, &[]));
    let workers: Vec<_> = world.workers.keys().copied().collect();
    for worker in &workers {
        world.next(*worker);
    }
    let on = |world: &World, cell| {
        *world.workers.iter().find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).unwrap().0
    };
    let [culprit, slow, waiter] = cells;
    let (on_culprit, on_waiter) = (on(&world, culprit), on(&world, waiter));
    // It depends on both, and on who is about to wait for it.
    let victim = world.submit(None, None, None, 0, &[culprit, waiter]);
    world.finish(on_culprit, Outcome::Failed, 1);
    assert_eq!(world.cells[victim].shows, Shows::Failed);
    assert!(world.park(on_waiter, wait_for(vec![world.id(victim), world.id(slow)])));
    world.event(Event::Retry(world.id(victim)));
    world.finish(on(&world, slow), Outcome::Done, 1);
    world.resume_satisfied();
    world.next(on_culprit);
    assert_eq!(world.workers[&on_waiter].state, ThreadState::Awake);
}

/// The swarm found it: the wait was over by the failure, so at the cap nobody needs the task any more.
#[test]
fn a_task_that_is_retried_is_not_needed_by_a_wait_for_the_first_that_it_has_ended() {
    let mut world = World::new(3, 1);
    let [fails, slow, waiter] = [0; 3].map(|_| world.submit(None, None, None, 0, &[]));
    let workers: Vec<_> = world.workers.keys().copied().collect();
    for worker in &workers {
        world.next(*worker);
    }
    let on = |world: &World, cell| {
        *world.workers.iter().find(|(_, t)| t.running.is_some_and(|(_, c)| c == cell)).unwrap().0
    };
    let (on_fails, on_waiter) = (on(&world, fails), on(&world, waiter));
    let tasks = std::sync::Arc::new(vec![world.id(fails), world.id(slow)]);
    assert!(world.park(on_waiter, Wait { tasks, all: false }));
    world.finish(on_fails, Outcome::Failed, 1);
    world.event(Event::Retry(world.id(fails)));
    world.next(on_fails);
    assert_eq!(world.workers[&on_fails].running, None, "it begins at the cap, and nobody needs it");
    world.resume_satisfied();
}

#[test]
fn workers_that_are_not_needed_any_more_are_retired() {
    let mut world = World::new(1, 256);
    let parents: Vec<_> = (0..40).map(|_| world.submit(None, None, None, 0, &[])).collect();
    let waiting: Vec<_> = (0..parents.len())
        .map(|_| {
            let awake = |(_, t): &(&WorkerId, &super::world::Thread)| t.state == ThreadState::Awake;
            let worker = *world.workers.iter().find(awake).unwrap().0;
            world.next(worker);
            assert!(world.park(worker, wait_for(vec![])));
            worker
        })
        .collect();
    for worker in waiting {
        world.resume(worker);
        while world.workers.get(&worker).is_some_and(|t| t.state == ThreadState::Resuming) {
            let awake = *world
                .workers
                .iter()
                .find(|(_, t)| t.state == ThreadState::Awake && t.running.is_none())
                .unwrap()
                .0;
            world.next(awake);
        }
        world.finish(worker, Outcome::Done, 1);
        world.next(worker);
    }
    assert!(world.workers.len() <= 20, "{} workers for one slot", world.workers.len());
    assert!(world.happened["a worker was retired"] > 0);
}

/// So many parents wait for async work that ends when the last of them has begun. Returns how many
/// whiles that takes; in every other one, the worker that dozes may leave, and another comes.
fn whiles_until_parked(world: &mut World, parents: usize, leaves: bool) -> u32 {
    let event = world.submit(None, None, None, 0, &[]);
    world.next(W0);
    world.detach(W0);
    for _ in 0..parents {
        world.submit(None, None, None, 1, &[]);
    }
    let mut whiles = 0;
    while world.scheduler.counts().parked < parents {
        let awake = world.workers.iter().filter(|(_, t)| t.state == ThreadState::Awake);
        let awake: Vec<_> = awake.map(|(worker, thread)| (*worker, thread.running)).collect();
        if awake.is_empty() {
            whiles += 1;
            assert!(whiles < 50, "stuck at {} parked", world.scheduler.counts().parked);
            let dozes = world.workers.iter().find(|(_, thread)| thread.dozes);
            if let (true, Some((worker, _))) = (leaves && whiles % 2 == 1, dozes) {
                let worker = *worker;
                world.leave(worker);
                world.event(Event::Join(crate::GroupId(0)));
            } else {
                world.while_passes();
            }
        }
        for (worker, running) in awake {
            match running {
                Some(_) => assert!(world.park(worker, wait_for(vec![world.id(event)]))),
                None => world.next(worker),
            }
        }
    }
    whiles
}

#[test]
fn async_work_that_waits_for_what_has_not_begun_does_not_hold_the_cap_for_ever() {
    let mut world = World::new(1, 2);
    let whiles = whiles_until_parked(&mut world, 20, false);
    assert!(whiles < 10, "the cap rises faster while nothing ends: {whiles} whiles");
    world.finish_detached(0);
    world.resume_satisfied();
    assert_eq!(world.workers.values().filter(|t| t.state == ThreadState::Awake).count(), 1);
}

#[test]
fn when_the_worker_that_dozes_goes_another_one_does() {
    let mut world = World::new(1, 2);
    let whiles = whiles_until_parked(&mut world, 20, true);
    assert!(whiles > 1, "nobody dozed");
    world.finish_detached(0);
    world.resume_satisfied();
}

#[test]
fn a_branch_forgets_half_also_after_many_retries() {
    let mut growth = Growth::new();
    let branch = growth.grow(BranchId::ROOT, Kind(1));
    for _ in 0..4_000 {
        growth.ended(branch, State::Failed);
    }
    for _ in 0..4_000 {
        growth.not_ended(branch, State::Failed);
    }
    for _ in 0..4_000 {
        growth.ended(branch, State::Done);
        assert!(!growth.branches[branch.0 as usize].is_to_forget());
    }
    assert!(growth.branches[branch.0 as usize].lately <= 1_001);
}

/// The worker had not told the core of the end yet, so a submission of the key got the old task, and its result.
#[test]
fn the_key_of_a_task_whose_result_was_there_is_free_once_nothing_wants_it() {
    for how in ["by a future", "to its end", "by a dependent"] {
        let mut world = World::new(1, 256);
        let keyed: Vec<_> =
            (0..30).map(|key| world.submit(None, None, Some(key), 0, &[])).collect();
        world.next(W0);
        // Short tasks come several at once, and then ends are not told at once.
        while world.workers[&W0].batch.is_empty() {
            world.finish(W0, Outcome::Done, 1);
            world.next(W0);
        }
        let (_, done) = world.workers[&W0].running.unwrap();
        let key = keyed.iter().position(|cell| *cell == done).unwrap() as u128;
        if how == "to its end" {
            world.event(Event::Keep(world.id(done)));
        }
        world.finish(W0, Outcome::Done, 1);
        let again = world.submit(None, None, Some(key), 0, &[]);
        assert_eq!(again, done, "there are futures, so the key is taken");
        world.release(done);
        let dependent =
            (how == "by a dependent").then(|| world.submit(None, None, None, 0, &[done]));
        world.release(done);
        if let Some(dependent) = dependent {
            assert_eq!(world.submit(None, None, Some(key), 0, &[]), done, "a dependent wants it");
            world.release(done);
            world.release(dependent);
        }
        assert_ne!(world.submit(None, None, Some(key), 0, &[]), done, "wanted {how} before");
    }
}
