//! Lines and arenas, between threads that stand for processes.
#![cfg(all(target_os = "linux", not(azolla_shuttle)))]

use azolla_process::arena::{Arena, Seen, THREADS};
use azolla_process::borrowed::Arenas;
use azolla_process::frame::FrameError;
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::Range;
use azolla_process::place::{Contents, Home, Place, Stored};
use azolla_process::ranges::PAGE;
use azolla_process::shown::Shown;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

fn seen(arena: &Arena) -> Seen {
    Seen::open(1, arena.seen().as_fd().try_clone_to_owned().unwrap()).unwrap()
}

#[test]
fn a_line_carries_messages_of_any_size_both_ways() {
    let (mut here, mut there) = Line::pair().unwrap();
    let echo = thread::spawn(move || {
        while let Heard::Message(text) = there.hear::<String>().unwrap() {
            assert!(there.send(&text).unwrap());
        }
    });
    for length in [0, 1, 100, 70_000, 10_000_000, 3] {
        let text = "x".repeat(length);
        assert!(here.send(&text).unwrap());
        assert!(here.hear::<&str>().unwrap() == Heard::Message(&*text), "{length}");
    }
    drop(here);
    echo.join().unwrap();
}

#[test]
fn a_line_says_when_nothing_comes_and_when_the_other_end_is_gone() {
    let (mut here, there) = Line::pair().unwrap();
    here.set_patience(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(here.hear::<u32>().unwrap(), Heard::Nothing);
    drop(there);
    assert_eq!(here.hear::<u32>().unwrap(), Heard::End);
    assert!(!here.send(&1_u32).unwrap());
}

#[test]
fn a_line_that_ends_in_the_middle_of_a_message_says_so() {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(&[9, 0, 0, 0, 1]).unwrap();
    drop(there);
    let heard = Line::from(here).hear::<u32>();
    assert!(matches!(heard, Err(LineError::Frame(FrameError::CutOff))), "{heard:?}");
}

fn read(seen: &Seen, range: Range) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; range.length.min(1 << 20) as usize];
    seen.read(range, &mut bytes).map(|()| bytes)
}

#[test]
fn what_one_process_stores_others_read_and_map() {
    let arena = Arena::new(3, 1 << 30).unwrap();
    let other = seen(&arena);
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let (one, none) = (arena.put(&bytes).unwrap(), arena.put(&[]).unwrap());
    let (first, nothing) = (one.range(), none.range());
    assert_eq!((first.arena, read(&other, first).unwrap()), (3, bytes.clone()));
    assert!(
        read(&other, nothing).unwrap().is_empty() && other.mapping(nothing).unwrap().is_empty()
    );
    let mut mapped = other.mapping(first).unwrap();
    assert_eq!(*mapped, bytes);
    mapped[7] = 0;
    assert_eq!(
        read(&other, first).unwrap(),
        bytes,
        "nothing else sees what is written to a mapping"
    );
    drop((one, none));
    let again = arena.put(b"short").unwrap();
    assert_eq!((again.range().start, arena.used()), (first.start, PAGE));
    assert_eq!(read(&other, again.range()).unwrap(), b"short");
}

#[test]
fn an_arena_outlives_its_process() {
    let arena = Arena::new(1, 1 << 20).unwrap();
    let other = seen(&arena);
    let range = arena.put(b"what is left").unwrap().give_away();
    drop(arena);
    assert_eq!(read(&other, range).unwrap(), b"what is left");
}

#[test]
fn a_range_that_is_not_there_is_an_error() {
    let arena = Arena::new(1, 1 << 20).unwrap();
    let place = arena.put(&[1; 5_000]).unwrap();
    let range = place.range();
    let wrong = [
        Range { start: 0, ..range },
        Range { start: range.start + 1, ..range },
        Range { start: 1 << 40, ..range },
        Range { length: 1 << 40, ..range },
        Range { start: u64::MAX - 4095, ..range },
    ];
    let shown = Shown::new(1, seen(&arena));
    for range in wrong {
        for error in [
            read(&seen(&arena), range).unwrap_err(),
            seen(&arena).mapping(range).unwrap_err(),
            shown.place(range).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{range:?}");
        }
    }
    assert!(shown.place(Range { arena: 2, ..range }).is_err(), "it is another process's");
    let error = arena.put(&vec![0; 1 << 20]).unwrap_err();
    assert_eq!((error.kind(), arena.used()), (ErrorKind::OutOfMemory, PAGE));
    assert!(Seen::open(1, OwnedFd::from(tempfile())).is_err(), "an empty file is no arena");
}

fn tempfile() -> std::fs::File {
    std::fs::File::open("/dev/null").unwrap()
}

#[test]
fn a_client_frees_what_a_process_has_stored_once_nothing_refers_to_it() {
    let arena = Arena::new(1, 1 << 30).unwrap();
    let shown = Shown::new(1, seen(&arena));
    let range = arena.put(&[7; 100_000]).unwrap().give_away();
    let stored = Stored::new(shown.place(range).unwrap());
    let lent = stored.place();
    drop(stored);
    assert_eq!((shown.live(), shown.take_freed()), (2 * PAGE, Vec::new()));
    drop(lent);
    assert_eq!((shown.live(), shown.take_freed()), (0, vec![range]));
    arena.free(range);
    assert_eq!(arena.used(), 0);
}

#[test]
fn a_process_gives_back_what_it_was_lent_once_nothing_maps_it() {
    let arena = Arena::new(4, 1 << 30).unwrap();
    let range = arena.put(&[7; 100_000]).unwrap().give_away();
    let arenas = Arenas::default();
    let place = thread::scope(|scope| {
        let waits = scope.spawn(|| arenas.place(range));
        arenas.show(4, seen(&arena));
        waits.join().unwrap()
    });
    arenas.forget(4);
    let memory = place.map().unwrap();
    assert_eq!(memory.length(), 100_000);
    assert!(arenas.take_given_back().is_empty());
    drop(memory);
    drop(place);
    assert_eq!((arenas.take_given_back(), arenas.take_given_back()), (vec![range], Vec::new()));
}

/// How many bytes of memory a file takes.
fn allocated(home: &dyn Home) -> u64 {
    rustix::fs::fstat(home.contents().file()).unwrap().st_blocks as u64 * 512
}

#[test]
fn memory_that_is_not_in_use_goes_back_to_the_system_if_there_is_much() {
    const MANY: usize = 40 << 20;
    let arena = Arena::new(0, 1 << 40).unwrap();
    let bytes = vec![1; MANY];
    let mut places: Vec<Place> = (0..5).map(|_| arena.put(&bytes).unwrap()).collect();
    places.truncate(2);
    assert!(allocated(&*arena) >= 5 * MANY as u64, "some is kept for the next data");
    places.clear();
    let left = allocated(&*arena);
    assert!((MANY as u64..=4 * MANY as u64).contains(&left), "{left}");
    let dead = Shown::new(0, seen(&arena));
    let range = arena.put(&bytes).unwrap().give_away();
    dead.end();
    let before = allocated(&*dead);
    drop(dead.place(range).unwrap());
    assert_eq!(before - allocated(&*dead), MANY as u64, "a dead process needs none");
    assert!(dead.take_freed().is_empty());
}

#[test]
fn a_claim_is_seen_by_all_who_have_the_arena() {
    let arena = Arena::new(1, 1 << 20).unwrap();
    let other = seen(&arena);
    let frame = other.claim(THREADS - 1).open(2);
    assert!(arena.seen().claim(THREADS - 1).begin(frame));
    assert_eq!(other.claim(THREADS - 1).take_back(), 1);
    assert!(!arena.seen().claim(THREADS - 1).begin(frame));
    assert_eq!(other.claim(0).now().limit, 0);
}
