//! The least that could order tasks by priority: one mutex, one heap, no results. A floor, not a peer.

use crate::THREADS;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

struct Queue {
    tasks: Mutex<(BinaryHeap<(Reverse<u64>, Boxed)>, bool)>,
    pushed: Condvar,
}

struct Boxed(Box<dyn FnOnce() + Send>);

// The heap orders by number alone; two tasks never share one.
impl PartialEq for Boxed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Boxed {}
impl PartialOrd for Boxed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Boxed {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

pub fn push_and_pop(tasks: u64) {
    let queue = Queue { tasks: Mutex::new((BinaryHeap::new(), false)), pushed: Condvar::new() };
    let ran = Arc::new(AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(&queue));
        }
        for n in 0..tasks {
            let ran = Arc::clone(&ran);
            let task = Boxed(Box::new(move || {
                ran.fetch_add(n, Ordering::Relaxed);
            }));
            queue.tasks.lock().expect("no panic").0.push((Reverse(n), task));
            queue.pushed.notify_one();
        }
        queue.tasks.lock().expect("no panic").1 = true;
        queue.pushed.notify_all();
    });
    assert_eq!(ran.load(Ordering::Relaxed), tasks * (tasks - 1) / 2);
}

fn work(queue: &Queue) {
    let mut tasks = queue.tasks.lock().expect("no panic");
    loop {
        if let Some((_, task)) = tasks.0.pop() {
            drop(tasks);
            (task.0)();
            tasks = queue.tasks.lock().expect("no panic");
        } else if tasks.1 {
            return;
        } else {
            tasks = queue.pushed.wait(tasks).expect("no panic");
        }
    }
}
