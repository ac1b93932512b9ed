//! rayon: spawns without results, and fork-join.

use crate::{THREADS, fibonacci};
use rayon::ThreadPool;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

fn pool() -> &'static ThreadPool {
    static POOL: OnceLock<ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| {
        rayon::ThreadPoolBuilder::new().num_threads(THREADS).build().expect("threads")
    })
}

/// `scope.spawn` from outside the pool's threads: the tasks leave their results nowhere.
pub fn spawn(tasks: u64) {
    let ran = AtomicU64::new(0);
    pool().in_place_scope(|scope| {
        for n in 0..tasks {
            let ran = &ran;
            scope.spawn(move |_| {
                ran.fetch_add(n, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(ran.into_inner(), tasks * (tasks - 1) / 2);
}

pub fn fib(n: u64) {
    fn call(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = rayon::join(|| call(n - 1), || call(n - 2));
        a + b
    }
    assert_eq!(pool().install(|| call(n)), fibonacci(n));
}
