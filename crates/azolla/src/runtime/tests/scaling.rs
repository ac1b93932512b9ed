//! Groups that come and go.

use super::*;
use azolla_core::GroupId;

const NOTHING: [(&str, f64); 0] = [];

#[test]
fn a_group_that_comes_runs_what_is_ready() {
    let (engine, runner) = engine(1, 4);
    let mut first = runner.take().pop().unwrap();
    let jobs = [submit(&engine), submit(&engine)];
    assert!(runs(&mut first, &jobs[0]));
    let group = engine.add_group(1, NOTHING).unwrap();
    assert_eq!((group, engine.slots()), (GroupId(1), 2));
    let mut second = runner.take().pop().expect("it has a worker");
    assert!(runs(&mut second, &jobs[1]));
    engine.check().unwrap();
    engine.close();
}

#[test]
fn the_workers_of_a_retired_group_end_between_two_tasks_and_the_others_run_the_rest() {
    let (engine, runner) = engine(1, 4);
    let mut first = runner.take().pop().unwrap();
    let group = engine.add_group(2, NOTHING).unwrap();
    let [mut idle, mut busy] = runner.take().try_into().ok().unwrap();
    let Next::Sleep(sleeper) = idle.next_task() else { panic!("there is nothing to do") };
    let jobs = [submit(&engine), submit(&engine)];
    assert!(runs(&mut busy, &jobs[0]));
    engine.retire_group(group);
    assert_eq!((engine.slots(), engine.at_work(group)), (1, 1));
    sleeper.sleep();
    assert!(matches!(idle.next_task(), Next::End));
    assert!(!engine.is_gone(group));
    busy.finish(Outcome::Done);
    assert!(matches!(busy.next_task(), Next::End));
    assert!(engine.is_gone(group));
    drop((busy, idle));
    assert!(runner.take().is_empty(), "none takes their places");
    assert!(runs(&mut first, &jobs[1]));
    first.finish(Outcome::Done);
    engine.check().unwrap();
    engine.close();
}
