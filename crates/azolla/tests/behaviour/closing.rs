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

#[test]
fn a_second_close_waits_for_the_end_too() {
    let client = client(1);
    let (begun, gate, ended) = (Gate::default(), Gate::default(), Arc::new(AtomicBool::new(false)));
    let (begin, pass, end) = (begun.clone(), gate.clone(), Arc::clone(&ended));
    client
        .submit(move || {
            begin.open();
            pass.pass();
            end.store(true, Ordering::SeqCst);
        })
        .forget();
    begun.pass();
    let closes = |client: azolla::Client, ended: Arc<AtomicBool>| {
        thread::spawn(move || {
            client.close();
            assert!(ended.load(Ordering::SeqCst), "a task runs still");
        })
    };
    let first = closes(client.clone(), Arc::clone(&ended));
    soon("the first closes", || client.submit(|| ()).status() == Status::Cancelled);
    let rest = [0; 3].map(|_| closes(client.clone(), Arc::clone(&ended)));
    // They end in any case: that is what the threads assert.
    for _ in 0..100 {
        thread::yield_now();
    }
    gate.open();
    first.join().unwrap();
    for thread in rest {
        thread.join().unwrap();
    }
}

#[test]
fn clients_that_are_closed_in_each_others_tasks_all_end() {
    for several in 1..=4 {
        let clients: Vec<_> = (0..several).map(|_| client(2)).collect();
        let all_run = Arc::new(std::sync::Barrier::new(several));
        let closed: Vec<_> = (0..several)
            .map(|n| {
                let (next, all_run) = (clients[(n + 1) % several].clone(), Arc::clone(&all_run));
                let closed = Arc::new(AtomicBool::new(false));
                let close = Arc::clone(&closed);
                clients[n]
                    .submit(move || {
                        all_run.wait();
                        next.close();
                        close.store(true, Ordering::SeqCst);
                    })
                    .forget();
                closed
            })
            .collect();
        soon("every task goes on", || closed.iter().all(|closed| closed.load(Ordering::SeqCst)));
        clients.iter().for_each(azolla::Client::close);
    }
}

#[test]
fn several_tasks_close_their_own_client_at_once() {
    let client = client(3);
    let all_run = Arc::new(std::sync::Barrier::new(3));
    let ended = Arc::new(std::sync::atomic::AtomicU32::new(0));
    for _ in 0..3 {
        let (all_run, ended) = (Arc::clone(&all_run), Arc::clone(&ended));
        client
            .submit(move || {
                let own = own();
                all_run.wait();
                own.close();
                ended.fetch_add(1, Ordering::SeqCst);
            })
            .forget();
    }
    soon("all have closed it", || ended.load(Ordering::SeqCst) == 3);
    client.close();
}

#[test]
fn a_suspended_task_with_a_weak_handle_does_not_keep_its_client_open() {
    let client = client(1);
    let weak = client.downgrade();
    let held = Arc::new(());
    let count = Arc::downgrade(&held);
    let own = weak.clone();
    let never = client.submit_async(async move {
        std::future::pending::<()>().await;
        drop((own.upgrade(), held));
    });
    client.submit(|| ()).result().unwrap();
    assert!(weak.upgrade().is_some());
    drop(client);
    assert!(weak.upgrade().is_none());
    assert!(matches!(never.result(), Err(Error::Cancelled { .. })));
    assert!(count.upgrade().is_none(), "its future has gone");
}
