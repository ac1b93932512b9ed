//! Tasks that a worker begins ahead.

use super::*;

type Begun = (Arc<Engine<Task>>, Vec<Worker<Task>>, ByHand, Vec<Arc<Task>>);

/// An engine whose first worker runs the first of so many tasks. The engine knows that they are short, so the worker has
/// several claims.
fn begun(slots: usize, tasks: usize) -> Begun {
    let (engine, runner) = engine(slots, usize::MAX);
    let mut workers = runner.take();
    let worker = &mut workers[0];
    for job in (0..4).map(|_| submit(&engine)).collect::<Vec<_>>() {
        assert!(runs(worker, &job));
        worker.finish(Outcome::Done);
    }
    let jobs: Vec<_> = (0..tasks).map(|_| submit(&engine)).collect();
    assert!(runs(worker, &jobs[0]));
    (engine, workers, runner, jobs)
}

#[test]
fn tasks_that_were_begun_ahead_run_in_order_and_are_not_taken_back() {
    let (engine, mut workers, _runner, jobs) = begun(2, 20);
    let [one, two] = &mut workers[..] else { unreachable!() };
    let ahead = one.begin_ahead(3);
    assert_eq!(ahead, 3);
    assert!(one.ahead().zip(&jobs[1..]).all(|(ahead, job)| Arc::ptr_eq(ahead, job)));
    while matches!(two.next_task(), Next::Run) {
        assert!(!jobs[..4].iter().any(|job| Arc::ptr_eq(job, two.job().unwrap())));
        two.finish(Outcome::Done);
    }
    engine.check().unwrap();
    one.finish(Outcome::Done);
    for job in &jobs[1..4] {
        assert!(runs(one, job));
        one.finish(Outcome::Done);
    }
    while matches!(one.next_task(), Next::Run) {
        one.finish(Outcome::Done);
    }
    assert!(jobs.iter().all(|job| job.header.status() == Status::Finished));
    engine.check().unwrap();
    engine.close();
}

#[test]
fn tasks_that_fall_back_are_run_by_those_who_are_idle() {
    let (engine, mut workers, _runner, jobs) = begun(2, 9);
    let [one, two] = &mut workers[..] else { unreachable!() };
    let ahead = one.begin_ahead(usize::MAX);
    assert!(ahead > 1);
    one.fall_back(1);
    assert_eq!(one.ahead().count(), 1);
    while matches!(two.next_task(), Next::Run) {
        two.finish(Outcome::Done);
    }
    let left = jobs.iter().filter(|job| job.header.status() == Status::Pending).count();
    assert_eq!(left, 2, "the one that runs, and the one ahead");
    one.finish(Outcome::Done);
    assert!(runs(one, &jobs[1]));
    one.finish(Outcome::Done);
    assert!(matches!(one.next_task(), Next::Sleep(_)));
    engine.check().unwrap();
    engine.close();
}

#[test]
fn what_a_worker_leaves_to_others_they_run_though_it_asks_for_nothing_more() {
    let (engine, mut workers, _runner, jobs) = begun(2, 30);
    let [one, two] = &mut workers[..] else { unreachable!() };
    assert_eq!(one.begin_ahead(3), 3);
    assert!(Arc::ptr_eq(&one.leave_to_others().unwrap(), &jobs[0]));
    engine.check().unwrap();
    assert!(one.current().is_none() && one.ahead().count() == 0);
    while matches!(two.next_task(), Next::Run) {
        two.finish(Outcome::Done);
    }
    assert!(jobs.iter().all(|job| job.header.status() == Status::Finished));
    assert!(matches!(one.next_task(), Next::Sleep(_)));
    engine.check().unwrap();
    engine.close();
}

#[test]
fn a_cancelled_claim_is_not_begun_ahead_and_an_urgent_task_comes_before_more() {
    let (engine, mut workers, _runner, jobs) = begun(1, 6);
    let worker = &mut workers[0];
    engine.cancel(&jobs[1]);
    assert_eq!(worker.begin_ahead(1), 1);
    assert!(worker.ahead().all(|ahead| Arc::ptr_eq(ahead, &jobs[2])));
    let urgent = Task::new();
    let priority = Some(azolla_core::Priority::from(9));
    engine.submit(Submission { priority, ..Submission::new(Arc::clone(&urgent), 1) });
    assert_eq!(worker.begin_ahead(9), 1, "the urgent one comes first");
    worker.finish(Outcome::Done);
    for job in [&jobs[2], &urgent, &jobs[3]] {
        assert!(runs(worker, job));
        worker.finish(Outcome::Done);
    }
    engine.check().unwrap();
    engine.close();
}

#[test]
fn the_next_task_of_a_chain_does_not_pass_those_that_were_begun_ahead() {
    let (engine, mut workers, _runner, jobs) = begun(1, 12);
    let worker = &mut workers[0];
    let dependent = Task::new();
    let inputs = watch_all(&[Arc::clone(&jobs[0])]);
    engine.submit(Submission { inputs, ..Submission::new(Arc::clone(&dependent), 1) });
    assert_eq!(worker.begin_ahead(2), 2);
    worker.finish(Outcome::Done);
    for job in &jobs[1..3] {
        assert!(runs(worker, job));
        worker.finish(Outcome::Done);
    }
    while matches!(worker.next_task(), Next::Run) {
        worker.finish(Outcome::Done);
    }
    assert_eq!(dependent.header.status(), Status::Finished);
    engine.check().unwrap();
    engine.close();
}

#[test]
fn a_worker_that_ends_leaves_what_it_has_begun_ahead_to_others() {
    let (engine, mut workers, runner, jobs) = begun(1, 4);
    let mut worker = workers.remove(0);
    assert!(worker.begin_ahead(9) > 0);
    drop(worker);
    assert_eq!(jobs[0].header.status(), Status::Failed);
    let mut other = runner.take().pop().unwrap();
    for job in &jobs[1..] {
        assert!(runs(&mut other, job));
        other.finish(Outcome::Done);
    }
    engine.check().unwrap();
    engine.close();
}
