//! Processes that cannot be started, or not at first.

use crate::worker::{Kind, Say, program};
use crate::{HANG, ask, fleet, is_alone, link, run_alone};
use azolla_process::arena::THREADS;
use azolla_process::fleet::{Fleet, Seen, StartError};
use azolla_process::process::Ended;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a fleet says of its process 1, which is of this kind. Its process 0 is a good one.
fn error_of(kind: Kind) -> StartError {
    let of = move |number| program(if number == 1 { kind } else { Kind::Worker });
    let fleet = Fleet::start(2, 2, HANG, None, of).unwrap();
    let error = fleet.link(1, 0).unwrap_err();
    let again = fleet.link(1, 1).unwrap_err();
    assert_eq!(error.to_string(), again.to_string(), "it stays so");
    assert_eq!(
        fleet.seen()[1],
        Seen { id: None, starts: 5, ready: false, failed: true, retired: false }
    );
    assert!(ask(&mut link(&fleet, 0, 0), &Say::Who).is_some(), "the other process is as ever");
    fleet.close();
    assert!(fleet.link(1, 0).unwrap().is_none(), "until it is closed");
    error
}

#[test]
fn a_process_that_ends_before_it_is_ready_is_given_up_after_several_tries() {
    let error = error_of(Kind::Ends);
    assert!(matches!(error, StartError::Ended { process: 1, ended: Ended::Code(3), tries: 5 }));
    let text = "worker process 1 ended with code 3 before it was ready, in the last of 5 tries";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_program_that_is_missing_is_named_by_the_system() {
    let StartError::System { process: 1, error } = error_of(Kind::Missing) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_process_that_says_nonsense_is_killed_and_given_up() {
    let error = error_of(Kind::Nonsense).to_string();
    assert!(
        error.starts_with("worker process 1 does not become ready: a message cannot be read"),
        "{error}"
    );
}

#[test]
fn a_process_without_an_arena_is_killed_and_given_up() {
    let error = error_of(Kind::WithoutArena).to_string();
    assert_eq!(error, "worker process 1 does not become ready: no arena came with its message");
}

#[test]
fn a_process_that_closes_its_control_line_is_killed_and_given_up() {
    let error = error_of(Kind::Deaf).to_string();
    assert_eq!(error, "worker process 1 does not become ready: it has closed its control line");
}

#[test]
fn a_process_that_is_not_ready_in_time_is_killed_and_given_up() {
    let limit = Duration::from_millis(1);
    let fleet = Fleet::start(2, 1, limit, None, |_| program(Kind::Silent)).unwrap();
    let error = fleet.link(1, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker process 1 was not ready after 1ms and was killed, in the last of 5 tries"
    );
    assert_eq!(
        fleet.seen()[1],
        Seen { id: None, starts: 5, ready: false, failed: true, retired: false }
    );
}

#[test]
fn a_process_that_starts_at_the_last_try_is_as_good_as_any() {
    let tries = Arc::new(AtomicU32::new(0));
    let kinds = [Kind::Ends, Kind::Missing, Kind::Nonsense, Kind::Ends, Kind::Worker];
    let count = Arc::clone(&tries);
    let of = move |_| program(kinds[count.fetch_add(1, Ordering::Relaxed) as usize % kinds.len()]);
    let fleet = Fleet::start(1, 1, HANG, None, of).unwrap();
    for round in 1..=2 {
        let mut link = link(&fleet, 0, 0);
        assert!(ask(&mut link, &Say::Who).is_some());
        assert_eq!(tries.load(Ordering::Relaxed), 5 * round, "failures are counted anew");
        link.kill();
        let _ = link.ended();
    }
}

#[test]
fn a_process_that_was_given_up_is_started_again_if_that_is_asked_for() {
    let tries = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tries);
    let of = move |_| {
        let is_bad = count.fetch_add(1, Ordering::Relaxed) < 10;
        program(if is_bad { Kind::Ends } else { Kind::Worker })
    };
    let fleet = Fleet::start(1, 1, HANG, None, of).unwrap();
    for _ in 0..2 {
        assert!(fleet.link(0, 0).is_err());
        assert!(fleet.seen_of(0).failed);
        fleet.start_again(0);
    }
    assert!(ask(&mut link(&fleet, 0, 0), &Say::Who).is_some());
    assert!(fleet.seen_of(0).ready);
    assert_eq!(tries.load(Ordering::Relaxed), 11);
}

#[test]
fn a_process_has_many_threads_but_no_more_than_its_arena_has_claims() {
    let error =
        Fleet::start(1, THREADS as u16 + 1, HANG, None, |_| program(Kind::Worker)).unwrap_err();
    assert_eq!(error.to_string(), format!("a worker process has at most {THREADS} threads"));
    let fleet = fleet(1, 64);
    let mut links: Vec<_> = (0..64).map(|thread| link(&fleet, 0, thread)).collect();
    assert!(links.iter_mut().all(|link| ask(link, &Say::Who).is_some()));
}

#[test]
fn a_link_for_which_there_are_no_descriptors_can_be_had_later() {
    run_alone("start::without_descriptors");
}

#[test]
fn without_descriptors() {
    if !is_alone() {
        return;
    }
    let fleet = fleet(1, 2);
    let _other = link(&fleet, 0, 1);
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..before }).unwrap();
    let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // A link takes two, and one more until the process has got it.
    for free in 0..3 {
        let StartError::System { process: 0, error } = fleet.link(0, 0).unwrap_err() else {
            panic!("{free} are not enough");
        };
        assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
        all.pop();
    }
    let mut link = link(&fleet, 0, 0);
    assert!(ask(&mut link, &Say::Who).is_some());
    assert!(File::open("/dev/null").is_ok() && fleet.seen()[0].starts == 1);
}
