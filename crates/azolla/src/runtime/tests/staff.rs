//! Workers whose threads end in the middle of their work: others take their places.

use super::*;

#[test]
fn a_thread_that_dies_in_a_task_fails_it_and_another_takes_its_place() {
    let (engine, runner) = engine(1, 2);
    let mut worker = runner.take().pop().unwrap();
    for _ in 0..3 {
        drop(submit(&engine));
        assert!(matches!(worker.next_task(), Next::Run));
        worker.finish(Outcome::Done);
    }
    let jobs: Vec<_> = (0..20).map(|_| submit(&engine)).collect();
    assert!(matches!(worker.next_task(), Next::Run));
    assert!(engine.counts().claimed > 0);
    drop(worker);
    assert_eq!(jobs[0].header.status(), Status::Failed);
    let why = "the thread that ran this task has ended in the middle of it";
    assert_eq!(jobs[0].failure().as_deref(), Some(why));
    assert_eq!((engine.counts().claimed, engine.counts().ready), (0, 19));
    engine.check().unwrap();
    let mut worker = runner.take().pop().expect("another took its place");
    for job in &jobs[1..] {
        assert!(runs(&mut worker, job));
        worker.finish(Outcome::Done);
    }
    engine.close();
    drop(worker);
    assert!(runner.take().is_empty(), "none takes the place of a worker that ends with its engine");
}

#[test]
fn a_place_that_could_not_be_filled_is_filled_when_another_worker_rests() {
    let (engine, runner) = engine(2, 2);
    let mut workers = runner.take();
    let (mut stays, mut dies) = (workers.pop().unwrap(), workers.pop().unwrap());
    let jobs = [submit(&engine), submit(&engine)];
    assert!(matches!(dies.next_task(), Next::Run));
    drop(dies);
    assert!(runner.take().is_empty(), "there was no thread");
    assert!(matches!(stays.next_task(), Next::Run));
    stays.finish(Outcome::Done);
    assert!(jobs.iter().all(|job| job.header.status() != Status::Pending));
    runner.0.lock().unwrap().1 = 1;
    let Next::Sleep(sleeper) = stays.next_task() else { panic!("there is nothing to do") };
    let wakes_it = submit(&engine);
    sleeper.sleep();
    assert_eq!(runner.take().len(), 1);
    assert!(runs(&mut stays, &wakes_it));
    engine.check().unwrap();
    engine.close();
}
