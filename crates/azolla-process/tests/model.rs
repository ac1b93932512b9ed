//! A claim under the model checker: whatever the order of steps, each task is begun or taken back, and not both.
//!
//! `RUSTFLAGS="--cfg azolla_shuttle" CARGO_TARGET_DIR=target/shuttle \
//!  cargo test -p azolla-process --test model --release`
#![cfg(azolla_shuttle)]

use azolla_process::claim::Claim;
use shuttle::sync::atomic::AtomicU64;
use shuttle::sync::mpsc::channel;
use shuttle::thread;
use std::sync::Arc;

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
