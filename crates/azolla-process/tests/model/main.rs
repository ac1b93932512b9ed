//! What threads share, under the model checker: whatever the order of steps, each task is begun or taken back, and not both;
//! and every wait for a process, or for its end, ends.
//!
//! `RUSTFLAGS="--cfg azolla_shuttle" CARGO_TARGET_DIR=target/shuttle \
//!  cargo test -p azolla-process --test model --release`
#![cfg(azolla_shuttle)]

mod memory;

use azolla_process::claim::Claim;
use azolla_process::members::{Life, Members, StartError, TRIES, Taken};
use azolla_process::process::Ended;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn each_task_is_begun_once_or_taken_back() {
    shuttle::check_random(frames_with_recalls, 20_000);
    shuttle::check_pct(frames_with_recalls, 20_000, 3);
}

/// A client sends the numbers 0 to 8 in frames of up to 3, and takes back what it can of each. The thread says what it
/// has begun. What was taken back is sent again.
fn frames_with_recalls() {
    const TASKS: u32 = 9;
    let word = Arc::new(AtomicU64::new(0));
    let (tasks, to_do) = channel::<(u32, Vec<u32>)>();
    let (says, hears) = channel::<Vec<u32>>();
    let theirs = Arc::clone(&word);
    let worker = thread::spawn(move || {
        while let Ok((frame, tasks)) = to_do.recv() {
            let begun = tasks.into_iter().take_while(|_| Claim::new(&theirs).begin(frame));
            says.send(begun.collect::<Vec<u32>>()).unwrap();
        }
    });
    let mut left: Vec<u32> = (0..TASKS).collect();
    let mut done: Vec<u32> = Vec::new();
    while !left.is_empty() {
        let several: Vec<u32> = left.drain(..left.len().min(3)).collect();
        let frame = Claim::new(&word).open(several.len() as u16);
        tasks.send((frame, several.clone())).unwrap();
        let begun = usize::from(Claim::new(&word).take_back());
        assert_eq!(hears.recv().unwrap(), several[..begun]);
        done.extend(&several[..begun]);
        left.extend(&several[begun..]);
        // Some schedule may take back everything, for ever.
        if begun == 0 {
            thread::yield_now();
        }
    }
    drop(tasks);
    worker.join().unwrap();
    done.sort_unstable();
    assert!(done.into_iter().eq(0..TASKS));
}

/// A process in the model: its life, with the ends of the lines to it.
type Process = Arc<Life<Sender<()>>>;

fn check(model: fn()) {
    shuttle::check_random(model, 10_000);
    shuttle::check_pct(model, 10_000, 3);
}

/// Starts a process, has it ready, and ends it; so many times. Sometimes it does not become ready.
fn keep(members: &Members<Process>, starts: u32) {
    for start in 1..=starts {
        let ended = Ended::Code(start as i32);
        let why = || StartError::Ended { process: 0, ended, tries: TRIES };
        assert!(members.started(0));
        if start % 2 == 0 && thread_rng().gen_bool(0.5) {
            assert!(members.ended(0, why()).is_some());
            continue;
        }
        let process = Process::default();
        members.ready(0, Arc::clone(&process), start);
        thread::yield_now();
        // As the keeper does: nobody takes a thread of it any more, and then its lines end.
        assert!(members.ended(0, why()).is_some());
        for line in process.end(ended) {
            let _ = line.send(());
        }
    }
    members.close();
}

/// Takes a thread of one process after the other, until the fleet is closed. Returns at which starts.
fn use_thread(members: &Members<Process>, thread: u16) -> Vec<u32> {
    let mut starts = Vec::new();
    let waits = |members: &Members<Process>| match thread_rng().gen_range(0..3) {
        0 => members.wait_until_started(0, None),
        1 => members.wait_until_started(0, Some(Duration::from_millis(250))),
        _ => true,
    };
    while let Some(taken) = Some(waits(members)).and_then(|_| members.take(0, thread)) {
        let Taken { process, start } = taken.expect("it does not fail so often");
        if thread_rng().gen_bool(0.3) {
            // There are no descriptors for the line.
            members.put_back(0, thread, start);
            continue;
        }
        starts.push(start);
        let (line, end): (Sender<()>, Receiver<()>) = channel();
        if !process.join(thread, line) {
            assert_eq!(process.wait(), Ended::Code(start as i32));
            continue;
        }
        if thread_rng().gen_bool(0.3) {
            // The client drops the link.
            drop(process.leave(thread));
            assert!(end.recv().is_ok() || process.leave(thread).is_none());
            continue;
        }
        end.recv().expect("the line ends with the process");
        let ended = process.wait_for(Duration::from_secs(1)).unwrap_or_else(|| process.wait());
        assert_eq!(ended, Ended::Code(start as i32));
        assert!(process.leave(thread).is_none());
    }
    starts
}

#[test]
fn every_wait_for_a_process_ends_and_each_start_gives_a_thread_once() {
    check(|| {
        let members = Arc::new(Members::new(1, 2));
        let users = [0, 0, 1].map(|thread_number| {
            let members = Arc::clone(&members);
            (thread_number, thread::spawn(move || use_thread(&members, thread_number)))
        });
        keep(&members, 4);
        let mut all: Vec<_> = users
            .into_iter()
            .flat_map(|(number, user)| {
                user.join().unwrap().into_iter().map(move |start| (number, start))
            })
            .collect();
        let before = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), before, "each thread of each start was used once: {all:?}");
        assert!(members.take(0, 0).is_none() && members.is_closed());
    });
}

#[test]
fn a_thread_that_is_put_back_wakes_those_who_wait_for_it() {
    check(|| {
        let members = Arc::new(Members::<Process>::new(1, 1));
        assert!(members.started(0));
        members.ready(0, Process::default(), 1);
        let theirs = Arc::clone(&members);
        let other = thread::spawn(move || {
            let taken = theirs.take(0, 0).unwrap().unwrap();
            theirs.put_back(0, 0, taken.start);
        });
        let taken = members.take(0, 0).unwrap().unwrap();
        members.put_back(0, 0, taken.start);
        other.join().unwrap();
        assert!(members.take(0, 0).is_some());
    });
}

#[test]
fn a_process_that_is_given_up_ends_every_wait() {
    check(|| {
        let members = Arc::new(Members::<Process>::new(1, 1));
        let waits = [(); 2].map(|()| {
            let members = Arc::clone(&members);
            thread::spawn(move || members.take(0, 0).unwrap().unwrap_err().to_string())
        });
        for tries in 1..=TRIES {
            assert!(members.started(0));
            let why = StartError::Ended { process: 0, ended: Ended::Code(3), tries: TRIES };
            assert_eq!(members.ended(0, why).is_none(), tries == TRIES);
        }
        for wait in waits {
            assert!(wait.join().unwrap().contains("ended with code 3 before it was ready"));
        }
    });
}

#[test]
fn the_end_of_a_process_is_seen_by_all_who_wait_and_by_those_who_come_late() {
    check(|| {
        let life = Arc::new(Life::<()>::default());
        let condemned = Arc::new(AtomicBool::new(false));
        let waits = [(); 3].map(|()| {
            let (life, condemned) = (Arc::clone(&life), Arc::clone(&condemned));
            thread::spawn(move || {
                life.wait_for(Duration::from_secs(1)).unwrap_or_else(|| {
                    condemned.store(true, Ordering::Release);
                    life.wait()
                })
            })
        });
        assert!(life.join(0, ()) && life.join(1, ()));
        assert_eq!(life.leave(1), Some(()));
        assert_eq!(life.end(Ended::Signal(9)).len(), 1);
        assert!(life.is_over() && !life.join(1, ()) && life.leave(0).is_none());
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Ended::Signal(9));
        }
    });
}
