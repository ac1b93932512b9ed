//! Tasks that are cancelled unless they have begun.

use super::*;

#[test]
fn only_a_task_that_has_not_begun_is_cancelled() {
    let (engine, runner) = engine(1, 1);
    let mut worker = runner.take().pop().unwrap();
    // The engine learns that they are short, so the worker claims several at once.
    for job in (0..4).map(|_| submit(&engine)).collect::<Vec<_>>() {
        assert!(runs(&mut worker, &job));
        worker.finish(Outcome::Done);
    }
    let [running, ahead, claimed, next] = [(); 4].map(|()| submit(&engine));
    let ready = submit(&engine);
    let waiting = Task::new();
    let inputs = watch_all(&[Arc::clone(&running)]);
    engine.submit(Submission { inputs, ..Submission::new(Arc::clone(&waiting), 1) });
    assert!(runs(&mut worker, &running));
    assert_eq!(worker.begin_ahead(1), 1);
    for (job, cancelled) in
        [(&running, false), (&ahead, false), (&claimed, true), (&ready, true), (&waiting, true)]
    {
        assert_eq!(engine.cancel_unless_begun(job), cancelled);
        assert!(!engine.cancel_unless_begun(job), "it is cancelled already, or has begun");
        engine.check().unwrap();
    }
    for job in [&ahead, &next] {
        worker.finish(Outcome::Done);
        assert!(runs(&mut worker, job));
    }
    worker.finish(Outcome::Done);
    assert!(!engine.cancel_unless_begun(&running), "it has ended");
    assert_eq!(running.header.status(), Status::Finished);
    assert!(matches!(worker.next_task(), Next::Sleep(_)));
    engine.close();
}
