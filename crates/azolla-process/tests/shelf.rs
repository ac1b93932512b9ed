//! Large data that moves to a disk when there is too much of it in memory.
#![cfg(all(target_os = "linux", not(azolla_shuttle)))]

use azolla_process::arena::{Arena, MOST, Seen};
use azolla_process::borrowed::Arenas;
use azolla_process::message::ON_DISK;
use azolla_process::place::{Place, Store, Stored};
use azolla_process::ranges::PAGE;
use azolla_process::shelf::{Limit, Shelf};
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Some data, which is so many times this byte.
type Known = (u8, Arc<Stored>);

/// A shelf with so many pages in memory, and the client's arena.
fn shelf(pages: u64) -> (Arc<Shelf>, Arc<Arena>) {
    let full = Box::new(|error: &std::io::Error| panic!("{error}"));
    let limit = Limit { bytes: pages * PAGE, folder: std::env::temp_dir(), full };
    let arena = Arena::new(0, MOST).unwrap();
    (Shelf::new(Arc::clone(&arena), Some(limit)), arena)
}

fn read(place: &Place) -> Vec<u8> {
    let mut bytes = vec![0; place.range().length as usize];
    place.read(&mut bytes).unwrap();
    bytes
}

fn mapped(place: &Place) -> Vec<u8> {
    let memory = place.map().unwrap();
    // SAFETY: so many bytes are mapped there.
    unsafe { std::slice::from_raw_parts(memory.start(), memory.length()) }.to_vec()
}

#[test]
fn the_oldest_data_moves_to_the_disk_and_is_read_from_there() {
    let (shelf, arena) = shelf(4);
    let store = |value| shelf.store(&[value; PAGE as usize]).unwrap();
    let all: Vec<_> = (0..4).map(store).collect();
    let lent = all[0].place();
    assert_eq!((shelf.on_disk(), arena.used()), (0, 4 * PAGE));
    let more = [store(4), store(5)];
    assert_eq!((shelf.on_disk(), arena.used()), (2 * PAGE, 4 * PAGE));
    let is_on_disk = |stored: &Arc<Stored>| stored.place().range().arena == ON_DISK;
    let found: Vec<_> = all.iter().chain(&more).map(is_on_disk).collect();
    assert_eq!(found, [false, true, true, false, false, false], "the first one is in use");
    for (value, stored) in all.iter().chain(&more).enumerate() {
        let expected = [value as u8; PAGE as usize];
        assert_eq!(
            (read(&stored.place()), mapped(&stored.place())),
            (expected.into(), expected.into())
        );
    }
    drop((lent, all));
    assert_eq!((shelf.on_disk(), arena.used()), (0, 2 * PAGE));
}

#[test]
fn processes_read_what_lies_on_the_disk() {
    let (shelf, _arena) = shelf(0);
    let stored = shelf.store(&[7; 3_000_000]).unwrap();
    let place = stored.place();
    let arenas = Arenas::default();
    let file = place.home().contents().file().try_clone_to_owned().unwrap();
    arenas.show(ON_DISK, Seen::open(ON_DISK, file).unwrap());
    let theirs = arenas.place(place.range());
    assert_eq!((read(&theirs), mapped(&theirs)), (vec![7; 3_000_000], vec![7; 3_000_000]));
    let beyond = arenas.place(azolla_process::message::Range { start: 1 << 40, ..place.range() });
    assert!(beyond.map().is_err() && beyond.read(&mut [0]).is_err());
}

#[test]
fn where_there_is_no_disk_data_stays_in_memory_and_that_is_told_once() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let full = Box::new(move |_: &std::io::Error| _ = count.fetch_add(1, Ordering::Relaxed));
    let folder = PathBuf::from("/no/such/folder");
    let arena = Arena::new(0, MOST).unwrap();
    let shelf = Shelf::new(Arc::clone(&arena), Some(Limit { bytes: 0, folder, full }));
    let all: Vec<_> = (0..3).map(|value| shelf.store(&[value; 9]).unwrap()).collect();
    assert_eq!((told.load(Ordering::Relaxed), shelf.on_disk()), (1, 0));
    assert!(
        all.iter().enumerate().all(|(value, stored)| read(&stored.place()) == [value as u8; 9])
    );
}

#[test]
fn threads_store_read_and_drop_while_data_moves() {
    let (shelf, arena) = shelf(3);
    let shared: [Mutex<Option<Known>>; 5] = Default::default();
    std::thread::scope(|scope| {
        for thread in 0..3_usize {
            let (shelf, shared) = (&shelf, &shared);
            scope.spawn(move || {
                for step in 0..150_usize {
                    let value = (step * 3 + thread) as u8;
                    let slot = &shared[(step * 7 + thread * 3) % 5];
                    let new = (value, shelf.store(&vec![value; 70_000 + step]).unwrap());
                    let old = slot.lock().unwrap().replace(new);
                    if let Some((value, stored)) = old {
                        let place = stored.place();
                        drop(stored);
                        assert!(mapped(&place).iter().all(|byte| *byte == value));
                    }
                }
            });
        }
    });
    drop(shared);
    assert_eq!((shelf.on_disk(), arena.used()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn data_stays_as_it_was_wherever_it_lies(
        steps in prop::collection::vec((0..5_u8, 1..3 * PAGE, any::<prop::sample::Index>()), 1..60),
    ) {
        let (shelf, arena) = shelf(6);
        let mut all: Vec<(u8, u64, Arc<Stored>)> = Vec::new();
        let mut lent: Vec<(u8, Arc<Place>)> = Vec::new();
        for (number, (what, length, which)) in steps.into_iter().enumerate() {
            let value = number as u8;
            match what {
                0 | 1 => {
                    let stored = shelf.store(&vec![value; length as usize]).unwrap();
                    all.push((value, length, stored));
                }
                2 if !all.is_empty() => drop(all.swap_remove(which.index(all.len()))),
                3 if !all.is_empty() => {
                    let (value, _, stored) = &all[which.index(all.len())];
                    lent.push((*value, stored.place()));
                }
                4 if !lent.is_empty() => drop(lent.swap_remove(which.index(lent.len()))),
                _ => {}
            }
            for (value, length, stored) in &all {
                prop_assert_eq!(read(&stored.place()), vec![*value; *length as usize]);
            }
            for (value, place) in &lent {
                prop_assert!(read(place).iter().all(|byte| byte == value));
            }
            let stored: u64 = all.iter().map(|(_, length, _)| length.next_multiple_of(PAGE)).sum();
            prop_assert!(shelf.on_disk() + arena.used() >= stored);
            if lent.is_empty() && what < 2 {
                prop_assert!(arena.used() <= 6 * PAGE, "{} bytes are in memory", arena.used());
            }
        }
        drop((all, lent));
        prop_assert_eq!((shelf.on_disk(), arena.used()), (0, 0));
    }
}
