//! Trying again, by count and by hand.

use crate::{assert_empty, client};
use azolla::{Error, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn fails_before(call: u32) -> (Arc<AtomicU32>, impl Fn() -> Result<u32, String> + Send + 'static) {
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let function = move || match count.fetch_add(1, Ordering::SeqCst) + 1 {
        n if n < call => Err(format!("call {n}")),
        n => Ok(n),
    };
    (calls, function)
}

#[test]
fn as_often_as_was_asked_and_no_more() {
    let client = client(1);
    let (calls, function) = fails_before(4);
    let enough = client.task().retries(3).try_submit(function);
    assert_eq!(*enough.result().unwrap(), 4);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    let (calls, function) = fails_before(4);
    let too_few = client.task().key("few").retries(2).try_submit(function);
    assert_eq!(too_few.result().unwrap_err().to_string(), "task few failed: call 3");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_panic_is_retried_and_inputs_are_there_again() {
    let client = client(1);
    let calls = AtomicU32::new(0);
    let panics = client.task().retries(1).submit(move || {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "the first time");
        5
    });
    let calls = AtomicU32::new(0);
    let after = client.task().retries(1).try_submit_with(&panics, move |five| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 { Err("once") } else { Ok(five * 2) }
    });
    assert_eq!(*after.result().unwrap(), 10);
}

#[test]
fn by_hand_at_once_many_times() {
    let client = client(2);
    for _ in 0..200 {
        let (_, function) = fails_before(3);
        let flaky = client.task().retries(0).try_submit(function);
        assert!(flaky.result().is_err());
        flaky.retry();
        assert_eq!(flaky.result().unwrap_err().to_string().rsplit(' ').next(), Some("2"));
        flaky.retry();
        assert_eq!(*flaky.result().unwrap(), 3);
        flaky.retry();
        assert_eq!(*flaky.result().unwrap(), 3, "a result stays");
    }
    assert_empty(&client);
}

#[test]
fn a_dependent_retries_its_culprit() {
    let client = client(1);
    let (calls, function) = fails_before(2);
    let culprit = client.task().retries(0).try_submit(function);
    let between = client.submit_with(&culprit, |n| n + 1);
    let last = client.submit_with(&between, |n| n + 1);
    assert!(last.result().is_err());
    last.retry();
    assert_eq!(*last.result().unwrap(), 4);
    assert_eq!(*culprit.result().unwrap(), 2);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn what_can_be_called_only_once_fails_as_before() {
    let client = client(1);
    let bad = client.task().key("once").try_submit(|| Err::<i32, _>("spent"));
    for _ in 0..3 {
        assert_eq!(bad.result().unwrap_err().to_string(), "task once failed: spent");
        bad.retry();
    }
}

#[test]
fn only_failures_are_retried() {
    let client = client(1);
    let cancelled = client.submit(|| std::thread::sleep(std::time::Duration::from_millis(5)));
    cancelled.cancel();
    cancelled.retry();
    assert!(matches!(cancelled.result(), Err(Error::Cancelled { .. })));
    assert_eq!(cancelled.status(), Status::Cancelled);
}
