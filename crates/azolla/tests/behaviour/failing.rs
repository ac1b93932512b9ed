//! Failures: what is said, where it arrives, and that nothing else is harmed.

use crate::{Dropped, Gate, assert_empty, client, own, soon};
use azolla::{Error, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn an_err_fails_the_task_and_names_it() {
    let client = client(1);
    let bad = client.task().key("parse").try_submit(|| "x".parse::<i32>());
    let error = bad.result().unwrap_err();
    assert_eq!(error.to_string(), "task parse failed: invalid digit found in string");
    let Error::Failed { key, source } = error else { panic!() };
    assert_eq!(key, "parse");
    assert!(source.downcast_ref::<std::num::ParseIntError>().is_some());
    assert_eq!(bad.status(), Status::Failed);
}

#[test]
fn a_panic_fails_its_task_and_nothing_else() {
    let client = client(1);
    let bad = client.task().key("k").submit(|| -> i32 { panic!("no {}", 7) });
    let error = bad.result().unwrap_err();
    assert_eq!(error.to_string(), "task k panicked: no 7");
    let odd = client.submit(|| -> i32 { std::panic::panic_any(7) });
    assert!(matches!(odd.result(), Err(Error::Panicked { .. })));
    assert_eq!(*client.submit(|| 1).result().unwrap(), 1);
    assert_eq!(client.counters().threads, 1, "the thread lives on");
}

#[test]
fn a_panic_whose_payload_panics_when_dropped_fails_its_task_and_nothing_else() {
    let client = client(1);
    let seen = Arc::new(AtomicBool::new(false));
    let payload = Dropped(Arc::clone(&seen), true);
    let bad = client.submit(move || -> i32 { std::panic::panic_any(payload) });
    assert!(matches!(bad.result(), Err(Error::Panicked { .. })));
    assert!(seen.load(Ordering::SeqCst));
    assert_eq!(*client.submit(|| 1).result().unwrap(), 1);
    assert_eq!(client.counters().threads, 1);
}

#[test]
fn a_destructor_that_panics_harms_nobody() {
    let client = client(1);
    let flags: Vec<_> = (0..4).map(|_| Arc::new(AtomicBool::new(false))).collect();
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    // Owned by a closure that runs (its end is part of the call), by one that never does, and by
    // a result that nobody wants.
    let owned = Dropped(Arc::clone(&flags[0]), true);
    let runs = client.submit(move || {
        let _owned = &owned;
    });
    let owned = Dropped(Arc::clone(&flags[1]), true);
    let never = client.submit(move || drop(owned));
    never.cancel();
    assert!(flags[1].load(Ordering::SeqCst), "a cancelled closure is let go of");
    let inside = Arc::clone(&flags[2]);
    client.submit(move || Dropped(inside, true)).forget();
    gate.open();
    busy.result().unwrap();
    assert!(matches!(runs.result(), Err(Error::Panicked { .. })));
    soon("the result is dropped", || flags[2].load(Ordering::SeqCst));
    assert!(flags[0].load(Ordering::SeqCst));
    assert_eq!(*client.submit(|| 1).result().unwrap(), 1);
    assert_eq!(client.counters().threads, 1);
}

#[test]
fn a_failure_reaches_all_that_depend_on_it_as_the_same_error() {
    let client = client(2);
    let bad = client.task().key("bad").try_submit(|| Err::<i32, _>("broken"));
    let after = client.submit_with(&bad, |n| n + 1);
    let long_after = client.submit_with((&after, &client.submit(|| 1)), |(a, b)| a + b);
    for failed in [&after, &long_after] {
        assert_eq!(failed.result().unwrap_err().to_string(), "task bad failed: broken");
    }
    let late = client.submit_with(&bad, |n| n + 1);
    assert_eq!(late.result().unwrap_err().to_string(), "task bad failed: broken");
}

#[test]
fn an_input_of_another_client_is_refused_by_name() {
    let (one, other) = (client(1), client(1));
    let foreign = other.task().key("foreign").submit(|| 1);
    let refused = one.submit_with(&foreign, |n| n + 1);
    let Err(Error::OtherClient { key }) = refused.result() else { panic!("{refused:?}") };
    assert_eq!(key, "foreign");
    assert_eq!(refused.status(), Status::Failed);
}

#[test]
fn gather_fails_as_soon_as_one_has() {
    let client = client(2);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    let bad = client.try_submit(|| Err::<(), _>("early"));
    let error = client.gather([&slow, &bad]).unwrap_err();
    assert!(error.to_string().ends_with("failed: early"), "{error}");
    gate.open();
}

#[test]
fn a_task_that_catches_its_childs_failure_goes_on() {
    let client = client(1);
    let parent = client.submit(|| {
        let child = own().try_submit(|| Err::<i32, _>("small"));
        child.result().copied().unwrap_or(-1)
    });
    assert_eq!(*parent.result().unwrap(), -1);
}

#[test]
fn a_client_needs_a_thread() {
    let error = azolla::Client::builder().threads_per_worker(0).build().unwrap_err();
    assert_eq!(error.to_string(), "a worker needs at least one thread to run tasks on");
}

#[test]
#[should_panic(expected = "a priority is not NaN")]
fn a_priority_is_a_number() {
    let _ = client(1).task().priority(f64::NAN);
}

#[test]
fn an_iterator_that_panics_in_map_leaves_nothing() {
    let client = client(1);
    let items = (0..1_000).map(|n| if n == 700 { panic!("the caller's") } else { n });
    let mapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        client.map(|n: i32| n, items);
    }));
    assert!(mapped.is_err());
    assert_empty(&client);
}

/// The programs of the test below, each of which leaves a failure that nothing shows.
fn leaves_a_failure(how: &str) {
    let client = client(1);
    match how {
        "forgotten" => client.task().key("moss").try_submit(|| Err::<(), _>("too dry")).forget(),
        "dropped" => {
            let (gate, entered) = (Gate::default(), Gate::default());
            let (held, enters) = (gate.clone(), entered.clone());
            let work = move || -> Result<(), &str> {
                enters.open();
                held.pass();
                Err("too dry")
            };
            let future = client.task().key("moss").try_submit(work);
            entered.pass();
            drop(future);
            gate.open();
        }
        "passed on" => {
            let bad = client.task().key("moss").try_submit(|| Err::<(), _>("too dry"));
            for _ in 0..3 {
                client.submit_with(&bad, |()| ()).forget();
            }
        }
        "seen" => {
            let bad = client.task().key("moss").try_submit(|| Err::<(), _>("too dry"));
            assert!(bad.result().is_err());
            let others: Vec<_> =
                (0..3).map(|_| client.try_submit(|| Err::<(), _>("too dry"))).collect();
            assert!(client.gather(&others).is_err());
        }
        _ => panic!("no such program"),
    }
    assert_empty(&client);
}

/// What a process of its own writes: the standard error output belongs to all tests of this one.
fn said_by(how: &str) -> String {
    let test = "failing::a_failure_that_no_future_shows_is_said_once";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("AZOLLA_LEAVES_A_FAILURE", how);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_failure_that_no_future_shows_is_said_once() {
    if let Ok(how) = std::env::var("AZOLLA_LEAVES_A_FAILURE") {
        return leaves_a_failure(&how);
    }
    let once = |text: &str| text.matches("task moss failed: too dry").count() == 1;
    for how in ["forgotten", "dropped"] {
        let said = said_by(how);
        assert!(said.contains("no future shows that task moss (moss) has failed"), "{said}");
        assert!(once(&said), "{said}");
    }
    let said = said_by("passed on");
    assert!(once(&said), "{said}");
    assert!(!said_by("seen").contains("no future shows"));
}

#[test]
fn counters_tell_of_failures_and_cancellations() {
    let client = client(1);
    let bad = client.try_submit(|| "x".parse::<i32>());
    let after = client.submit_with(&bad, |n| n + 1);
    assert!(after.result().is_err());
    let gate = Gate::default();
    let held = gate.clone();
    let running = client.submit(move || held.pass());
    client.submit(|| 1).cancel();
    gate.open();
    running.result().unwrap();
    soon("all have ended", || client.counters().live == 0);
    let counters = client.counters();
    assert_eq!((counters.settled, counters.failed, counters.cancelled), (4, 2, 1));
}
