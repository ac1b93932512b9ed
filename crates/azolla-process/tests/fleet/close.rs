//! The end of a fleet: at any moment, from any thread, and without a trace.

use crate::worker::{Kind, Say, program};
use crate::{HANG, KILLED, ask, fleet, hear, is_alone, link, run_alone};
use azolla_process::fleet::Fleet;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;

/// A fleet, and what tells that its keeper is gone.
fn watched(kind: Kind, processes: usize, threads: u16) -> (Arc<Fleet>, Gone) {
    let (held, gone) = channel();
    let of = move |_| {
        let _: &Sender<()> = &held;
        program(kind)
    };
    (Fleet::start(processes, threads, HANG, None, of).unwrap(), Gone(gone))
}

struct Gone(Receiver<()>);

impl Gone {
    /// Waits until the keeper is gone.
    fn wait(self) {
        assert!(self.0.recv().is_err());
    }
}

#[test]
fn a_fleet_is_closed_twice_and_from_several_threads_while_links_are_waited_for() {
    for kind in [Kind::Silent, Kind::Ends, Kind::Worker] {
        let (fleet, gone) = watched(kind, 3, 2);
        let begin = Barrier::new(9);
        thread::scope(|scope| {
            for n in 0..6 {
                let (fleet, begin) = (&fleet, &begin);
                scope.spawn(move || {
                    begin.wait();
                    while let Some(mut link) = fleet.link(n / 2, n as u16 % 2).unwrap() {
                        assert_eq!((hear(&mut link), link.ended()), (None, KILLED));
                    }
                });
            }
            for _ in 0..3 {
                scope.spawn(|| {
                    begin.wait();
                    fleet.close();
                    assert!(fleet.link(0, 0).unwrap().is_none());
                    fleet.close();
                });
            }
        });
        gone.wait();
        assert!(fleet.seen().iter().all(|seen| seen.id.is_none()));
    }
}

#[test]
fn a_fleet_is_closed_while_a_program_is_made() {
    let (made, making) = channel();
    let (go_on, gate) = channel::<()>();
    let of = move |number| {
        made.send(number).unwrap();
        gate.recv().unwrap();
        program(Kind::Worker)
    };
    let fleet = Fleet::start(2, 1, HANG, None, of).unwrap();
    assert_eq!(making.recv(), Ok(0));
    let begin = Barrier::new(9);
    thread::scope(|scope| {
        for n in 0..8 {
            let (fleet, begin) = (&fleet, &begin);
            scope.spawn(move || {
                begin.wait();
                assert!(fleet.link(n % 2, 0).unwrap().is_none());
            });
        }
        begin.wait();
        // Lets most of them get as far as the wait. Those that come late are told at once.
        (0..1_000).for_each(|_| thread::yield_now());
        fleet.close();
    });
    go_on.send(()).unwrap();
    assert!(making.recv().is_err(), "the keeper is gone and has started no other process");
    assert_eq!(fleet.seen()[1].starts, 0);
}

#[test]
fn a_fleet_is_closed_when_its_program_panics() {
    let fleet = Fleet::start(2, 1, HANG, None, |number| {
        if number == 1 {
            panic!("this is a part of a test");
        }
        program(Kind::Worker)
    });
    let fleet = fleet.unwrap();
    while fleet.link(0, 0).unwrap().is_some() {}
    assert!(fleet.link(1, 0).unwrap().is_none());
}

#[test]
fn the_processes_end_with_the_fleet() {
    for dropped in [true, false] {
        let (fleet, gone) = watched(Kind::Worker, 2, 1);
        let mut links = [link(&fleet, 0, 0), link(&fleet, 1, 0)];
        if dropped {
            drop(fleet);
        } else {
            fleet.close();
        }
        for link in &mut links {
            assert_eq!((hear(link), link.ended()), (None, KILLED));
            link.kill();
        }
        gone.wait();
    }
}

#[test]
fn an_order_to_a_process_that_does_not_read_waits_no_longer_than_the_process_lives() {
    let fleet = fleet(1, 2);
    let (mut first, second) = (link(&fleet, 0, 0), link(&fleet, 0, 1));
    // What holds the control line open is no reason to wait either.
    assert!(ask(&mut first, &Say::Fork).is_some());
    assert!(first.line.send(&Say::Stop).unwrap());
    thread::scope(|scope| {
        let (sends, sent) = channel();
        scope.spawn(move || {
            while second.flush().unwrap() {
                let _ = sends.send(());
            }
            assert_eq!(second.ended(), KILLED);
        });
        // By then a few are on their way. The others may find no room.
        sent.iter().nth(100).unwrap();
        first.kill();
    });
    assert_eq!(first.ended(), KILLED);
}

#[test]
fn nothing_is_left_of_two_hundred_fleets() {
    run_alone("close::two_hundred_fleets");
}

#[test]
fn two_hundred_fleets() {
    if !is_alone() {
        return;
    }
    let before = descriptors();
    for round in 0..200 {
        let (processes, threads) = (3, 2);
        let (fleet, gone) = watched(Kind::Worker, processes, threads);
        let mut links = Vec::new();
        for n in 0..round % 7 {
            links.push(link(&fleet, n / 2, n as u16 % 2));
        }
        match round % 5 {
            0 => links.iter().for_each(|link| link.kill()),
            1 => links.clear(),
            2 => links.retain_mut(|link| ask(link, &Say::Who).is_some()),
            3 => fleet.close(),
            _ => {}
        }
        let most = 1 + 4 * processes + 2 * processes * usize::from(threads);
        if links.len() == 6 && round % 5 == 2 {
            assert!(descriptors() - before <= most, "{} are too many", descriptors() - before);
        }
        drop(fleet);
        if round % 2 == 0 {
            links.clear();
        }
        gone.wait();
        let any = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        assert!(matches!(any, Err(Errno::CHILD)), "a process is left");
        drop(links);
        assert_eq!(descriptors(), before);
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
