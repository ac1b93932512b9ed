//! A fleet of real processes: this program starts itself again as a worker process (see `worker`).
#![cfg(all(target_os = "linux", not(azolla_shuttle)))]

mod close;
mod lend;
mod start;
mod worker;

use azolla_process::fleet::{Fleet, Link};
use azolla_process::line::Heard;
use azolla_process::process::Ended;
use rustix::process::{Pid, Signal, kill_process};
use std::env;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use worker::{Kind, Said, Say, program};

const ALONE: &str = "AZOLLA_FLEET_ALONE";

/// A wait that takes longer is a failure.
const HANG: Duration = Duration::from_secs(60);

const KILLED: Ended = Ended::Signal(9);

fn fleet(processes: usize, threads: u16) -> Arc<Fleet> {
    Fleet::start(processes, threads, HANG, None, |_| program(Kind::Worker)).unwrap()
}

fn link(fleet: &Fleet, process: usize, thread: u16) -> Link {
    let link = fleet.link(process, thread).unwrap().expect("the fleet is open");
    link.line.set_patience(Some(HANG)).unwrap();
    link
}

/// The number by which the system knows a process that is ready.
fn id(fleet: &Fleet, process: usize) -> Pid {
    Pid::from_raw(fleet.seen()[process].id.unwrap() as i32).unwrap()
}

/// Sends something to the thread, and returns the answer; `None` if the line has ended.
fn ask(link: &mut Link, say: &Say) -> Option<Said> {
    link.line.send(say).unwrap().then(|| hear(link)).flatten()
}

fn hear(link: &mut Link) -> Option<Said> {
    match link.line.hear().unwrap() {
        Heard::Message(said) => Some(said),
        Heard::Nothing => panic!("this is a hang"),
        Heard::End => None,
    }
}

/// Runs a test in a program in which nothing else goes on: one that counts descriptors or processes.
fn run_alone(test: &str) {
    let mut alone = Command::new(env::current_exe().unwrap());
    alone.args([test, "--exact", "--nocapture", "--quiet"]).env(ALONE, "1");
    assert!(alone.stdout(Stdio::null()).status().unwrap().success());
}

/// Returns true in the program of [`run_alone`].
fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}

#[test]
fn each_thread_of_each_process_has_a_link() {
    let fleet = fleet(2, 2);
    let mut links: Vec<_> = (0..4).map(|n| link(&fleet, n / 2, n as u16 % 2)).collect();
    for (n, link) in links.iter_mut().enumerate() {
        let process = id(&fleet, n / 2).as_raw_pid() as u32;
        assert_eq!(ask(link, &Say::Who), Some(Said::Me { process, thread: n as u16 % 2 }));
        let frame = link.claim().open(3);
        assert_eq!(ask(link, &Say::Begin(frame)), Some(Said::Done));
        assert_eq!((link.claim().take_back(), link.claim().now().limit), (1, 1));
    }
    assert!(fleet.seen().iter().all(|seen| seen.starts == 1 && !seen.failed));
}

#[test]
fn a_process_that_ends_is_replaced_and_its_links_say_how_it_ended() {
    let fleet = fleet(2, 2);
    let mut other = link(&fleet, 1, 0);
    let mut sibling = link(&fleet, 0, 1);
    for start in 1..=3 {
        let mut link = link(&fleet, 0, 0);
        let before = id(&fleet, 0);
        assert_eq!(fleet.seen()[0].starts, start);
        let expected = if start == 2 {
            assert_eq!(ask(&mut link, &Say::Die(7)), None);
            Ended::Code(7)
        } else {
            kill_process(before, Signal::TERM).unwrap();
            assert_eq!(hear(&mut link), None);
            Ended::Signal(15)
        };
        assert_eq!(link.ended(), expected);
        assert_eq!(link.ended(), expected, "it says so each time");
        assert!(!link.flush().unwrap());
        assert!(!link.line.send(&Say::Who).unwrap());
        if start == 1 {
            assert_eq!((hear(&mut sibling), sibling.ended()), (None, expected));
        }
        let frame = link.claim().open(1);
        assert!(link.claim().begin(frame), "its arena is still there");
    }
    assert!(ask(&mut other, &Say::Who).is_some(), "the other process goes on");
    assert_eq!(fleet.seen()[1].starts, 1);
    assert!(ask(&mut link(&fleet, 0, 1), &Say::Who).is_some());
}

#[test]
fn a_line_ends_with_its_process_though_a_fork_holds_the_other_end() {
    let fleet = fleet(1, 2);
    let (mut first, mut second) = (link(&fleet, 0, 0), link(&fleet, 0, 1));
    assert_eq!(ask(&mut first, &Say::Fork), Some(Said::Done));
    assert_eq!(ask(&mut second, &Say::Fork), Some(Said::Done));
    assert_eq!(ask(&mut first, &Say::Die(5)), None);
    assert_eq!(hear(&mut second), None);
    assert_eq!((first.ended(), second.ended()), (Ended::Code(5), Ended::Code(5)));
    assert!(ask(&mut link(&fleet, 0, 0), &Say::Who).is_some());
}

#[test]
fn a_process_that_lives_on_though_a_line_has_ended_is_killed() {
    let fleet = fleet(1, 1);
    let mut first = link(&fleet, 0, 0);
    assert_eq!(ask(&mut first, &Say::Leave), None);
    assert_eq!(first.ended(), KILLED);
    assert!(ask(&mut link(&fleet, 0, 0), &Say::Who).is_some());
}

#[test]
fn a_link_kills_its_own_process_and_never_the_next() {
    let fleet = fleet(1, 2);
    let (first, second) = (link(&fleet, 0, 0), link(&fleet, 0, 1));
    first.kill();
    assert_eq!(second.ended(), KILLED);
    let mut next = link(&fleet, 0, 0);
    for _ in 0..50 {
        first.kill();
        second.kill();
        assert!(ask(&mut next, &Say::Who).is_some());
    }
    assert_eq!(fleet.seen()[0].starts, 2);
}

#[test]
fn a_link_is_given_once_for_each_start() {
    let fleet = fleet(1, 1);
    let mut starts: Vec<_> = thread::scope(|scope| {
        let take = || {
            let mut link = link(&fleet, 0, 0);
            let Some(Said::Me { process, .. }) = ask(&mut link, &Say::Who) else { panic!() };
            link.kill();
            process
        };
        let takers: Vec<_> = (0..5).map(|_| scope.spawn(take)).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 5, "each taker has had another process");
}

#[test]
fn a_thread_sees_its_line_end_when_the_link_is_dropped() {
    let fleet = fleet(1, 2);
    let (first, mut second) = (link(&fleet, 0, 0), link(&fleet, 0, 1));
    drop(first);
    // The other thread answers once it has seen that the first one's line has ended.
    assert_eq!(ask(&mut second, &Say::Join(0)), Some(Said::Done));
}

#[test]
fn a_flush_arrives_while_the_thread_is_in_the_middle_of_a_task() {
    let fleet = fleet(1, 2);
    let mut links = [link(&fleet, 0, 0), link(&fleet, 0, 1)];
    for (thread, link) in links.iter_mut().enumerate() {
        assert!(link.line.send(&Say::Sleep).unwrap());
        assert!(link.flush().unwrap());
        assert_eq!(hear(link), Some(Said::Flushed(thread as u16)));
    }
}

#[test]
fn links_are_used_while_twenty_processes_in_a_row_are_killed() {
    let fleet = fleet(2, 3);
    let calm = AtomicBool::new(false);
    thread::scope(|scope| {
        let uses = |n: u16| loop {
            let mut link = link(&fleet, n as usize / 2, n % 2);
            while let Some(said) = ask(&mut link, &Say::Who) {
                assert!(matches!(said, Said::Me { thread, .. } if thread == n % 2));
                if calm.load(Ordering::Acquire) {
                    return;
                }
            }
            assert_eq!(link.ended(), KILLED);
        };
        for n in 0..4 {
            scope.spawn(move || uses(n));
        }
        for kill in 0..20 {
            let mut link = link(&fleet, kill % 2, 2);
            if kill % 4 < 2 {
                link.kill();
            } else {
                kill_process(id(&fleet, kill % 2), Signal::KILL).unwrap();
            }
            assert_eq!((hear(&mut link), link.ended()), (None, KILLED));
        }
        calm.store(true, Ordering::Release);
    });
    let starts: Vec<_> = fleet.seen().iter().map(|seen| seen.starts).collect();
    assert_eq!(starts, [11, 11]);
}

#[test]
fn the_thread_at_a_side_line_hears_the_process_and_is_woken_by_others() {
    let fleet = fleet(1, 1);
    let sides = fleet.sides(0);
    for start in 1..=2 {
        let mut side = sides.next().unwrap().expect("the fleet is open");
        assert_eq!(fleet.seen()[0].starts, start);
        let waker = side.waker();
        thread::spawn(move || waker.wake()).join().unwrap();
        assert!(!side.wait().unwrap(), "it was woken, and nothing is to be heard");
        for number in [7_u64, 8] {
            assert!(side.line.send(&number).unwrap());
        }
        for number in [7_u64, 8] {
            while !side.wait().unwrap() {}
            assert_eq!(side.line.hear().unwrap(), Heard::Message(number));
        }
        side.remote.kill();
        while !side.wait().unwrap() {}
        assert_eq!(side.line.hear::<u64>().unwrap(), Heard::End);
        assert_eq!(side.remote.ended(), KILLED);
    }
    fleet.close();
    assert!(sides.next().unwrap().is_none() && sides.wait_until_closed(HANG));
}
