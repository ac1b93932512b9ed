//! Places that are lent to processes.

use crate::worker::{Said, Say};
use crate::{ask, fleet, hear, is_alone, link, run_alone};
use azolla_process::arena::Arena;
use azolla_process::place::Stored;
use azolla_process::ranges::PAGE;
use std::fs;
use std::sync::Arc;

#[test]
fn a_place_that_is_lent_lasts_until_it_is_given_back_as_often_or_the_process_ends() {
    let arena = Arena::new(0, 1 << 30).unwrap();
    let fleet = fleet(1, 1);
    let mut first = link(&fleet, 0, 0);
    for ends in [false, true] {
        let stored = Stored::new(arena.put(&[7; 100_000]).unwrap());
        let range = first.lend(&stored.place()).unwrap();
        assert_eq!(ask(&mut first, &Say::Read(range)), Some(Said::Byte(7)));
        assert_eq!(first.lend(&stored.place()).unwrap(), range);
        drop(stored);
        first.give_back(range);
        assert_eq!(arena.used(), 2 * PAGE, "it was lent twice");
        if ends {
            first.kill();
            let _ = first.ended();
            assert_eq!(hear(&mut first), None, "its leases have ended before its line");
        } else {
            first.give_back(range);
            first.give_back(range);
        }
        assert_eq!(arena.used(), 0);
    }
    let late = Stored::new(arena.put(&[7; 100_000]).unwrap());
    let _ = first.lend(&late.place());
    drop(late);
    assert_eq!(arena.used(), 0, "a process that has ended is lent nothing");
}

#[test]
fn arenas_that_are_gone_leave_no_descriptors_behind() {
    if !is_alone() {
        return run_alone("lend::arenas_that_are_gone_leave_no_descriptors_behind");
    }
    let fleet = fleet(1, 1);
    let mut link = link(&fleet, 0, 0);
    let Some(Said::Me { process, .. }) = ask(&mut link, &Say::Who) else { panic!() };
    let mut counts = Vec::new();
    for number in 2..100 {
        let arena = Arena::new(number, 1 << 30).unwrap();
        let place = Arc::new(arena.put(&[number as u8]).unwrap());
        let range = link.lend(&place).unwrap();
        assert_eq!(ask(&mut link, &Say::Read(range)), Some(Said::Byte(number as u8)));
        link.give_back(range);
        let count = |id: &str| fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
        counts.push((count("self"), count(&process.to_string())));
    }
    assert_eq!(counts[1], counts[counts.len() - 1]);
}
