//! Lines and arenas, between threads that stand for processes.
#![cfg(all(target_os = "linux", not(azolla_shuttle)))]

use azolla_process::arena::{Arena, Seen, THREADS};
use azolla_process::frame::FrameError;
use azolla_process::line::{Heard, Line, LineError};
use azolla_process::message::Range;
use azolla_process::ranges::PAGE;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

fn seen(arena: &Arena) -> Seen {
    Seen::open(arena.seen().as_fd().try_clone_to_owned().unwrap()).unwrap()
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

#[test]
fn what_one_process_stores_others_read_and_map() {
    let mut arena = Arena::new(3, 1 << 30).unwrap();
    let other = seen(&arena);
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let (one, none) = (arena.store(&bytes).unwrap(), arena.store(&[]).unwrap());
    assert_eq!((one.arena, other.read(one).unwrap()), (3, bytes.clone()));
    assert!(other.read(none).unwrap().is_empty() && other.map(none).unwrap().is_empty());
    let mut mapped = other.map(one).unwrap();
    assert_eq!(*mapped, bytes);
    mapped[7] = 0;
    assert_eq!(other.read(one).unwrap(), bytes, "nobody else sees what is written to a mapping");
    arena.free(one);
    arena.free(none);
    let again = arena.store(b"short").unwrap();
    assert_eq!((again.start, arena.used()), (one.start, 2 * PAGE));
    assert_eq!(other.read(again).unwrap(), b"short");
}

#[test]
fn an_arena_outlives_its_process() {
    let mut arena = Arena::new(1, 1 << 20).unwrap();
    let other = seen(&arena);
    let range = arena.store(b"what is left").unwrap();
    drop(arena);
    assert_eq!(other.read(range).unwrap(), b"what is left");
}

#[test]
fn a_range_that_is_not_there_is_an_error() {
    let mut arena = Arena::new(1, 1 << 20).unwrap();
    let range = arena.store(&[1; 5_000]).unwrap();
    let wrong = [
        Range { start: 0, ..range },
        Range { start: range.start + 1, ..range },
        Range { start: 1 << 40, ..range },
        Range { length: 1 << 40, ..range },
        Range { start: u64::MAX - 4095, ..range },
    ];
    for range in wrong {
        for error in [seen(&arena).read(range).unwrap_err(), seen(&arena).map(range).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{range:?}");
        }
    }
    let error = arena.store(&vec![0; 1 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(Seen::open(OwnedFd::from(tempfile())).is_err(), "an empty file is no arena");
}

fn tempfile() -> std::fs::File {
    std::fs::File::open("/dev/null").unwrap()
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
