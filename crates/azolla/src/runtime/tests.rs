//! The runtime with workers that the test moves by hand: what threads do only once in a while
//! happens here every time.

mod ahead;
mod scaling;
mod staff;
mod withdraw;

use super::*;
use azolla_core::{GroupId, Key, Outcome};
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub(super) struct Task {
    pub(super) header: Header,
    failure: Mutex<Option<String>>,
}

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self { header: Header::new(), failure: Mutex::new(None) })
    }
}

impl Job for Task {
    type Failure = String;

    fn header(&self) -> &Header {
        &self.header
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap().clone()
    }

    fn fail(&self, failure: String) {
        *self.failure.lock().unwrap() = Some(failure);
    }

    fn fail_as_endless(&self) {
        self.fail_by_engine("endless");
    }

    fn fail_by_engine(&self, why: &str) {
        self.fail(why.into());
    }

    fn reset(&self) {
        *self.failure.lock().unwrap() = None;
    }

    fn key(&self) -> String {
        "task".into()
    }

    fn name(&self) -> String {
        "task".into()
    }
}

/// Keeps the workers for the test to move; has so many threads to give.
#[derive(Clone)]
pub(super) struct ByHand(Arc<Mutex<(Vec<Worker<Task>>, usize)>>);

impl ByHand {
    fn with_threads(threads: usize) -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), threads))))
    }

    pub(super) fn take(&self) -> Vec<Worker<Task>> {
        let mut workers = std::mem::take(&mut self.0.lock().unwrap().0);
        // The first that is asked says that it is asleep, as it was not woken yet.
        for worker in &mut workers {
            assert!(matches!(worker.next_task(), Next::Sleep(_) | Next::End));
        }
        workers
    }
}

impl Runner<Task> for ByHand {
    fn start(&self, worker: Worker<Task>) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.1 == 0 {
            return Err(io::Error::other("no thread is left"));
        }
        inner.1 -= 1;
        inner.0.push(worker);
        Ok(())
    }
}

pub(super) fn engine(slots: usize, threads: usize) -> (Arc<Engine<Task>>, ByHand) {
    let runner = ByHand::with_threads(threads);
    (Engine::start(Groups::of_slots(slots), Box::new(runner.clone())).unwrap(), runner)
}

pub(super) fn submit(engine: &Engine<Task>) -> Arc<Task> {
    let job = Task::new();
    engine.submit(Submission::new(Arc::clone(&job), 1));
    job
}

/// Returns true if the worker runs this task next.
fn runs(worker: &mut Worker<Task>, job: &Arc<Task>) -> bool {
    matches!(worker.next_task(), Next::Run)
        && worker.job().is_some_and(|next| Arc::ptr_eq(next, job))
}

#[test]
fn an_engine_without_threads_does_not_start() {
    let runner = ByHand::with_threads(1);
    let error = Engine::start(Groups::of_slots(2), Box::new(runner.clone())).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "no thread is left");
    for mut worker in runner.take() {
        assert!(matches!(worker.next_task(), Next::End), "those that were started end");
    }
}

#[test]
fn a_task_that_cannot_lend_its_slot_for_want_of_a_thread_is_told_and_keeps_it() {
    let (engine, runner) = engine(1, 1);
    let mut worker = runner.take().pop().unwrap();
    let (parent, child) = (submit(&engine), submit(&engine));
    assert!(runs(&mut worker, &parent));
    let patience: Patience<'_, Infallible> = Patience::endless();
    let result = wait(Some(&mut worker), &[Arc::clone(&child)], Until::All, patience);
    assert!(matches!(result, Err(WaitError::NoThread(_))), "{result:?}");
    engine.check().unwrap();
    assert_eq!(engine.counts().workers, 1, "the worker that had no thread has left");
    worker.finish(Outcome::Done);
    assert!(runs(&mut worker, &child));
    worker.finish(Outcome::Done);
    engine.close();
}

/// It used to leave a second time as its thread ended, and took with it the worker that had been
/// given its number meanwhile.
#[test]
fn a_retired_worker_leaves_once() {
    let (engine, runner) = engine(1, usize::MAX);
    for _ in 0..40 {
        engine.start_worker(GroupId(0)).unwrap();
    }
    let mut workers = runner.take();
    let mut retired = Vec::new();
    for _ in 0..200 {
        let job = submit(&engine);
        for at in (0..workers.len()).rev() {
            let end = loop {
                match workers[at].next_task() {
                    Next::Run => drop(workers[at].finish(Outcome::Done)),
                    Next::Sleep(_) => break false,
                    Next::End => break true,
                }
            };
            if end {
                retired.push(workers.swap_remove(at));
            }
        }
        drop(job);
    }
    assert!(!retired.is_empty(), "40 workers are too many for one slot");
    let before = engine.counts().workers;
    assert_eq!(before, workers.len());
    for _ in 0..retired.len() {
        engine.start_worker(GroupId(0)).unwrap();
    }
    let added = retired.len();
    drop(retired);
    assert_eq!(engine.counts().workers, before + added);
    engine.check().unwrap();
    engine.close();
}

#[test]
fn a_worker_that_joins_after_the_end_comes_to_its_end() {
    let (engine, runner) = engine(1, usize::MAX);
    engine.close();
    engine.start_worker(GroupId(0)).unwrap();
    assert_eq!(runner.take().len(), 1, "no thread is started any more");
}

#[test]
fn a_claim_that_was_cancelled_does_not_let_a_less_urgent_one_pass() {
    let (engine, runner) = engine(1, 1);
    let mut worker = runner.take().pop().unwrap();
    let first: Vec<_> = (0..3).map(|_| submit(&engine)).collect();
    for _ in &first {
        assert!(matches!(worker.next_task(), Next::Run));
        worker.finish(Outcome::Done);
    }
    let submit_at = |priority: i32| {
        let job = Task::new();
        let priority = Some(azolla_core::Priority::from(priority));
        engine.submit(Submission { priority, ..Submission::new(Arc::clone(&job), 1) });
        job
    };
    let batch = [submit_at(9), submit_at(9), submit_at(1)];
    let more: Vec<_> = (0..9).map(|_| submit_at(1)).collect();
    assert!(runs(&mut worker, &batch[0]));
    engine.cancel(&batch[1]);
    let urgent = submit_at(5);
    worker.finish(Outcome::Done);
    assert!(runs(&mut worker, &urgent));
    worker.finish(Outcome::Done);
    engine.close();
    drop(more);
}

/// A bug in the scheduler, in the middle of an event.
fn break_it(engine: &Engine<Task>) {
    let broken = catch_unwind(AssertUnwindSafe(|| engine.with(|_| panic!("a bug in the core"))));
    assert!(broken.is_err());
}

#[test]
fn when_the_engine_breaks_every_wait_ends_and_says_so() {
    let (engine, runner) = engine(2, 4);
    let mut workers = runner.take();
    let jobs: Vec<_> = (0..10).map(|_| submit(&engine)).collect();
    let mut worker = workers.pop().unwrap();
    worker.parker.park();
    assert!(matches!(worker.next_task(), Next::Run));
    std::thread::scope(|scope| {
        let outside = jobs[5].clone();
        scope.spawn(move || {
            let patience: Patience<'_, Infallible> = Patience::endless();
            wait(None, &[outside], Until::All, patience).unwrap();
        });
        let (inside, worker) = (jobs[6].clone(), &mut worker);
        scope.spawn(move || {
            let patience: Patience<'_, Infallible> = Patience::endless();
            wait(Some(worker), &[inside], Until::All, patience).unwrap();
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        break_it(&engine);
    });
    assert!(engine.is_broken());
    for job in &jobs {
        assert_eq!(job.header.status(), Status::Failed);
        assert!(job.failure().unwrap().starts_with("azolla's engine has broken down"));
    }
    let late = submit(&engine);
    assert_eq!(late.header.status(), Status::Failed);
    worker.finish(Outcome::Done);
    assert!(matches!(worker.next_task(), Next::End));
    engine.cancel(&jobs[0]);
    engine.retry(&jobs[0]);
    if jobs[0].header.remove_future() {
        engine.release(&jobs[0].header);
    }
    engine.close();
}

#[test]
fn nothing_may_be_done_to_user_code_under_the_lock() {
    let (engine, _runner) = engine(1, 1);
    assert_unlocked();
    let caught = catch_unwind(AssertUnwindSafe(|| engine.with(|_| assert_unlocked())));
    assert_eq!(caught.is_err(), cfg!(debug_assertions));
    assert_unlocked();
    engine.close();
}

#[test]
fn completions_do_not_list_all_that_was_ever_added() {
    let (engine, runner) = engine(1, 1);
    let mut worker = runner.take().pop().unwrap();
    let completions = Completions::<Task>::new();
    let mut left = std::collections::VecDeque::new();
    for token in 0..10_000 {
        let job = submit(&engine);
        completions.add(&job, token);
        left.push_back(job);
        if left.len() > 10 {
            assert!(matches!(worker.next_task(), Next::Run));
            worker.finish(Outcome::Done);
            left.pop_front();
            assert_eq!(completions.try_next(), Some(token - 10));
        }
    }
    assert!(completions.listed() < 200, "{} are listed", completions.listed());
    engine.close();
}

/// The swarm found it: a retried task counted on an end that had not been told, and was handed over
/// to the worker that told it at last, in the middle of another task.
#[test]
fn an_end_that_is_told_in_the_middle_of_another_task_hands_nothing_over() {
    let (engine, runner) = engine(2, usize::MAX);
    let mut workers = runner.take();
    let (mut one, mut two) = (workers.pop().unwrap(), workers.pop().unwrap());
    let run = |worker: &mut Worker<Task>| {
        assert!(matches!(worker.next_task(), Next::Run));
        Arc::clone(worker.job().expect("there is something to run"))
    };
    // Short tasks, so that they are pulled several at once; and one that fails.
    let first: Vec<_> = (0..4).map(|_| submit(&engine)).collect();
    for _ in &first[1..] {
        run(&mut one);
        one.finish(Outcome::Done);
    }
    let fails = run(&mut one);
    fails.fail("first".into());
    one.finish(Outcome::Failed);
    let batch: Vec<_> = (0..20).map(|_| submit(&engine)).collect();
    let ended = run(&mut one);
    one.finish(Outcome::Done);
    let running = run(&mut one);
    // Fails with its input at once; the end of the other is there, but not told.
    let dependent = Task::new();
    let inputs = [Arc::clone(&ended), Arc::clone(&fails)];
    let priority = Some(azolla_core::Priority::from(9));
    let inputs = watch_all(&inputs);
    engine.submit(Submission { priority, inputs, ..Submission::new(Arc::clone(&dependent), 2) });
    assert_eq!(dependent.header.status(), Status::Failed);
    engine.retry(&dependent);
    while !Arc::ptr_eq(&run(&mut two), &fails) {
        two.finish(Outcome::Done);
    }
    two.finish(Outcome::Done);
    let _ = two.next_task();
    one.secede().unwrap();
    assert!(Arc::ptr_eq(one.job().unwrap(), &running), "it runs what it ran");
    engine.check().unwrap();
    engine.close();
    drop(batch);
}

#[test]
fn a_story_has_the_latest_and_finds_tasks_by_their_keys() {
    let (engine, runner) = engine(1, 1);
    let mut worker = runner.take().pop().unwrap();
    let mut story = Story::begin(&engine);
    let key = Key::from_digest(7);
    let submit = || {
        let job = Task::new();
        engine.submit(Submission { key: Some(key), ..Submission::new(Arc::clone(&job), 1) });
        job
    };
    let seen = |story: &mut Story| {
        story
            .of(&[(None, None), (Some(key), None)])
            .into_iter()
            .map(|(place, seen)| {
                assert_eq!(place, 1);
                seen
            })
            .collect::<Vec<_>>()
    };
    let job = submit();
    assert!(matches!(worker.next_task(), Next::Run));
    worker.finish(Outcome::Done);
    let told = seen(&mut story);
    assert!(
        matches!(
            told.iter().map(|seen| seen.what).collect::<Vec<_>>()[..],
            [
                What::Submitted { parent: None, key: Some(_) },
                What::Ready,
                What::Begun { worker: 0, .. },
                What::Ended { worker: Some(0), status: Status::Finished },
            ]
        ),
        "{told:?}"
    );
    assert!(matches!(worker.next_task(), Next::Sleep(_)));
    assert!(job.header().remove_future());
    engine.release(job.header());
    let told = seen(&mut story);
    assert!(matches!(told.last().unwrap().what, What::Dropped), "{told:?}");
    for _ in 0..100 {
        let job = submit();
        assert!(matches!(worker.next_task(), Next::Run));
        worker.finish(Outcome::Done);
        assert!(matches!(worker.next_task(), Next::Sleep(_)));
        assert!(job.header().remove_future());
        engine.release(job.header());
    }
    let told = seen(&mut story);
    assert_eq!(told.len(), 100, "no more than the latest are kept");
    assert!(told.is_sorted_by_key(|seen| seen.at));
    assert!(matches!(told.last().unwrap().what, What::Dropped));
    drop(story);
    drop(submit());
    assert!(!engine.observer.is_on(), "what comes next is not observed");
    engine.close();
}

/// A worker was woken to drop what had gone, and nobody had granted it a slot. The token of the grant that came
/// next lay there until the worker's task waited, and ended that wait at once.
#[test]
fn a_worker_that_is_woken_to_drop_what_goes_ends_no_wait_of_its_next_task() {
    let (engine, runner) = engine(4, usize::MAX);
    let mut others = runner.take();
    let mut one = others.pop().unwrap();
    let is_told = |worker: &Worker<Task>| worker.parker.park_until(Instant::now());
    let rest = |worker: &mut Worker<Task>| {
        while let Next::Run = worker.next_task() {
            worker.finish(Outcome::Done);
        }
        is_told(worker);
    };
    let wait_in = |worker: &mut Worker<Task>| {
        let patience = Patience { deadline: Some(Instant::now()), interrupt: None };
        wait::<_, Infallible>(Some(worker), &[Task::new()], Until::All, patience)
    };
    // Short tasks, so that they are pulled several at once.
    drop((0..4).map(|_| submit(&engine)).collect::<Vec<_>>());
    rest(&mut one);
    others.iter_mut().for_each(rest);
    let ended = submit(&engine);
    drop((0..50).map(|_| submit(&engine)).collect::<Vec<_>>());
    assert!(runs(&mut one, &ended));
    one.finish(Outcome::Done);
    assert!(matches!(one.next_task(), Next::Run));
    assert!(!one.hand.finished.is_empty(), "the end is not told");
    is_told(&one);
    // The last to rest is the first to be woken.
    others.iter_mut().rev().for_each(rest);
    assert!(ended.header.remove_future());
    engine.release(&ended.header);
    assert!(matches!(wait_in(&mut one), Err(WaitError::TimedOut)));
    let woken = others.iter().position(is_told).expect("there is something to drop");
    let mut two = others.swap_remove(woken);
    drop((0..20).map(|_| submit(&engine)).collect::<Vec<_>>());
    assert!(matches!(two.next_task(), Next::Run) && two.has_gone());
    assert!(!is_told(&two), "a token lies there, and will end the first wait");
    engine.close();
}
