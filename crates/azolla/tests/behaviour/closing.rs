//! The end of a client: from any state, on every path.

use crate::{Gate, client, own, soon};
use azolla::{Error, Status, current_client};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn a_submission_that_comes_too_late_is_cancelled() {
    let client = client(1);
    let done = client.submit(|| 1);
    done.result().unwrap();
    client.close();
    let late = client.submit(|| 1);
    assert_eq!(late.status(), Status::Cancelled);
    assert!(matches!(late.result(), Err(Error::Cancelled { .. })));
    let mapped = client.map(|n: u32| n, 0..1_000);
    assert!(matches!(client.gather(&mapped), Err(Error::Cancelled { .. })));
    let after = client.submit_with(&done, |n| n + 1);
    assert!(matches!(after.result(), Err(Error::Cancelled { .. })));
    assert_eq!(azolla::as_completed(mapped).count(), 1_000);
    client.close();
    assert_eq!(*done.result().unwrap(), 1, "a result that was there stays");
}

#[test]
fn what_waits_ends_and_what_runs_is_waited_for() {
    let client = client(1);
    let (begun, finished) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (begin, finish) = (begun.clone(), Arc::clone(&finished));
    let running = client.submit(move || {
        begin.open();
        thread::sleep(Duration::from_millis(50));
        finish.store(true, Ordering::SeqCst);
    });
    begun.pass();
    let queued = client.map(|n: u32| n, 0..2_000);
    let last = queued.last().unwrap().clone();
    let waits = thread::spawn(move || last.result().copied());
    client.close();
    assert!(finished.load(Ordering::SeqCst));
    assert!(matches!(waits.join().unwrap(), Err(Error::Cancelled { .. })));
    assert!(running.is_done() && queued.iter().all(azolla::Future::is_done));
}

#[test]
fn a_task_that_waits_is_told() {
    let client = client(1);
    let (begun, told) = (Gate::default(), Gate::default());
    let (begin, tell) = (begun.clone(), told.clone());
    let parent = client.submit(move || {
        let client = own();
        let child = client.submit(move || begin.open());
        let grandchild = client.submit_with(&child, |()| thread::sleep(Duration::from_millis(200)));
        grandchild.cancel();
        let never = client.task().priority(-1).submit(|| thread::sleep(Duration::from_millis(200)));
        let _keeps_the_slot = child.result();
        let result = azolla::as_completed([never]).next_timeout(Duration::from_secs(60));
        assert!(matches!(result, Err(Error::Closed) | Ok(Some(_))), "{result:?}");
        assert!(matches!(azolla::secede(), Ok(()) | Err(Error::Closed)));
        assert!(matches!(azolla::rejoin(), Ok(()) | Err(Error::Closed)));
        tell.open();
    });
    begun.pass();
    drop(parent);
    // What has begun is waited for, what has not is spared: either way the parent is told.
    client.close();
    told.pass();
}

#[test]
fn the_last_handle_may_go_inside_a_task() {
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let client = client(2);
    let gate = Gate::default();
    let pass = gate.clone();
    let inside = client.clone();
    let other = client.submit(|| thread::sleep(Duration::from_millis(20)));
    let future = client.submit(move || {
        pass.pass();
        drop(inside);
        end.store(true, Ordering::SeqCst);
        current_client().is_none()
    });
    drop(client);
    gate.open();
    soon("the task that closed its own client ends", || ended.load(Ordering::SeqCst));
    assert!(future.is_done() && other.is_done());
}

#[test]
fn closing_from_several_threads_and_inside_a_task() {
    let client = client(2);
    let closes = client.submit(|| {
        own().close();
        own().submit(|| 1).status()
    });
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || client.close())
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(closes.is_done());
}

#[test]
fn a_thousand_clients_come_and_go() {
    for n in 0..1_000 {
        let client = client(1 + n % 3);
        let parent = client.submit(|| own().submit(|| 1).result().copied());
        if n % 2 == 0 {
            assert!(parent.result().is_ok());
        }
    }
}

#[test]
fn a_result_outlives_its_client() {
    let future = client(1).submit(|| 1);
    let kept = { client(1).submit(|| String::from("kept")) };
    let done = {
        let client = client(1);
        let done = client.submit(|| 2);
        done.result().unwrap();
        done
    };
    assert_eq!(*done.result().unwrap(), 2);
    assert!(future.is_done() && kept.is_done());
}
