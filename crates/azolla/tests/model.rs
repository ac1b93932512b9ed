//! The runtime under the model checker: threads are the model's, and every schedule that it picks
//! must end, with the right results and nothing left.
//!
//! `RUSTFLAGS="--cfg azolla_shuttle" CARGO_TARGET_DIR=target/shuttle \
//!  cargo test -p azolla --test model --release`
//!
//! A schedule that fails is printed and can be replayed by `shuttle::replay`. `MODEL_RUNS=n` runs n
//! schedules of each kind instead of 5,000.
#![cfg(azolla_shuttle)]

use azolla::sync::{Event, Lock, MultiLock, Queue, Semaphore};
use azolla::{Client, Error, Future, as_completed, current_client, rejoin, secede, sleep};
use futures_util::StreamExt;
use shuttle::sync::Mutex;
use shuttle::thread;
use std::future::{Future as _, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Runs `model` under many schedules, and holds it to leave nothing behind.
fn check(threads: usize, model: impl Fn(&Client) + Send + Sync + 'static) {
    let runs = std::env::var("MODEL_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000);
    let model = Arc::new(model);
    let whole = move || {
        let client = Client::builder().threads_per_worker(threads).build().unwrap();
        model(&client);
        // A worker may hold the last of a task that it has ended.
        while client.counters().kept > 0 {
            thread::yield_now();
        }
        assert_eq!(client.counters().live, 0);
    };
    let by_priority = whole.clone();
    shuttle::check_random(whole, runs);
    shuttle::check_pct(by_priority, runs, 3);
}

fn client() -> Client {
    current_client().expect("a task")
}

#[test]
fn a_task_lends_its_slot_and_gets_it_back() {
    check(1, |client| {
        let parent = client.submit(|| {
            let children = self::client().map(|n: u32| n, [1, 2]);
            self::client().gather(&children).unwrap().into_iter().sum::<u32>()
        });
        assert_eq!(*parent.result().unwrap(), 3);
    });
}

#[test]
fn a_task_runs_what_it_waits_for_while_others_take_and_cancel_it() {
    check(2, |client| {
        let (seen, sees) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let shown = Arc::clone(&seen);
        let parent = client.submit(move || {
            let children = self::client().map(
                |n: u32| {
                    if n == 1 {
                        secede().unwrap();
                    }
                    match self::client().submit(move || n).result() {
                        Ok(n) => *n,
                        Err(Error::Cancelled { .. }) if n == 2 => 100,
                        Err(error) => panic!("{error}"),
                    }
                },
                [0, 1, 2],
            );
            *shown.lock().unwrap() = Some(children[2].clone());
            self::client().gather(&children).map(|values| values.into_iter().sum::<u32>())
        });
        let other = Arc::clone(&sees);
        let canceller = thread::spawn(move || {
            let third: Option<Future<u32>> = seen.lock().unwrap().take();
            third.iter().for_each(Future::cancel);
            *other.lock().unwrap() = third;
        });
        match parent.result().unwrap() {
            Ok(sum) => assert_eq!(*sum, 3),
            Err(error) => assert!(matches!(error, Error::Cancelled { .. }), "{error}"),
        }
        canceller.join().unwrap();
        sees.lock().unwrap().take();
    });
}

#[test]
fn slots_are_never_exceeded() {
    check(2, |client| {
        let running = Arc::new(Mutex::new(0));
        let count = move || {
            *running.lock().unwrap() += 1;
            assert!(*running.lock().unwrap() <= 2);
            thread::yield_now();
            *running.lock().unwrap() -= 1;
        };
        let parents: Vec<Future<()>> = (0..3)
            .map(|_| {
                let count = count.clone();
                client.submit(move || {
                    count();
                    let child = self::client().submit(count.clone());
                    let _ = child.result_timeout(Duration::from_millis(1));
                    count();
                    child.result().unwrap();
                    count();
                })
            })
            .collect();
        client.gather(&parents).unwrap();
    });
}

#[test]
fn a_wait_is_given_up_while_its_end_comes() {
    check(1, |client| {
        let parent = client.submit(|| {
            let child = self::client().submit(|| 7);
            match child.result_timeout(Duration::from_millis(1)) {
                Ok(n) => *n,
                Err(Error::TimedOut) => *child.result().unwrap(),
                Err(other) => panic!("{other}"),
            }
        });
        assert_eq!(*parent.result().unwrap(), 7);
    });
}

#[test]
fn an_end_and_a_dependent_that_comes_meanwhile() {
    check(2, |client| {
        let inputs = client.map(|n: u32| n, 0..3);
        let sum = client.submit_with(&inputs, |all| all.into_iter().sum::<u32>());
        let last = client.submit_with((&inputs[2], &sum), |(a, b)| a + b);
        assert_eq!(*last.result().unwrap(), 5);
    });
}

#[test]
fn claims_are_taken_back_and_begun_once() {
    check(2, |client| {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let futures = client.map(
            move |n: u32| {
                seen.lock().unwrap().push(n);
                if n % 4 == 3 {
                    // A wait gives back what is claimed.
                    let looks = || self::client().check_invariants().unwrap();
                    self::client().submit(looks).result().unwrap();
                }
            },
            0..10,
        );
        client.gather(&futures).unwrap();
        let mut calls = std::mem::take(&mut *calls.lock().unwrap());
        calls.sort_unstable();
        assert_eq!(calls, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn futures_are_dropped_while_their_tasks_end() {
    check(2, |client| {
        let futures = client.map(|n: u32| n, 0..6);
        let copies: Vec<_> = futures.iter().step_by(2).cloned().collect();
        let other = thread::spawn(move || drop(copies));
        drop(futures);
        other.join().unwrap();
    });
}

#[test]
fn as_completed_in_a_task_is_added_to_meanwhile() {
    check(2, |client| {
        let parent = client.submit(|| {
            let mut endings = as_completed(self::client().map(|n: u32| n, [2, 1]));
            let mut sum = 0;
            while let Some(ended) = endings.next() {
                let n = *ended.result().unwrap();
                sum += n;
                if n > 0 {
                    endings.add(self::client().submit(move || n - 1));
                }
            }
            sum
        });
        assert_eq!(*parent.result().unwrap(), 4);
    });
}

#[test]
fn as_completed_times_out_and_loses_nothing() {
    check(1, |client| {
        let parent = client.submit(|| {
            let mut endings = as_completed(self::client().map(|n: u32| n, [2, 1]));
            let mut sum = 0;
            loop {
                match endings.next_timeout(Duration::from_millis(1)) {
                    Ok(Some(ended)) => sum += *ended.result().unwrap(),
                    Ok(None) => break sum,
                    Err(Error::TimedOut) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
        assert_eq!(*parent.result().unwrap(), 3);
    });
}

#[test]
fn every_wait_ends_when_the_client_is_closed() {
    check(1, |client| {
        let parent = client.submit(|| {
            let client = self::client();
            let children = client.map(|n: u32| n, [1, 2]);
            client.gather(&children).map(|all| all.len())
        });
        let waiting = parent.clone();
        let other = thread::spawn(move || match waiting.result() {
            Ok(Ok(2) | Err(Error::Closed | Error::Cancelled { .. })) => {}
            Err(Error::Cancelled { .. }) => {}
            other => panic!("{other:?}"),
        });
        let third = parent.clone();
        let awaiting = thread::spawn(move || drop(shuttle::future::block_on(third.into_future())));
        client.close();
        other.join().unwrap();
        awaiting.join().unwrap();
        assert!(matches!(client.submit(|| ()).result(), Err(Error::Cancelled { .. })));
    });
}

#[test]
fn the_last_client_goes_inside_a_task() {
    check(1, |client| {
        let inner = Client::builder().threads_per_worker(1).build().unwrap();
        let future = inner.submit({
            let inner = inner.clone();
            move || drop(inner)
        });
        drop(inner);
        // Cancelled if the other handle was dropped before it began: then this one closes.
        let _ = future.result();
        drop(client.submit(|| ()));
    });
}

#[test]
fn a_task_secedes_and_rejoins() {
    check(1, |client| {
        let enter = at_most(1);
        let (enters, others) = (enter.clone(), enter.clone());
        let parent = client.submit(move || {
            secede().unwrap();
            let child = self::client().submit(|| 1);
            let n = *child.result().unwrap();
            rejoin().unwrap();
            enters();
            n + *self::client().submit(|| 1).result().unwrap()
        });
        let other = client.map(
            move |n: u32| {
                others();
                n
            },
            [1, 0],
        );
        let other: u32 = client.gather(&other).unwrap().into_iter().sum();
        assert_eq!(parent.result().unwrap() + other, 3);
    });
}

#[test]
fn an_end_is_told_before_its_worker_waits() {
    check(1, |client| {
        // So that they are known to be short, and pulled several at once.
        client.gather(&client.map(|_: u32| (), 0..3)).unwrap();
        let event = Event::new(client);
        let waits = event.clone();
        let batch = client.map(
            move |n: u32| {
                if n == 1 {
                    waits.wait().unwrap();
                }
            },
            0..4,
        );
        while client.counters().settled < 3 + 1 {
            thread::yield_now();
        }
        // And whoever waits is known to.
        client.check_invariants().unwrap();
        event.set().unwrap();
        client.gather(&batch).unwrap();
    });
}

#[test]
fn a_task_is_cancelled_while_it_is_waited_for() {
    check(1, |client| {
        let first = client.submit(|| 1);
        let second = client.submit_with(&first, |n| n + 1);
        let waiting = second.clone();
        let other = thread::spawn(move || match waiting.result() {
            Ok(2) | Err(Error::Cancelled { .. }) => {}
            other => panic!("{other:?}"),
        });
        first.cancel();
        other.join().unwrap();
    });
}

#[test]
fn a_task_is_cancelled_while_it_waits() {
    for slots in [1, 2] {
        check(slots, |client| {
            let event = Event::new(client);
            let (theirs, sets) = (event.clone(), event.clone());
            let waits = client.submit(move || {
                let first = theirs.wait();
                // Whatever has ended the wait, from now on the task knows.
                match (first, sleep(Duration::ZERO)) {
                    (Ok(()) | Err(Error::Cancelled { .. } | Error::Closed), Ok(())) => {}
                    (_, Err(Error::Cancelled { .. } | Error::Closed)) => {}
                    other => panic!("{other:?}"),
                }
            });
            let other = thread::spawn(move || sets.set().unwrap());
            waits.cancel();
            other.join().unwrap();
            // The slot is free again.
            assert_eq!(*client.submit(|| 1).result().unwrap(), 1);
        });
    }
}

#[test]
fn a_parent_is_cancelled_with_the_child_that_it_waits_for() {
    check(2, |client| {
        let parent = client.submit(|| {
            let child = self::client().submit(|| 1);
            match child.result() {
                Ok(1) | Err(Error::Cancelled { .. } | Error::Closed) => {}
                other => panic!("{other:?}"),
            }
        });
        parent.cancel_subtree();
        assert_eq!(*client.submit(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_failure_is_retried_while_it_is_waited_for() {
    check(1, |client| {
        let calls = Mutex::new(0);
        let flaky = client.task().retries(0).try_submit(move || {
            *calls.lock().unwrap() += 1;
            if *calls.lock().unwrap() == 1 { Err("once") } else { Ok(5) }
        });
        let dependent = client.submit_with(&flaky, |n| n + 1);
        let waiting = dependent.clone();
        let other = thread::spawn(move || match waiting.result() {
            Ok(6) | Err(Error::Failed { .. }) => {}
            other => panic!("{other:?}"),
        });
        let awaited = dependent.clone();
        let awaiting =
            thread::spawn(move || match shuttle::future::block_on(awaited.into_future()) {
                Ok(six) => assert_eq!(*six, 6),
                Err(Error::Failed { .. }) => {}
                Err(other) => panic!("{other}"),
            });
        assert!(flaky.result().is_err());
        dependent.retry();
        other.join().unwrap();
        awaiting.join().unwrap();
        // The retry is done by whoever unlocks last: it may not have been yet.
        while dependent.result().is_err() {
            thread::yield_now();
        }
        assert_eq!(*dependent.result().unwrap(), 6);
    });
}

#[test]
fn one_gathers_while_one_fails() {
    check(2, |client| {
        let held = Event::new(client);
        let waits = held.clone();
        // It has not ended when the other has failed.
        let good = client.submit(move || waits.wait().map(|()| 1).unwrap());
        let bad = client.try_submit(|| Err::<i32, _>("bad"));
        let copies = [good.clone(), bad.clone()];
        let other = thread::spawn(move || {
            let client = Client::builder().threads_per_worker(1).build().unwrap();
            let all = shuttle::future::block_on(client.gather_async(&copies)).map(|all| all.len());
            assert!(matches!(all, Err(Error::Failed { .. })), "{all:?}");
        });
        let all = client.gather([&good, &bad]).map(|all| all.len());
        assert!(matches!(all, Err(Error::Failed { .. })), "{all:?}");
        other.join().unwrap();
        held.set().unwrap();
    });
}

#[test]
fn two_tasks_that_wait_for_each_other_are_told() {
    check(2, |client| {
        let slot = Arc::new(Mutex::new(None::<Future<bool>>));
        let other = Arc::clone(&slot);
        let a = client.submit(move || {
            loop {
                if let Some(b) = other.lock().unwrap().take() {
                    break matches!(b.result(), Err(Error::WaitCycle { .. }));
                }
                thread::yield_now();
            }
        });
        let first = a.clone();
        let b = client.submit(move || matches!(first.result(), Err(Error::WaitCycle { .. })));
        *slot.lock().unwrap() = Some(b.clone());
        let told = [*a.result().unwrap(), *b.result().unwrap()];
        assert_eq!(told.into_iter().filter(|told| *told).count(), 1);
    });
}

#[test]
fn an_end_that_another_task_needs_is_told_before_the_next_begins() {
    fn work(held: &Arc<Mutex<bool>>) -> impl Fn(u32) + Send + Sync + 'static {
        let held = Arc::clone(held);
        move |n| {
            while n == 1 && *held.lock().unwrap() {
                thread::yield_now();
            }
        }
    }
    check(2, |client| {
        let held = Arc::new(Mutex::new(true));
        // So that they are known to be short, and pulled several at once.
        client.gather(&client.map(work(&held), [0; 3])).unwrap();
        let batch = client.map(work(&held), 0..6);
        let frees = Arc::clone(&held);
        let after = client.submit_with(&batch[0], move |()| *frees.lock().unwrap() = false);
        client.gather(&batch).unwrap();
        after.result().unwrap();
    });
}

#[test]
fn the_thread_that_drops_the_last_future_drops_what_goes_with_it() {
    /// Is dropped on the thread that said so.
    struct Noted(Arc<Mutex<Vec<thread::ThreadId>>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(thread::current().id());
        }
    }
    check(1, |client| {
        let notes = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
        let values = client.map(Noted, notes.clone());
        client.gather(&values).unwrap();
        // The ends of both are reported now.
        client.submit(|| ()).result().unwrap();
        let [one, two] = <[_; 2]>::try_from(values).unwrap();
        let other = thread::spawn(move || {
            drop(one);
            thread::current().id()
        });
        drop(two);
        // The other thread takes the lock of its notes, so it is joined first.
        let other = other.join().unwrap();
        assert_eq!(*notes[1].lock().unwrap(), [thread::current().id()]);
        assert_eq!(*notes[0].lock().unwrap(), [other]);
    });
}

#[test]
fn a_cascade_is_dropped_by_its_own_thread_though_another_helps() {
    check(1, |client| {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        struct Noted(Arc<Mutex<Vec<thread::ThreadId>>>);
        impl Drop for Noted {
            fn drop(&mut self) {
                self.0.lock().unwrap().push(thread::current().id());
            }
        }
        let gate = Arc::new(Mutex::new(()));
        let root = {
            let held = gate.lock().unwrap();
            let pass = Arc::clone(&gate);
            let root = client.submit(move || drop(pass.lock()));
            drop(held);
            root
        };
        let wide: Vec<_> = (0..600)
            .map(|_| {
                let noted = Noted(Arc::clone(&dropped));
                client.submit_with(&root, move |()| drop(noted))
            })
            .collect();
        let submits = {
            let client = client.clone();
            thread::spawn(move || {
                let _ = client.counters();
                thread::current().id()
            })
        };
        root.cancel();
        drop(wide);
        let submitter = submits.join().unwrap();
        assert!(!dropped.lock().unwrap().contains(&submitter));
    });
}

#[test]
fn a_task_that_blocks_on_a_future_lends_its_slot() {
    fn block_on<F: std::future::Future>(future: F) -> F::Output {
        shuttle::future::block_on(future)
    }
    check(1, |client| {
        let parent = client.submit(|| {
            let children = self::client().map(|n: u32| n, [1, 2]);
            let first = block_on(self::client().gather_async(&children)).unwrap().len();
            first as u32 + *block_on(self::client().submit(|| 3).into_future()).unwrap()
        });
        assert_eq!(*parent.result().unwrap(), 5);
    });
}

#[test]
fn a_destructor_waits_between_two_tasks() {
    struct Waits(Client);
    impl Drop for Waits {
        fn drop(&mut self) {
            assert!(self.0.submit(|| ()).result().is_ok());
        }
    }
    check(1, |client| {
        let held = Waits(client.clone());
        client.submit(move || held).forget();
        client.submit(|| ()).result().unwrap();
    });
}

#[test]
fn every_close_waits_for_the_end_and_closes_in_circles_end() {
    check(1, |client| {
        let others = [(); 2].map(|()| Client::builder().threads_per_worker(1).build().unwrap());
        let [one, two] = others.clone();
        others[0].submit(move || two.close()).forget();
        others[1].submit(move || one.close()).forget();
        let closes = others.clone().map(|other| thread::spawn(move || other.close()));
        others.iter().for_each(Client::close);
        for close in closes {
            close.join().unwrap();
        }
        client.submit(|| ()).result().unwrap();
    });
}

/// Holds no more than `most` at once, whoever enters.
fn at_most(most: usize) -> impl Fn() + Clone + Send + Sync + 'static {
    let inside = Arc::new(Mutex::new(0));
    move || {
        *inside.lock().unwrap() += 1;
        assert!(*inside.lock().unwrap() <= most);
        thread::yield_now();
        *inside.lock().unwrap() -= 1;
    }
}

#[test]
fn a_lock_is_held_by_one_at_a_time_and_handed_on_when_a_wait_is_given_up() {
    check(1, |client| {
        let (lock, enter) = (Lock::new(client), at_most(1));
        let (holds, enters) = (lock.clone(), enter.clone());
        let tasks = client.map(
            move |patient: bool| {
                let lease = match patient {
                    true => holds.acquire(),
                    false => holds.acquire_timeout(Duration::from_millis(1)),
                };
                match lease {
                    Ok(_lease) => enters(),
                    Err(Error::TimedOut) if !patient => {}
                    Err(other) => panic!("{other}"),
                }
            },
            [true, false, true],
        );
        let lease = lock.acquire().unwrap();
        enter();
        drop(lease);
        client.gather(&tasks).unwrap();
        assert!(!lock.is_locked().unwrap());
    });
}

#[test]
fn a_semaphore_has_all_its_leases_again_after_waits_inside_and_outside_and_awaited() {
    check(2, |client| {
        let (semaphore, enter) = (Semaphore::new(client, 2), at_most(2));
        let (leases, enters) = (semaphore.clone(), enter.clone());
        let tasks = client.map(
            move |_| {
                let lease = leases.acquire().unwrap();
                enters();
                drop(lease);
            },
            0..3,
        );
        let awaits = semaphore.clone();
        let other = thread::spawn(move || {
            let lease = shuttle::future::block_on(awaits.acquire_async()).unwrap();
            enter();
            drop(lease);
        });
        client.gather(&tasks).unwrap();
        other.join().unwrap();
        assert_eq!(semaphore.taken().unwrap(), 0);
    });
}

/// Looks once whether an awaited turn has come, and gives it up if not.
fn poll_once<F: std::future::Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn a_turn_that_is_dropped_while_it_is_served_goes_to_the_next() {
    check(1, |client| {
        let lock = Lock::new(client);
        let lease = lock.acquire().unwrap();
        let (drops, waits) = (lock.clone(), lock.clone());
        let dropping = thread::spawn(move || drop(poll_once(drops.acquire_async())));
        let waiting = thread::spawn(move || drop(waits.acquire().unwrap()));
        drop(lease);
        dropping.join().unwrap();
        waiting.join().unwrap();
        assert!(!lock.is_locked().unwrap());
    });
}

#[test]
fn a_turn_that_moves_from_thread_to_thread_wakes_the_last() {
    check(1, |client| {
        let event = Event::new(client);
        let sets = event.clone();
        let mut turn = Box::pin(event.turn_to_go());
        let seen = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(seen.is_pending());
        let setting = thread::spawn(move || sets.set().unwrap());
        assert!(shuttle::future::block_on(turn).is_ok());
        setting.join().unwrap();
    });
}

#[test]
fn a_bounded_queue_loses_nothing_and_doubles_nothing() {
    check(1, |client| {
        let queue = Queue::bounded(client, 1);
        let puts = queue.clone();
        let producers = client.map(move |n: u32| puts.put(n).unwrap(), 0..7);
        let gets = queue.clone();
        let consumer = client.submit(move || {
            let mut got = gets.get_many(2).unwrap();
            while got.len() < 3 {
                match gets.get_timeout(Duration::from_millis(1)) {
                    Ok(n) => got.push(n),
                    Err(Error::TimedOut) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            got
        });
        let some = queue.clone();
        let fickle = thread::spawn(move || poll_once(some.turn_to_get(2)));
        let mut all = vec![queue.get().unwrap()];
        all.extend(consumer.result().unwrap());
        all.extend(fickle.join().unwrap().into_iter().flat_map(|got| got.unwrap().values()));
        while all.len() < 6 {
            all.push(queue.get().unwrap());
        }
        // The last one finds room, now that the one before it is out.
        client.gather(&producers).unwrap();
        assert_eq!(queue.len().unwrap(), 1);
        all.extend(queue.take_all().unwrap());
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn a_put_that_is_given_up_has_put_nothing_or_says_so() {
    check(1, |client| {
        let queue = Queue::bounded(client, 1);
        queue.put(1).unwrap();
        let puts = queue.clone();
        let fickle = thread::spawn(move || {
            let mut put = puts.turn_to_put(2);
            poll_once(&mut put).is_some() || put.give_up().is_some()
        });
        assert_eq!(queue.get().unwrap(), 1);
        let mut got: Vec<_> = queue.get_timeout(Duration::from_millis(1)).into_iter().collect();
        let has_put = fickle.join().unwrap();
        got.extend(queue.take_all().unwrap());
        assert_eq!(got, if has_put { vec![2] } else { vec![] });
    });
}

#[test]
fn an_event_that_is_cleared_at_once_has_sent_on_all_who_waited() {
    check(1, |client| {
        let event = Event::new(client);
        let waits = event.clone();
        let waiting = client.map(
            move |again: bool| match waits.wait_timeout(Duration::from_millis(1)) {
                Err(Error::TimedOut) if again => waits.wait().unwrap(),
                Ok(()) | Err(Error::TimedOut) => {}
                Err(other) => panic!("{other}"),
            },
            [true, false],
        );
        event.set().unwrap();
        event.clear().unwrap();
        event.set().unwrap();
        client.gather(&waiting).unwrap();
    });
}

#[test]
fn several_locks_in_any_order_never_block_each_other() {
    check(1, |client| {
        let orders = [["a", "b"], ["b", "c"], ["c", "a"]];
        let locks: Vec<MultiLock> =
            orders.into_iter().map(|names| MultiLock::new(client, names)).collect();
        let tasks = client.map(|locks: MultiLock| locks.acquire().map(drop), locks);
        let some = MultiLock::new(client, ["a", "b", "c"]).acquire_some(2).unwrap();
        thread::yield_now();
        drop(some);
        assert!(client.gather(&tasks).unwrap().into_iter().all(Result::is_ok));
    });
}

#[test]
fn waits_for_what_is_shared_end_when_the_client_is_closed() {
    check(1, |client| {
        let (queue, event) = (Queue::<u32>::new(client), Event::new(client));
        let waits = event.clone();
        let awaits = event.clone();
        let task = client.submit(move || waits.wait());
        let other = thread::spawn(move || assert!(matches!(queue.get(), Err(Error::Closed))));
        let third = thread::spawn(move || {
            assert!(matches!(shuttle::future::block_on(awaits.wait_async()), Err(Error::Closed)));
        });
        client.close();
        other.join().unwrap();
        third.join().unwrap();
        assert!(matches!(task.result(), Ok(Err(Error::Closed)) | Err(Error::Cancelled { .. })));
        assert!(event.wait().is_err());
    });
}

/// Rings once, and wakes all who have polled it.
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
}

impl std::future::Future for Bell {
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

#[test]
fn an_async_task_is_woken_whenever_its_turn_ends() {
    check(2, |client| {
        let (one, other) = (Bell::default(), Bell::default());
        let rings = [one.clone(), other.clone()];
        let task = client.submit_async(async move {
            one.await;
            other.await;
            7
        });
        let threads = rings.map(|bell| thread::spawn(move || bell.ring()));
        assert_eq!(*task.result().unwrap(), 7);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn async_tasks_await_what_they_submit_and_let_others_go_first() {
    check(1, |client| {
        let outer = client.submit_async(async {
            let child = self::client().submit(|| 1);
            let asynchronous = self::client().submit_async(async {
                let mut stepped = false;
                poll_fn(|context| {
                    if std::mem::replace(&mut stepped, true) {
                        return Poll::Ready(2);
                    }
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await
            });
            *child.await.unwrap() + *asynchronous.await.unwrap()
        });
        assert_eq!(*outer.result().unwrap(), 3);
    });
}

#[test]
fn an_async_task_is_cancelled_or_let_go_of_while_it_is_woken() {
    check(2, |client| {
        let (bell, held) = (Bell::default(), Arc::new(()));
        let [cancelled, released] = [(); 2].map(|()| {
            let (waits, held) = (bell.clone(), Arc::clone(&held));
            client.submit_async(async move {
                let _held = held;
                waits.await;
            })
        });
        let rings = bell.clone();
        let ringer = thread::spawn(move || rings.ring());
        cancelled.cancel();
        drop(released);
        assert!(matches!(cancelled.result(), Ok(()) | Err(Error::Cancelled { .. })));
        ringer.join().unwrap();
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
    });
}

#[test]
fn an_async_task_is_closed_while_it_is_woken() {
    check(1, |client| {
        let (bell, held) = (Bell::default(), Arc::new(()));
        let (waits, holds) = (bell.clone(), Arc::clone(&held));
        let task = client.submit_async(async move {
            let _holds = holds;
            waits.await;
        });
        let ringer = thread::spawn(move || bell.ring());
        client.close();
        assert_eq!(Arc::strong_count(&held), 1, "closing has dropped it");
        assert!(matches!(task.result(), Ok(()) | Err(Error::Cancelled { .. })));
        ringer.join().unwrap();
    });
}

#[test]
fn a_stream_is_added_to_while_its_futures_end() {
    check(2, |client| {
        let mut endings = as_completed(client.map(|n: u32| n, [2, 1])).stream();
        let sum = shuttle::future::block_on(async {
            let mut sum = 0;
            while let Some(ended) = endings.next().await {
                let n = *ended.result().unwrap();
                sum += n;
                if n > 0 {
                    endings.add(client.submit(move || n - 1));
                }
            }
            sum
        });
        assert_eq!(sum, 4);
    });
}

#[test]
fn a_callback_is_called_once_while_its_task_ends_and_the_client_is_closed() {
    check(1, |client| {
        let calls = Arc::new(Mutex::new(0));
        let counts = Arc::clone(&calls);
        let future = client.submit(|| ());
        future.on_done(move |_| *counts.lock().unwrap() += 1);
        let closes = client.clone();
        let closer = thread::spawn(move || closes.close());
        drop(future);
        closer.join().unwrap();
        while *calls.lock().unwrap() == 0 {
            thread::yield_now();
        }
        drop(client.submit(|| ()));
        assert_eq!(*calls.lock().unwrap(), 1);
    });
}

/// Makes sure that nobody is inside at the same time as another: threads are let in between on the
/// way in and out.
fn alone(inside: &Mutex<bool>) {
    assert!(!std::mem::replace(&mut *inside.lock().unwrap(), true), "two calls at once");
    thread::yield_now();
    *inside.lock().unwrap() = false;
}

#[test]
fn an_actors_calls_are_made_once_each_in_order_and_one_at_a_time() {
    check(2, |client| {
        let inside = Arc::new(Mutex::new(false));
        let actor = client.actor(Vec::new);
        let calls = {
            let actor = actor.clone();
            move |of: u32| {
                for n in 0..2 {
                    let inside = Arc::clone(&inside);
                    actor.call(move |seen: &mut Vec<(u32, u32)>| {
                        alone(&inside);
                        seen.push((of, n));
                    });
                }
            }
        };
        let from_a_task = client.submit({
            let calls = calls.clone();
            move || calls(0)
        });
        let from_outside = thread::spawn(move || calls(1));
        from_outside.join().unwrap();
        from_a_task.result().unwrap();
        let seen = actor.call(std::mem::take);
        let seen = seen.result().unwrap();
        assert_eq!(seen.len(), 4, "{seen:?}");
        for of in 0..2 {
            let of_one: Vec<u32> = seen.iter().filter(|(by, _)| *by == of).map(|s| s.1).collect();
            assert_eq!(of_one, [0, 1]);
        }
    });
}

#[test]
fn the_turn_is_passed_on_by_calls_that_wait_are_cancelled_or_dropped() {
    check(2, |client| {
        let inside = Arc::new(Mutex::new(false));
        let actor = client.actor(|| 0);
        let call = |waits: bool| {
            let inside = Arc::clone(&inside);
            actor.call(move |n: &mut u32| {
                alone(&inside);
                if waits {
                    self::client().submit(|| ()).result().unwrap();
                    alone(&inside);
                }
                *n += 1;
            })
        };
        let (first, second, third) = (call(true), call(false), call(true));
        let other = thread::spawn(move || {
            first.cancel();
            second.cancel();
        });
        third.result().unwrap();
        other.join().unwrap();
        let count = actor.call(|n| *n);
        assert!((1..=3).contains(count.result().unwrap()));
    });
}

#[test]
fn an_actor_and_its_handles_go_while_it_is_called() {
    check(2, |client| {
        let actor = client.actor(|| 0);
        let copy = actor.clone();
        let other = thread::spawn(move || {
            copy.call(|n| *n += 1);
            drop(copy);
        });
        let call = actor.call(|n| *n);
        drop(actor);
        call.result().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn two_clients_of_the_same_threads_leave_while_their_tasks_run() {
    check(1, |client| {
        let (one, other) = (client.another(), client.another());
        let shared = one.task().key("fern").submit(|| 1);
        let parent = one.submit(|| self::client().submit(|| 2).result().copied());
        let leaves = thread::spawn(move || one.close());
        let same = other.task().key("fern").submit(|| 1);
        assert!(matches!(same.result(), Ok(1) | Err(Error::Cancelled { .. })));
        let own = other.submit(|| 3);
        drop(other);
        assert!(matches!(own.result(), Ok(3) | Err(Error::Cancelled { .. })));
        leaves.join().unwrap();
        assert!(matches!(parent.result(), Ok(_) | Err(Error::Cancelled { .. })));
        assert!(matches!(shared.result(), Ok(1) | Err(Error::Cancelled { .. })));
        assert_eq!(*client.submit(|| 4).result().unwrap(), 4);
    });
}

#[test]
fn a_group_ends_once_all_that_has_grown_in_it_has() {
    check(2, |client| {
        let ended = Arc::new(Mutex::new(0));
        client
            .group(|group| {
                let grown = Arc::clone(&ended);
                group.submit(move || {
                    for _ in 0..2 {
                        let grown = Arc::clone(&grown);
                        self::client().submit(move || *grown.lock().unwrap() += 1);
                    }
                });
            })
            .unwrap();
        assert_eq!(*ended.lock().unwrap(), 2);
    });
}

#[test]
fn growth_is_watched_while_its_ends_are_not_told_yet() {
    check(1, |client| {
        let roots = client.map(|n: u32| drop(self::client().submit(move || n)), 0..3);
        roots[0].wait_grown().unwrap();
        assert!(roots[0].is_done());
        client.gather(&roots).unwrap();
    });
}

#[test]
fn a_group_is_cancelled_while_it_grows() {
    check(2, |client| {
        let group = Arc::new(client.group_guard());
        let cancels = Arc::clone(&group);
        group.submit(|| drop(self::client().submit(|| drop(self::client().submit(|| ())))));
        let thread = thread::spawn(move || cancels.cancel());
        thread.join().unwrap();
        Arc::into_inner(group).unwrap().join().unwrap();
        assert_eq!(client.counters().live, 0);
    });
}
