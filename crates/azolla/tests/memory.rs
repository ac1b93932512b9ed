//! Many tasks, and nothing left of them. A test binary of its own, since it counts every byte.

#[path = "../../../bench/counting.rs"]
mod counting;
use counting::bytes;

#[test]
fn a_million_tasks_run_and_leave_nothing() {
    counting::begin();
    let client = azolla::Client::builder().threads_per_worker(2).build().unwrap();
    let run = |n: u64| {
        let futures = client.map(|x: u64| x, 0..n);
        let sum: u64 = client.gather(&futures).unwrap().into_iter().sum();
        assert_eq!(sum, n * (n - 1) / 2);
        let held = bytes();
        drop(futures);
        // The last batch is told of after its results are there.
        while client.counters().kept > 0 {
            std::thread::yield_now();
        }
        held
    };
    run(10_000);
    let before = bytes();
    let held = run(1_000_000) - before;
    let left = bytes() - before;
    assert!(held <= 250 * 1_000_000, "{held} bytes for a million finished tasks and their futures");
    assert!(left <= held / 100, "{left} bytes of {held} are left");
    assert_eq!(client.counters().live, 0);
}
