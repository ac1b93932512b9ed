//! Queues, variables, locks, semaphores and events.

use crate::{assert_empty, client};
use azolla::sync::{Event, Lock, MultiLock, Queue, Semaphore, Variable};
use azolla::{Error, Future};
use std::future::Future as StdFuture;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);

/// Polls once, with nobody to be woken.
fn poll<F: StdFuture + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_task_that_waits_for_any_of_them_lends_its_slot() {
    type Wait = Box<dyn FnOnce() -> Result<(), Error> + Send>;
    type Release = Box<dyn FnOnce() -> Result<(), Error> + Send>;
    let client = client(1);
    let cases: Vec<(&str, Wait, Release)> = vec![
        {
            let queue = Queue::new(&client);
            let gets = queue.clone();
            ("get", Box::new(move || gets.get().map(drop)), Box::new(move || queue.put(1)))
        },
        {
            let queue = Queue::bounded(&client, 1);
            queue.put(1).unwrap();
            let puts = queue.clone();
            ("put", Box::new(move || puts.put(2)), Box::new(move || queue.get().map(drop)))
        },
        {
            let variable = Variable::new(&client);
            let gets = variable.clone();
            let set = move || variable.set(1).map_err(Error::from);
            ("variable", Box::new(move || gets.get().map(drop)), Box::new(set))
        },
        {
            let event = Event::new(&client);
            let waits = event.clone();
            let set = move || event.set().map_err(Error::from);
            ("event", Box::new(move || waits.wait()), Box::new(set))
        },
        {
            let lock = Lock::new(&client);
            let lease = lock.acquire().unwrap();
            let wait = move || lock.acquire().map(drop);
            (
                "lock",
                Box::new(wait),
                Box::new(move || {
                    drop(lease);
                    Ok(())
                }),
            )
        },
        {
            let semaphore = Semaphore::new(&client, 2);
            let leases = [semaphore.acquire().unwrap(), semaphore.acquire().unwrap()];
            let wait = move || semaphore.acquire().map(drop);
            (
                "semaphore",
                Box::new(wait),
                Box::new(move || {
                    drop(leases);
                    Ok(())
                }),
            )
        },
        {
            let locks = MultiLock::new(&client, ["a", "b"]);
            let lease = MultiLock::new(&client, ["b"]).acquire().unwrap();
            let wait = move || locks.acquire().map(drop);
            (
                "locks",
                Box::new(wait),
                Box::new(move || {
                    drop(lease);
                    Ok(())
                }),
            )
        },
    ];
    for (name, wait, release) in cases {
        let (begun, begins) = mpsc::channel();
        let waiting = client.submit(move || {
            begun.send(()).unwrap();
            wait()
        });
        begins.recv().unwrap();
        // There is one slot: this runs only because the other has lent it.
        let releasing = client.submit(release);
        releasing.result().unwrap().clone().unwrap_or_else(|error| panic!("{name}: {error}"));
        waiting.result().unwrap().clone().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    client.check_invariants().unwrap();
}

#[test]
fn those_who_wait_are_served_in_their_order() {
    let client = client(1);
    let lock = Lock::new(&client);
    let held = lock.acquire().unwrap();
    let (mut first, mut second) = (pin!(lock.acquire_async()), pin!(lock.acquire_async()));
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    drop(held);
    // It is the first one's already: nobody comes between.
    assert!(matches!(lock.acquire_timeout(SOON), Err(Error::TimedOut)));
    assert!(poll(&mut second).is_pending());
    let Poll::Ready(Ok(lease)) = poll(&mut first) else { panic!("it was released") };
    drop(lease);
    assert!(poll(&mut second).is_ready());
}

#[test]
fn a_wait_that_is_given_up_goes_to_the_next() {
    let client = client(1);
    let lock = Lock::new(&client);
    let held = lock.acquire().unwrap();
    let mut first = Box::pin(lock.acquire_async());
    let mut second = Box::pin(lock.acquire_async());
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    drop(held); // handed to the first,
    drop(first); // which does not want it any more
    assert!(poll(&mut second).is_ready());
}

#[test]
fn what_was_taken_out_for_nobody_goes_back_to_where_it_was() {
    let client = client(1);
    let queue = Queue::new(&client);
    let mut many = Box::pin(queue.turn_to_get(3));
    assert!(poll(&mut many).is_pending());
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    drop(many);
    let mut one = Box::pin(queue.get_async());
    assert!(matches!(poll(&mut one), Poll::Ready(Ok(1))));
    let mut next = Box::pin(queue.turn_to_get(2));
    assert!(poll(&mut next).is_pending());
    queue.put(3).unwrap();
    drop(next);
    assert_eq!(queue.take_all().unwrap(), [2, 3]);
}

#[test]
fn what_goes_back_keeps_its_order_whoever_is_first() {
    let client = client(1);
    let queue = Queue::new(&client);
    let (mut first, mut second) = (Box::pin(queue.get_async()), Box::pin(queue.get_async()));
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    (1..4).try_for_each(|n| queue.put(n)).unwrap();
    drop(first);
    drop(second);
    assert_eq!(queue.take_all().unwrap(), [1, 2, 3]);
}

#[test]
fn a_put_that_is_given_up_is_undone_unless_others_have_the_value() {
    let client = client(1);
    let queue = Queue::bounded(&client, 1);
    queue.put(1).unwrap();
    let (mut put, mut next) = (Box::pin(queue.put_async(2)), Box::pin(queue.put_async(3)));
    assert!(poll(&mut put).is_pending());
    assert!(poll(&mut next).is_pending());
    assert_eq!(queue.get().unwrap(), 1); // and 2 is in,
    drop(put); // and out: there is room for the next
    assert!(poll(&mut next).is_ready());
    let mut late = Box::pin(queue.put_async(4));
    assert!(poll(&mut late).is_pending());
    assert_eq!([queue.get().unwrap(), queue.get().unwrap()], [3, 4]);
    drop(late);
    queue.put(5).unwrap();
    assert_eq!(queue.take_all().unwrap(), [5]);
}

#[test]
fn more_than_a_queue_has_room_for_can_be_got_at_once() {
    let client = client(1);
    let queue = Queue::bounded(&client, 2);
    let puts = queue.clone();
    client.submit(move || (0..7).try_for_each(|n| puts.put(n))).forget();
    assert_eq!(queue.get_many(7).unwrap(), (0..7).collect::<Vec<_>>());
}

#[test]
fn a_name_is_shared_and_lasts_while_it_differs_from_a_new_one() {
    let client = client(1);
    Event::named(&client, "go").set().unwrap();
    assert!(Event::named(&client, "go").is_set().unwrap());
    Event::named(&client, "go").clear().unwrap();
    Queue::named(&client, "q", 0).unwrap().put(1_u8).unwrap();
    assert!(matches!(Queue::<u64>::named(&client, "q", 0), Err(error) if error.kind == "queue"));
    assert_eq!(Queue::<u8>::named(&client, "q", 0).unwrap().get().unwrap(), 1);
    // Nothing is left of it: the name is free.
    Queue::named(&client, "q", 0).unwrap().put("text").unwrap();

    let two = Semaphore::named(&client, "s", 2).unwrap();
    assert!(matches!(Semaphore::named(&client, "s", 3), Err(error) if error.is == 2));
    let lease = two.acquire().unwrap();
    assert_eq!(two.taken().unwrap(), 1);
    assert_eq!(two.close(), 1);
    assert!(matches!(two.acquire(), Err(Error::Closed)));
    drop(lease);
    assert_eq!(Semaphore::named(&client, "s", 3).unwrap().taken().unwrap(), 0);
}

#[test]
fn locks_that_nobody_wants_are_not_held_up_by_those_that_somebody_does() {
    let client = client(1);
    let (a, ab, b, c) = (["a"], ["a", "b"], ["b"], ["c"]);
    let held = MultiLock::new(&client, a).acquire().unwrap();
    let mut both = Box::pin(MultiLock::new(&client, ab).turn_to_acquire(2));
    assert!(poll(&mut both).is_pending());
    // It comes after one that wants it, and so does not starve that.
    assert!(MultiLock::new(&client, b).acquire_timeout(SOON).is_err());
    drop(MultiLock::new(&client, c).acquire().unwrap());
    assert_eq!(MultiLock::new(&client, ["c", "d", "c"]).acquire_some(1).unwrap().names().len(), 1);
    drop(held);
    assert!(poll(&mut both).is_ready());
}

#[test]
fn a_future_in_a_queue_or_variable_is_kept() {
    let client = client(1);
    let (queue, variable) = (Queue::<Future<i32>>::new(&client), Variable::new(&client));
    queue.put(client.submit(|| 1)).unwrap();
    variable.set(client.submit(|| 2)).unwrap();
    let future = queue.get().unwrap();
    assert_eq!(future.result().unwrap() + variable.get().unwrap().result().unwrap(), 3);
    drop(future);
    variable.delete().unwrap();
    assert_empty(&client);
}

#[test]
fn every_wait_ends_when_the_client_is_closed() {
    let client = client(2);
    let (event, queue) = (Event::new(&client), Queue::<u8>::new(&client));
    let (begun, begins) = mpsc::channel();
    let (waits, ended) = (event.clone(), Arc::new(AtomicUsize::new(0)));
    let (told, count) = (begun.clone(), Arc::clone(&ended));
    client
        .submit(move || {
            told.send(()).unwrap();
            if matches!(waits.wait(), Err(Error::Closed)) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
        .forget();
    let gets = queue.clone();
    let outside = thread::spawn(move || {
        begun.send(()).unwrap();
        gets.get()
    });
    let mut awaited = Box::pin(event.wait_async());
    assert!(poll(&mut awaited).is_pending());
    begins.recv().unwrap();
    begins.recv().unwrap();
    client.close();
    assert!(matches!(outside.join().unwrap(), Err(Error::Closed)));
    assert!(matches!(poll(&mut awaited), Poll::Ready(Err(Error::Closed))));
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(matches!(Lock::new(&client).acquire(), Err(Error::Closed)));
    assert!(queue.put(1).is_err() && event.set().is_err());
}

#[test]
fn a_lease_may_be_kept_past_its_task() {
    let client = client(1);
    let lock = Lock::new(&client);
    let holds = lock.clone();
    let lease = client.submit(move || holds.acquire().unwrap());
    lease.result().unwrap();
    assert!(lock.is_locked().unwrap());
    drop(lease);
    drop(lock.acquire().unwrap());
}

#[test]
fn the_last_handle_may_be_held_by_what_it_holds() {
    let client = client(1);
    let queue = Queue::<Box<dyn std::any::Any + Send>>::new(&client);
    queue.put(Box::new(queue.clone())).unwrap();
    let task = client.submit(move || drop(queue));
    task.result().unwrap();
}
