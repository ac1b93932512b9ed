//! Many tasks, and nothing left of them. A test binary of its own, since it counts every byte.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// Counts the bytes that are allocated.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_million_tasks_run_and_leave_nothing() {
    let client = azolla::Client::builder().threads_per_worker(2).build().unwrap();
    let run = |n: u64| {
        let futures = client.map(|x: u64| x, 0..n);
        let sum: u64 = client.gather(&futures).unwrap().into_iter().sum();
        assert_eq!(sum, n * (n - 1) / 2);
        let held = BYTES.load(Ordering::Relaxed);
        drop(futures);
        // The last batch is told of after its results are there.
        while client.counters().kept > 0 {
            std::thread::yield_now();
        }
        held
    };
    run(10_000);
    let before = BYTES.load(Ordering::Relaxed);
    let held = run(1_000_000) - before;
    let left = BYTES.load(Ordering::Relaxed) - before;
    assert!(left <= held / 100, "{left} bytes of {held} are left");
    assert_eq!(client.counters().live, 0);
}
