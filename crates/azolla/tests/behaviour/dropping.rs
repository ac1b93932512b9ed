//! Values, closures and futures that go: never under a lock, never by recursion.

use crate::{Dropped, Gate, assert_empty, client, own, soon};
use azolla::Future;
use azolla::sync::Event;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const LONG: usize = 100_000;

#[test]
fn a_long_chain_that_never_ran_is_dropped() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let mut last = client.submit(move || pass.pass());
    for _ in 0..LONG {
        last = client.submit_with(&last, |()| ());
    }
    drop(last);
    gate.open();
    assert_empty(&client);
}

#[test]
fn a_long_chain_that_failed_is_dropped() {
    let client = client(1);
    let mut last = client.try_submit(|| Err::<(), _>("first"));
    for _ in 0..LONG {
        last = client.submit_with(&last, |()| ());
    }
    assert!(last.result().is_err());
    drop(last);
    assert_empty(&client);
}

#[test]
fn a_long_chain_of_futures_in_closures_is_dropped() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let mut last = client.submit(|| ());
    for _ in 0..LONG {
        let before = last;
        last = client.submit(move || drop(before));
    }
    drop(last);
    gate.open();
    drop(busy);
    assert_empty(&client);
}

#[test]
fn a_long_chain_is_cancelled_while_all_its_futures_live() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let mut chain = vec![client.submit(move || pass.pass())];
    for n in 0..LONG {
        let next = client.submit_with(&chain[n], |()| ());
        chain.push(next);
    }
    chain[0].cancel();
    gate.open();
    soon("the news arrive", || chain[LONG].is_done());
    // The inputs first, so that every task is held by the next alone.
    drop(chain);
    assert_empty(&client);
}

#[test]
fn values_go_with_their_last_future_and_outside_the_lock() {
    let client = client(2);
    let dropped: Vec<_> = (0..100).map(|_| Arc::new(AtomicBool::new(false))).collect();
    let values = client.map(|flag| Dropped(flag, false), dropped.clone());
    client.gather(&values).unwrap();
    assert!(dropped.iter().all(|flag| !flag.load(Ordering::SeqCst)));
    drop(values);
    soon("all go", || dropped.iter().all(|flag| flag.load(Ordering::SeqCst)));
    assert_empty(&client);
}

/// Submits, waits and drops futures when it is dropped itself.
struct Meddles(azolla::Client, Arc<AtomicU32>);

impl Drop for Meddles {
    fn drop(&mut self) {
        let future = self.0.submit(|| 1);
        self.1.fetch_add(*future.result().unwrap_or(&0) + 1, Ordering::SeqCst);
        drop(self.0.map(|n: u32| n, 0..10));
    }
}

#[test]
fn destructors_may_submit_and_wait() {
    let client = client(2);
    let seen = Arc::new(AtomicU32::new(0));
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    // In a closure that runs, in one that is cancelled, in a value, and in a future in a task.
    let held = Meddles(client.clone(), Arc::clone(&seen));
    let runs = client.submit(move || drop(held));
    let held = Meddles(client.clone(), Arc::clone(&seen));
    let dropped = client.submit_with(&busy, move |()| drop(held));
    let held = Meddles(client.clone(), Arc::clone(&seen));
    let value = client.submit(move || held);
    let in_task = client.submit(|| drop(own().map(|n: u32| n, 0..10)));
    drop(dropped);
    gate.open();
    busy.result().unwrap();
    runs.result().unwrap();
    value.result().unwrap();
    in_task.result().unwrap();
    drop((busy, runs, value, in_task));
    soon("all three have done so", || seen.load(Ordering::SeqCst) >= 5);
    assert_empty(&client);
}

#[test]
fn futures_are_dropped_from_four_threads() {
    let client = client(2);
    let futures: Vec<Future<u32>> = client.map(|n: u32| n, 0..20_000);
    let mut parts: Vec<Vec<_>> = (0..4).map(|_| futures.clone()).collect();
    drop(futures);
    std::thread::scope(|scope| {
        for part in parts.drain(..) {
            scope.spawn(move || drop(part));
        }
    });
    assert_empty(&client);
}

/// A result that holds the future of the task that goes on.
struct Link(#[expect(dead_code)] Option<Future<Link>>);

/// A chain of results of this length, each of which holds the next. All tasks have ended.
fn linked(client: &azolla::Client, length: usize) -> Future<Link> {
    let mut first = client.submit(|| Link(None));
    for _ in 0..length {
        first = client.submit(move || Link(Some(first)));
    }
    first.result().unwrap();
    soon("all have ended", || client.counters().live == 0);
    first
}

#[test]
fn a_long_chain_of_results_is_dropped() {
    let client = client(2);
    drop(linked(&client, LONG));
    assert_empty(&client);
    // By the worker of a task that held the last future on it.
    let held = linked(&client, LONG);
    client.submit(move || drop(held)).result().unwrap();
    assert_empty(&client);
    // By a worker between two tasks.
    let held = linked(&client, LONG);
    drop(client.submit(move || held));
    assert_empty(&client);
    let value = linked(&client, LONG).value().unwrap();
    drop(value);
    assert_empty(&client);
}

#[test]
fn a_long_chain_of_closures_that_alternate_between_clients_is_dropped() {
    let clients = [client(1), client(1)];
    let gate = Gate::default();
    let busy = clients.each_ref().map(|client| {
        let pass = gate.clone();
        client.submit(move || pass.pass())
    });
    let mut last = clients[0].submit(|| ());
    for n in 0..LONG {
        let before = last;
        last = clients[n % 2].submit(move || drop(before));
    }
    drop(last);
    gate.open();
    drop(busy);
    clients.iter().for_each(assert_empty);
}

#[test]
fn a_chain_is_dropped_in_order_as_far_as_it_nests() {
    struct Says(u32, Arc<Mutex<Vec<u32>>>, #[expect(dead_code)] Option<Future<Says>>);
    impl Drop for Says {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    let (client, said) = (client(1), Arc::new(Mutex::new(Vec::new())));
    let mut last = None;
    for n in 0..10 {
        let (before, said) = (last.take(), Arc::clone(&said));
        let future = client.submit(move || Says(n, said, before));
        future.result().unwrap();
        last = Some(future);
    }
    client.submit(|| ()).result().unwrap();
    soon("their ends are reported", || client.counters().live == 0);
    drop(last);
    // The thread that drops the first has dropped them all when it goes on.
    assert_eq!(*said.lock().unwrap(), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

/// Says on which thread it is dropped.
struct Where(std::sync::mpsc::Sender<std::thread::ThreadId>);

impl Drop for Where {
    fn drop(&mut self) {
        let _ = self.0.send(std::thread::current().id());
    }
}

#[test]
fn a_thread_that_submits_drops_nothing_of_others() {
    let client = client(1);
    let (tell, told) = std::sync::mpsc::channel();
    let gate = Gate::default();
    let over = Arc::new(AtomicBool::new(false));
    // One thread only submits, counts and looks, while others drop what has ended and what has not begun.
    let submits = {
        let (client, over) = (client.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            for round in 0.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                std::mem::forget(client.submit(|| ()));
                std::mem::forget(client.map(|n: u32| n, 0..3));
                let _ = client.counters();
                // To look at all tasks takes long, and the others wait for the lock meanwhile.
                if round % 100 == 0 {
                    let _ = client.check_invariants();
                }
            }
            std::thread::current().id()
        })
    };
    for _ in 0..20 {
        let pass = gate.clone();
        let root = client.submit(move || pass.pass());
        let wide: Vec<_> = (0..1_000)
            .map(|_| {
                let held = Where(tell.clone());
                client.submit_with(&root, move |()| held)
            })
            .collect();
        let values = (0..100).map(|_| Where(tell.clone())).collect::<Vec<_>>();
        let ended = client.task().priority(1).map(|held: Where| held, values);
        let drops = std::thread::spawn(move || drop(ended));
        root.cancel();
        drop((root, wide));
        drops.join().unwrap();
    }
    gate.open();
    over.store(true, Ordering::SeqCst);
    let submitter = submits.join().unwrap();
    drop(tell);
    let (mut seen, mut by_it) = (0, 0);
    while let Ok(thread) = told.recv_timeout(std::time::Duration::from_secs(60)) {
        seen += 1;
        by_it += u32::from(thread == submitter);
    }
    assert_eq!((seen, by_it), (20 * 1_100, 0));
}

#[test]
fn a_task_that_waits_drops_nothing_of_earlier_tasks() {
    let client = client(1);
    let (tell, told) = std::sync::mpsc::channel();
    // So that they are known to be short, and several are pulled at once.
    client.gather(&client.map(|n: u32| n, 0..10)).unwrap();
    let held = Arc::new(Mutex::new(()));
    /// Takes a lock of the user's when it is dropped.
    struct Locks(Arc<Mutex<()>>, #[expect(dead_code)] Where);
    impl Drop for Locks {
        fn drop(&mut self) {
            drop(self.0.lock());
        }
    }
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let results = (0..5).map(|_| Locks(Arc::clone(&held), Where(tell.clone()))).collect::<Vec<_>>();
    let ended = client.map(|locks: Locks| locks, results);
    ended.into_iter().for_each(Future::forget);
    let waits = client.submit(move || {
        let lock = held.lock().unwrap();
        let child = own().submit(|| 1);
        let one = child.result_timeout(std::time::Duration::from_secs(60)).copied();
        drop(lock);
        one
    });
    gate.open();
    assert_eq!(waits.result().unwrap().clone().unwrap(), 1);
    busy.result().unwrap();
    drop(tell);
    let seen = std::iter::from_fn(|| told.recv_timeout(std::time::Duration::from_secs(60)).ok());
    assert_eq!(seen.count(), 5);
    drop((busy, waits));
    assert_empty(&client);
}

#[test]
fn a_destructor_that_waits_between_two_tasks_makes_room_for_another_worker() {
    struct Waits(azolla::Client, Arc<AtomicU32>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let one = self.0.submit(|| 1).result().copied().unwrap_or(0);
            self.1.fetch_add(one, Ordering::SeqCst);
        }
    }
    let (client, seen) = (client(1), Arc::new(AtomicU32::new(0)));
    for n in 0..20 {
        // A result that no future is left on, and one whose future goes on the worker's thread.
        let held = Waits(client.clone(), Arc::clone(&seen));
        client.submit(move || held).forget();
        let value = client.submit(|| ());
        let held = Waits(client.clone(), Arc::clone(&seen));
        client.submit(move || (value, held)).forget();
        soon("both have waited", || seen.load(Ordering::SeqCst) == 2 * (n + 1));
        client.submit(|| ()).result().unwrap();
    }
    assert_empty(&client);
    soon("the threads that made room end", || client.counters().threads <= 2);
}

#[test]
fn what_a_wide_failure_takes_with_it_is_not_dropped_in_the_middle_of_a_task() {
    /// Counts how often it is dropped on the thread of the running task.
    struct Held(Arc<Mutex<Option<std::thread::ThreadId>>>, Arc<AtomicU32>);
    impl Drop for Held {
        fn drop(&mut self) {
            let here = Some(std::thread::current().id());
            self.1.fetch_add(u32::from(*self.0.lock().unwrap() == here), Ordering::SeqCst);
        }
    }
    let client = client(1);
    let (runs, inside) = (Arc::default(), Arc::new(AtomicU32::new(0)));
    let (running, counts) = (Arc::clone(&runs), Arc::clone(&inside));
    let parent = client.submit(move || {
        // Once its kind is known to be short, the worker runs it on top of this task, and reports its end there.
        let short = || Err::<(), _>("on purpose");
        for _ in 0..10 {
            assert!(own().try_submit(short).result().is_err());
        }
        let fails = own().try_submit(short);
        // More than one event of the scheduler deals with at once.
        for _ in 0..2_000 {
            let held = Held(Arc::clone(&running), Arc::clone(&counts));
            own().submit_with(&fails, move |()| drop(held)).forget();
        }
        *running.lock().unwrap() = Some(std::thread::current().id());
        let _ = fails.result();
        let _ = own().submit(|| ()).result();
        *running.lock().unwrap() = None;
    });
    parent.result().unwrap();
    drop(parent);
    assert_empty(&client);
    assert_eq!(inside.load(Ordering::SeqCst), 0);
}

#[test]
fn a_destructor_that_waits_does_not_hold_up_the_next_task() {
    struct Waits(Event);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait().unwrap();
        }
    }
    let client = client(1);
    for _ in 0..50 {
        let (event, gate) = (Event::new(&client), Gate::default());
        let (held, pass) = (Waits(event.clone()), gate.clone());
        let task = client.submit(move || {
            pass.pass();
            held
        });
        // The worker has all of these at hand when the first ends, whose result goes then. Each may be next.
        let next: Vec<_> = (0..3)
            .map(|_| {
                let event = event.clone();
                client.submit(move || event.set().unwrap())
            })
            .collect();
        task.forget();
        gate.open();
        for task in next {
            task.result().unwrap();
        }
    }
    assert_empty(&client);
}

#[test]
fn a_thread_whose_destructor_waited_for_what_is_there_ends() {
    struct Waits(Event, Arc<AtomicU32>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait().unwrap();
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (client, seen) = (client(1), Arc::new(AtomicU32::new(0)));
    for n in 1..=10 {
        let event = Event::new(&client);
        let held = Waits(event.clone(), Arc::clone(&seen));
        let gate = Gate::default();
        let pass = gate.clone();
        let task = client.submit(move || {
            pass.pass();
            held
        });
        task.forget();
        gate.open();
        // Another worker is there while the destructor waits.
        client.submit(|| ()).result().unwrap();
        event.set().unwrap();
        soon("it has waited", || seen.load(Ordering::SeqCst) == n);
    }
    assert_empty(&client);
    // This waits for all threads.
    client.close();
}
