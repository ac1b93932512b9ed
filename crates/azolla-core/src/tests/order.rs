//! The ready queue gives tasks in the documented order, and its cost stays flat.

use crate::id::{Priority, TaskId};
use crate::ready::ReadyQueue;
use crate::task::Lineage;
use core::cmp::Reverse;
use std::collections::BTreeSet;
use std::vec::Vec;

#[test]
fn the_queue_gives_tasks_in_the_documented_order() {
    let mut queue = ReadyQueue::new();
    let mut expected = Vec::new();
    let mut state = 1_u64;
    let mut random = move |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % end
    };
    for number in 1..5_000_u64 {
        let priority = Priority::from(random(3) as i32);
        let root = if random(2) == 0 { number } else { 1 + random(number) };
        let (parent, depth) =
            if root == number { (0, 0) } else { (root + random(3), 1 + random(3) as u32) };
        let lineage = Lineage { number: number ^ 7, root, parent, depth };
        let task = TaskId::from_bits(1 << 32 | number).unwrap();
        queue.push(task, priority, lineage.number, lineage.line());
        expected.push((Reverse(priority), root, Reverse(depth), parent, number ^ 7, task));
    }
    let gone: BTreeSet<TaskId> = (0..2_000).map(|_| expected[random(4_999) as usize].5).collect();
    for (priority, .., task) in &expected {
        if gone.contains(task) {
            queue.removed(priority.0, |_, id| !gone.contains(&id));
        }
    }
    expected.retain(|(.., task)| !gone.contains(task));
    // A root's own number is its root's, whatever the test made of it.
    expected.sort_by_key(|&(priority, root, depth, parent, number, _)| {
        let root = if parent == 0 { number } else { root };
        (priority, root, depth, parent, number)
    });
    let popped: Vec<TaskId> =
        core::iter::from_fn(|| queue.pop(|_, id| !gone.contains(&id))).collect();
    assert_eq!(popped, expected.iter().map(|entry| entry.5).collect::<Vec<_>>());
    assert_eq!(queue.len(), 0);
}

#[test]
fn priorities_are_ordered_as_their_numbers() {
    let numbers = [f64::NEG_INFINITY, -1e300, -2.5, -1.0, 0.0, 0.1, 1.0, 1e300, f64::INFINITY];
    for pair in numbers.windows(2) {
        assert!(Priority::new(pair[0]) < Priority::new(pair[1]), "{pair:?}");
    }
    for number in numbers {
        assert_eq!(Priority::new(number).unwrap().number(), number);
    }
    assert_eq!(Priority::new(-0.0), Some(Priority::default()));
    assert_eq!(Priority::new(f64::NAN), None);
}
