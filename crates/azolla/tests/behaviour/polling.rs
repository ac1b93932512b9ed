//! Async tasks: futures that the workers poll, on a slot only while they are polled.

use crate::{Dropped, Gate, assert_empty, client, own, soon};
use azolla::sync::{Event, Queue};
use azolla::{Error, Status, current_client};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

/// Rings once, and keeps the wakers of all who have polled it.
#[derive(Clone, Default)]
struct Bell(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Bell {
    fn ring(&self) {
        let wakers = {
            let mut bell = self.0.lock().unwrap();
            bell.0 = true;
            bell.1.clone()
        };
        for waker in wakers {
            waker.wake();
        }
    }

    fn listeners(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

impl Future for Bell {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut bell = self.0.lock().unwrap();
        if bell.0 {
            return Poll::Ready(());
        }
        bell.1.push(context.waker().clone());
        Poll::Pending
    }
}

/// Lets others go first, once.
async fn step_aside() {
    let mut stepped = false;
    poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn ten_thousand_wait_at_once_on_two_slots_and_no_more_threads() {
    let client = client(2);
    let bells: Vec<Bell> = (0..10_000).map(|_| Bell::default()).collect();
    let futures = client.map_async(
        |(n, bell): (usize, Bell)| async move {
            bell.await;
            n
        },
        bells.iter().cloned().enumerate(),
    );
    soon("all have begun", || bells.iter().all(|bell| bell.listeners() == 1));
    assert_eq!(client.counters().live, 10_000);
    assert_eq!(client.counters().threads, 2);
    assert_eq!(*client.submit(|| 1).result().unwrap(), 1, "they hold no slot");
    for bell in bells.iter().rev() {
        bell.ring();
    }
    let all = client.gather(&futures).unwrap();
    assert!(all.into_iter().copied().eq(0..10_000));
    assert_eq!(client.counters().threads, 2);
    client.check_invariants().unwrap();
    drop(futures);
    assert_empty(&client);
}

#[test]
fn results_errors_and_panics_are_as_those_of_closures() {
    let client = client(1);
    assert_eq!(*client.submit_async(async { 7 }).result().unwrap(), 7);
    let bad = client.try_submit_async(async { Err::<(), _>("bad") });
    assert!(bad.result().unwrap_err().to_string().ends_with("failed: bad"));
    let bell = Bell::default();
    let rings = bell.clone();
    let panics = client.submit_async(async move {
        bell.await;
        panic!("in the second turn");
    });
    rings.ring();
    assert!(
        matches!(panics.result(), Err(Error::Panicked { message, .. }) if &*message == "in the second turn")
    );
    panics.retry();
    assert!(panics.result().is_err(), "a future that was given is polled to its end once");
    assert!(panics.key().starts_with("results_errors_and_panics_are_as_those_of_closures-"));
}

#[test]
fn each_attempt_has_a_future_of_its_own() {
    let client = client(1);
    let attempts = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&attempts);
    let future = client.task().retries(3).try_submit_async(move || {
        let attempt = counts.fetch_add(1, Ordering::SeqCst);
        async move {
            step_aside().await;
            if attempt < 2 { Err("not yet") } else { Ok(attempt) }
        }
    });
    assert_eq!(*future.result().unwrap(), 2);
    let panics = client.task().retries(1).submit_async(|| async { panic!("always") });
    assert!(matches!(panics.result(), Err(Error::Panicked { .. })));
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[test]
fn inputs_come_as_values_that_outlive_their_futures() {
    let client = client(1);
    let words = client.map(|n: usize| "fern".repeat(n), 1..4);
    let number = client.submit(|| 10);
    let sum = client.submit_async_with((&number, &words), |(number, words)| async move {
        step_aside().await;
        *number + words.iter().map(|word| word.len()).sum::<usize>()
    });
    drop((words, number));
    assert_eq!(*sum.result().unwrap(), 34);
    let bad = client.try_submit(|| Err::<u32, _>("bad"));
    let never = client.try_submit_async_with(&bad, |n| async move { Ok::<_, Error>(*n) });
    assert!(never.result().unwrap_err().to_string().ends_with("failed: bad"));
    drop((sum, bad, never));
    assert_empty(&client);
}

#[test]
fn tasks_are_awaited_and_submitted_inside_and_inherit() {
    let client = client(1);
    let outer = client.task().priority(3).submit_async(async {
        let client = current_client().expect("in a task");
        let children = client.map_async(
            |n: u32| async move {
                let grandchild = own().submit(move || n + 1);
                *grandchild.await.unwrap()
            },
            0..100,
        );
        let all = client.gather_async(&children).await.unwrap();
        all.into_iter().sum::<u32>()
    });
    assert_eq!(*outer.result().unwrap(), 5050);
    assert!(current_client().is_none());
    assert_eq!(client.counters().threads, 1, "nothing was waited for by a thread");
    drop(outer);
    assert_empty(&client);
}

#[test]
fn a_wait_that_blocks_inside_lends_the_slot_all_the_same() {
    let client = client(1);
    let outer = client.submit_async(async {
        step_aside().await;
        let child = own().submit(|| 1);
        let one = *child.result().unwrap();
        step_aside().await;
        one + 1
    });
    assert_eq!(*outer.result().unwrap(), 2);
}

#[test]
fn those_that_let_others_go_first_take_turns() {
    let client = client(1);
    let flag = Arc::new(AtomicBool::new(false));
    let sees = Arc::clone(&flag);
    let spins = client.submit_async(async move {
        while !sees.load(Ordering::SeqCst) {
            step_aside().await;
        }
    });
    let sets = client.submit(move || flag.store(true, Ordering::SeqCst));
    client.gather([&spins, &sets]).unwrap();
}

#[test]
fn what_is_awaited_by_way_of_queues_and_events_comes_from_any_thread() {
    let client = client(2);
    let (start, found) = (Event::new(&client), Queue::new(&client));
    let (waits, puts) = (start.clone(), found.clone());
    let tasks = client.try_map_async(
        move |n: u32| {
            let (waits, puts) = (waits.clone(), puts.clone());
            async move {
                waits.wait_async().await?;
                puts.put(n)
            }
        },
        0..500,
    );
    let sets = thread::spawn(move || start.set().unwrap());
    let mut got: Vec<u32> = (0..500).map(|_| found.get().unwrap()).collect();
    sets.join().unwrap();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..500));
    client.gather(&tasks).unwrap();
}

/// A task that has begun, waits for the bell, and owns something that tells when it is dropped.
fn waiting(client: &azolla::Client, panics: bool) -> (azolla::Future<()>, Bell, Arc<AtomicBool>) {
    let (bell, gone) = (Bell::default(), Arc::new(AtomicBool::new(false)));
    let (waits, held) = (bell.clone(), Dropped(Arc::clone(&gone), panics));
    let future = client.submit_async(async move {
        let _held = held;
        waits.await;
    });
    soon("it waits", || bell.listeners() == 1);
    // Suspended, not just polled: the only slot is free for another.
    client.submit(|| ()).result().unwrap();
    (future, bell, gone)
}

#[test]
fn a_cancel_drops_what_waits_and_a_wake_that_comes_later_does_nothing() {
    let client = client(1);
    for panics in [false, true] {
        let (future, bell, gone) = waiting(&client, panics);
        future.cancel();
        soon("it is dropped", || gone.load(Ordering::SeqCst));
        assert_eq!(future.status(), Status::Cancelled);
        bell.ring();
        drop(future);
        bell.ring();
        assert_empty(&client);
    }
    assert_eq!(*client.submit_async(async { 1 }).result().unwrap(), 1);
    client.check_invariants().unwrap();
}

#[test]
fn a_cancel_in_the_middle_of_a_turn_drops_it_at_its_end() {
    let client = client(1);
    let (begun, gate, gone) = (Gate::default(), Gate::default(), Arc::new(AtomicBool::new(false)));
    let (begin, pass) = (begun.clone(), gate.clone());
    let held = Dropped(Arc::clone(&gone), false);
    let future = client.submit_async(async move {
        let _held = held;
        begin.open();
        pass.pass();
        std::future::pending::<()>().await;
    });
    begun.pass();
    future.cancel();
    assert!(!gone.load(Ordering::SeqCst), "it is being polled");
    gate.open();
    soon("it is dropped", || gone.load(Ordering::SeqCst));
    drop(future);
    assert_empty(&client);
}

#[test]
fn what_nobody_wants_any_more_goes_and_what_is_kept_goes_on() {
    let client = client(1);
    let (future, _bell, gone) = waiting(&client, false);
    drop(future);
    soon("it is dropped", || gone.load(Ordering::SeqCst));
    let (future, bell, gone) = waiting(&client, false);
    future.forget();
    // Of short tasks the scheduler hears a moment later that they have ended.
    soon("only it is left", || client.counters().live == 1);
    bell.ring();
    soon("it ends", || gone.load(Ordering::SeqCst));
    assert_empty(&client);
}

#[test]
fn closing_drops_what_waits() {
    let client = client(1);
    let (future, bell, gone) = waiting(&client, false);
    let dependent = client.submit_async_with(&future, |_| async { 1 });
    client.close();
    assert!(gone.load(Ordering::SeqCst));
    assert_eq!((future.status(), dependent.status()), (Status::Cancelled, Status::Cancelled));
    bell.ring();
    let late = client.submit_async(async { 1 });
    assert_eq!(late.status(), Status::Cancelled);
    drop(client);
    bell.ring();
}

#[test]
fn woken_by_several_threads_at_once_it_is_polled_by_one_at_a_time() {
    let client = client(2);
    let (polled, waker) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None::<Waker>)));
    let (inside, keeps) = (AtomicBool::new(false), Arc::clone(&waker));
    let counts = Arc::clone(&polled);
    let future = client.submit_async(poll_fn(move |context| {
        assert!(!inside.swap(true, Ordering::SeqCst), "polled twice at once");
        *keeps.lock().unwrap() = Some(context.waker().clone());
        let turns = counts.fetch_add(1, Ordering::SeqCst);
        inside.store(false, Ordering::SeqCst);
        if turns < 1_000 { Poll::Pending } else { Poll::Ready(turns) }
    }));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !future.is_done() {
                    if let Some(waker) = waker.lock().unwrap().clone() {
                        waker.wake();
                    }
                }
            });
        }
    });
    assert_eq!(*future.result().unwrap(), 1_000);
    client.check_invariants().unwrap();
}
