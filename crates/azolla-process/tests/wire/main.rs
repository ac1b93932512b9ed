//! The wire format: every message comes out as it went in, whatever pieces it arrives in, and bytes that were cut or
//! changed are an error.
#![cfg(not(azolla_shuttle))]

mod drawn;

use azolla_process::aside::{Aside, News, What};
use azolla_process::frame::{FrameError, Frames, append};
use azolla_process::message::{
    Blob, Bytes, Ended, Function, Order, Range, Ready, Results, Run, Task, Tasks,
};
use azolla_process::request::{Answer, End, How, Name, Request, Role, Said, Submit, Until};
use drawn::drawn;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::Path;

/// Feeds the bytes in pieces of these lengths, again and again, and the rest at once. Calls `heard` after each.
fn feed(bytes: &[u8], pieces: &[usize], mut heard: impl FnMut(&mut Frames)) -> Frames {
    let mut frames = Frames::default();
    let mut left = bytes;
    for piece in pieces.iter().cycle().take(2_000).chain([&usize::MAX]) {
        while !left.is_empty() {
            let space = frames.space();
            let length = (*piece).min(left.len()).min(space.len());
            space[..length].copy_from_slice(&left[..length]);
            frames.filled(length);
            left = &left[length..];
            heard(&mut frames);
            if *piece != usize::MAX {
                break;
            }
        }
    }
    frames
}

/// Bytes from which a message is drawn.
fn source() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..1_000)
}

/// Has tests for each of these types of messages and of their parts.
macro_rules! messages {
    ($($name:ident: $type:ty,)*) => {
        const TYPES: &[&str] = &[$(stringify!($type)),*];

        $(mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(100))]

                #[test]
                fn comes_out_as_it_went_in(
                    source in source(),
                    pieces in vec(1..90_usize, 1..9),
                    copies in 1..4_usize,
                ) {
                    let message: $type = drawn(&source);
                    let mut bytes = Vec::new();
                    for _ in 0..copies {
                        append(&message, &mut bytes).unwrap();
                    }
                    let mut heard = 0;
                    let frames = feed(&bytes, &pieces, |frames| {
                        while let Some(next) = frames.next::<$type>().unwrap() {
                            assert_eq!(next, message);
                            heard += 1;
                        }
                    });
                    prop_assert_eq!(heard, copies);
                    prop_assert!(!frames.is_in_the_middle());
                }

                #[test]
                fn is_an_error_if_it_was_cut_or_changed(
                    source in source(),
                    at in any::<Index>(),
                    change in 1..=255_u8,
                ) {
                    let message: $type = drawn(&source);
                    let mut bytes = Vec::new();
                    append(&message, &mut bytes).unwrap();
                    let at = at.index(bytes.len());
                    let mut cut = feed(&bytes[..at], &[usize::MAX], |_| ());
                    prop_assert!(matches!(cut.next::<$type>(), Ok(None)));
                    prop_assert_eq!(cut.is_in_the_middle(), at > 0);
                    bytes[at] ^= change;
                    let mut changed = feed(&bytes, &[usize::MAX], |_| ());
                    let next = changed.next::<$type>();
                    prop_assert!(matches!(next, Err(FrameError::Changed)), "{:?}", next);
                }

                #[test]
                fn any_bytes_at_all_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
                    let mut frames = feed(&bytes, &[usize::MAX], |_| ());
                    while let Ok(Some(_)) = frames.next::<$type>() {}
                    let _ = postcard::from_bytes::<$type>(&bytes);
                }
            }
        })*
    };
}

messages! {
    ready: Ready,
    order: Order,
    range: Range,
    bytes: Bytes<'_>,
    blob: Blob<'_>,
    function: Function<'_>,
    task: Task<'_>,
    tasks: Tasks<'_>,
    ended: Ended<'_>,
    results: Results<'_>,
    run: Run<'_>,
    said: Said<'_>,
    request: Request<'_>,
    until: Until,
    role: Role,
    submit: Submit<'_>,
    name: Name<'_>,
    end: End,
    answer: Answer<'_>,
    how: How<'_>,
    aside: Aside<'_>,
    what: What<'_>,
    news: News<'_>,
}

#[test]
fn every_type_that_travels_is_tested() {
    let tested: Vec<_> = TYPES.iter().map(|name| name.split('<').next().unwrap().trim()).collect();
    let mut found = 0;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let Ok(text) = fs::read_to_string(file.unwrap().path()) else { continue };
        for (_, after) in text.match_indices("Deserialize)]").map(|(at, _)| text.split_at(at)) {
            let words = after.split(|c: char| !c.is_alphanumeric() && c != '_');
            let mut words = words.skip_while(|word| !matches!(*word, "struct" | "enum"));
            let name = words.nth(1).unwrap();
            assert!(tested.contains(&name), "{name} is missing in the list of this file");
            found += 1;
        }
    }
    assert_eq!(found, tested.len());
}

#[test]
fn what_is_drawn_differs() {
    let mixed = |seed: u8, at: usize| {
        (u32::from(seed).wrapping_mul(0x9E37_79B1).rotate_left(5 * at as u32) >> 24) as u8
    };
    let some: Vec<[u8; 200]> =
        (0..=255).map(|seed| std::array::from_fn(|at| mixed(seed, at))).collect();
    let drawn: Vec<Ended<'_>> = some.iter().map(|bytes| drawn(bytes)).collect();
    for kind in [
        |ended: &Ended<'_>| matches!(ended, Ended::Done(Blob { pickle: Bytes::Here(_), .. })),
        |ended: &Ended<'_>| matches!(ended, Ended::Done(Blob { pickle: Bytes::There(_), .. })),
        |ended: &Ended<'_>| matches!(ended, Ended::Stays(_)),
        |ended: &Ended<'_>| matches!(ended, Ended::Failed(_)),
        |ended: &Ended<'_>| matches!(ended, Ended::Again),
    ] {
        assert!(drawn.iter().any(kind));
    }
}

#[test]
fn a_message_of_another_type_is_an_error() {
    let mut bytes = Vec::new();
    append(&"a text", &mut bytes).unwrap();
    let mut frames = feed(&bytes, &[usize::MAX], |_| ());
    assert!(matches!(frames.next::<Tasks<'_>>(), Err(FrameError::Unreadable(_))));
}

#[test]
fn bytes_that_come_between_messages_are_an_error_though_nothing_follows() {
    let mut bytes = Vec::new();
    append(&Order::Flush(3), &mut bytes).unwrap();
    for more in 1..bytes.len() {
        let frames = feed(&[&vec![0; more], &bytes[..]].concat(), &[usize::MAX], |_| ());
        assert!(matches!(frames.is_whole(), Err(FrameError::Changed)), "{more}");
    }
}

#[test]
fn what_says_that_it_is_too_long_is_an_error_at_once() {
    // A head that is as it was sent.
    let mut head = [0xff_u8; 12];
    let digest = xxhash_rust::xxh3::xxh3_64(&head[..8]) as u32;
    head[8..].copy_from_slice(&digest.to_le_bytes());
    let mut frames = feed(&head, &[usize::MAX], |_| ());
    assert!(matches!(frames.is_whole(), Err(FrameError::TooLong(0xffff_ffff))));
    assert!(matches!(frames.next::<Tasks<'_>>(), Err(FrameError::TooLong(_))));
    assert!(frames.space().len() < 1 << 20, "no room is made for it");
}
