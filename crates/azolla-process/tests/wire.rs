//! The wire format: every message comes out as it went in, whatever pieces it arrives in, and bytes that were cut or
//! changed are an error.
#![cfg(not(azolla_shuttle))]

use azolla_process::frame::{FrameError, Frames, append};
use azolla_process::message::{Blob, Bytes, Ended, Function, Range, Results, Task, Tasks};
use proptest::collection::vec;
use proptest::prelude::*;

type Parts = (Vec<u8>, Option<(u32, u64, u64)>, Vec<(u32, u64, u64)>);

fn parts() -> impl Strategy<Value = Parts> {
    let range = || (any::<u32>(), any::<u64>(), any::<u64>());
    (vec(any::<u8>(), 0..300), prop::option::of(range()), vec(range(), 0..3))
}

fn range((arena, start, length): (u32, u64, u64)) -> Range {
    Range { arena, start, length }
}

fn blob((bytes, there, buffers): &Parts) -> Blob<'_> {
    let pickle = there.map_or(Bytes::Here(bytes), |there| Bytes::There(range(there)));
    Blob { pickle, buffers: buffers.iter().copied().map(range).collect() }
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tasks_come_out_as_they_went_in(
        frame in any::<u32>(),
        functions in vec((any::<u128>(), parts()), 0..3),
        inputs in vec(parts(), 0..3),
        tasks in vec((any::<u64>(), any::<u128>(), ".*", parts(), vec(any::<u32>(), 0..3)), 0..5),
        freed in vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..3),
        pieces in vec(1..90_usize, 1..9),
        copies in 1..4_usize,
    ) {
        let functions = functions.iter().map(|(digest, parts)| Function { digest: *digest, blob: blob(parts) });
        let tasks = tasks.iter().map(|(id, function, key, arguments, numbers)| Task {
            id: *id,
            function: *function,
            key,
            arguments: blob(arguments),
            inputs: numbers.clone(),
        });
        let freed = freed.into_iter().map(range).collect();
        let message = Tasks {
            frame,
            functions: functions.collect(),
            inputs: inputs.iter().map(blob).collect(),
            tasks: tasks.collect(),
            freed,
        };
        let mut bytes = Vec::new();
        for _ in 0..copies {
            append(&message, &mut bytes).unwrap();
        }
        let mut heard = 0;
        let frames = feed(&bytes, &pieces, |frames| {
            while let Some(next) = frames.next::<Tasks<'_>>().unwrap() {
                assert_eq!(next, message);
                heard += 1;
            }
        });
        prop_assert_eq!(heard, copies);
        prop_assert!(!frames.is_in_the_middle());
    }

    #[test]
    fn results_that_were_cut_or_changed_are_an_error(
        frame in any::<u32>(),
        took in any::<u64>(),
        ended in vec((0..3_u8, parts()), 0..5),
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let end = |(how, parts)| match how {
            0 => Ended::Done(blob(parts)),
            1 => Ended::Failed(blob(parts)),
            _ => Ended::Again,
        };
        let ended = ended.iter().map(|(how, parts)| end((*how, parts))).collect();
        let message = Results { frame, took, ended, given_back: Vec::new() };
        let mut bytes = Vec::new();
        append(&message, &mut bytes).unwrap();
        let at = at.index(bytes.len());
        let mut cut = feed(&bytes[..at], &[usize::MAX], |_| ());
        prop_assert!(matches!(cut.next::<Results<'_>>(), Ok(None)));
        prop_assert_eq!(cut.is_in_the_middle(), at > 0);
        bytes[at] ^= change;
        let mut changed = feed(&bytes, &[usize::MAX], |_| ());
        // A length that was changed may wait for more than will ever come; the end of the line is an error then.
        let next = changed.next::<Results<'_>>();
        prop_assert!(matches!(next, Err(_) | Ok(None)), "{:?}", next);
        prop_assert!(next.is_err() || at < 4);
    }

    #[test]
    fn any_bytes_at_all_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        let mut frames = feed(&bytes, &[usize::MAX], |_| ());
        while let Ok(Some(_)) = frames.next::<Tasks<'_>>() {}
        let _ = postcard::from_bytes::<Tasks<'_>>(&bytes);
        let _ = postcard::from_bytes::<Results<'_>>(&bytes);
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
fn what_says_that_it_is_too_long_is_an_error_at_once() {
    let mut frames = feed(&[0xff; 8], &[usize::MAX], |_| ());
    assert!(matches!(frames.is_whole(), Err(FrameError::TooLong(0xffff_ffff))));
    assert!(matches!(frames.next::<Tasks<'_>>(), Err(FrameError::TooLong(_))));
}
