//! tokio: spawned tasks whose results are awaited.

use crate::{THREADS, fibonacci};
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(THREADS).build().expect("threads")
    })
}

pub fn spawn_all(tasks: u64) {
    let sum = runtime().block_on(async {
        let handles: Vec<_> = (0..tasks).map(|n| tokio::spawn(async move { n })).collect();
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.expect("no panic");
        }
        sum
    });
    assert_eq!(sum, tasks * (tasks - 1) / 2);
}

/// Each task awaits the one before.
pub fn chain(tasks: u64) {
    let last = runtime().block_on(async {
        let mut last: JoinHandle<u64> = tokio::spawn(async { 1 });
        for _ in 1..tasks {
            let before = last;
            last = tokio::spawn(async move { before.await.expect("no panic") + 1 });
        }
        last.await.expect("no panic")
    });
    assert_eq!(last, tasks);
}

/// Both calls are spawned, and awaited.
pub fn fib(n: u64) {
    fn call(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            if n < 2 {
                return n;
            }
            let (a, b) = (tokio::spawn(call(n - 1)), tokio::spawn(call(n - 2)));
            a.await.expect("no panic") + b.await.expect("no panic")
        })
    }
    let result = runtime().block_on(async { tokio::spawn(call(n)).await.expect("no panic") });
    assert_eq!(result, fibonacci(n));
}

pub fn latency(tasks: u64) {
    for n in 0..tasks {
        let result = runtime().block_on(async { tokio::spawn(async move { n + 1 }).await });
        assert_eq!(result.expect("no panic"), n + 1);
    }
}
