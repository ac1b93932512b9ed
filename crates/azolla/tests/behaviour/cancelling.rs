//! Cancelling, at every moment of a task's life.

use crate::{Gate, assert_empty, client, own, soon};
use azolla::sync::{Event, Lock, Queue};
use azolla::{Client, Error, Status, as_completed, current_task, shield, sleep};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn what_is_queued_never_runs_and_takes_its_dependents_along() {
    let client = client(1);
    let (gate, calls) = (Gate::default(), Arc::new(AtomicU32::new(0)));
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let count = Arc::clone(&calls);
    let queued = client.task().key("queued").submit(move || count.fetch_add(1, Ordering::SeqCst));
    let after = client.task().key("after").submit_with(&queued, |n| n + 1);
    queued.cancel();
    let error = queued.result().unwrap_err();
    assert_eq!(error.to_string(), "task queued was cancelled");
    let Err(Error::Cancelled { key }) = after.result() else { panic!("{after:?}") };
    assert_eq!(key, "after");
    gate.open();
    busy.result().unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    drop((busy, queued, after));
    assert_empty(&client);
}

#[test]
fn what_runs_goes_on_for_nobody() {
    let client = client(1);
    let (gate, begun) = (Gate::default(), Gate::default());
    let (pass, begin) = (gate.clone(), begun.clone());
    let running = client.submit(move || {
        begin.open();
        pass.pass();
        1
    });
    begun.pass();
    running.cancel();
    assert!(matches!(running.result(), Err(Error::Cancelled { .. })));
    gate.open();
    assert_eq!(*client.submit(|| 2).result().unwrap(), 2);
    assert_eq!(running.status(), Status::Cancelled);
    drop(running);
    assert_empty(&client);
}

#[test]
fn what_has_grown_is_cancelled_with_it_also_what_grows_later() {
    let client = client(1);
    let (gate, begun) = (Gate::default(), Gate::default());
    let (pass, begin) = (gate.clone(), begun.clone());
    let (tell, told) = channel();
    let root = client.submit(move || {
        tell.send(own().submit(|| ())).unwrap();
        begin.open();
        pass.pass();
        tell.send(own().submit(|| ())).unwrap();
    });
    begun.pass();
    root.cancel_subtree();
    gate.open();
    let grown: Vec<_> = told.iter().collect();
    assert_eq!(grown.len(), 2);
    assert!(grown.iter().all(|child| child.status() == Status::Cancelled));
    assert_eq!(root.status(), Status::Cancelled);
    drop((root, grown));
    assert_empty(&client);
}

#[test]
fn what_has_ended_shows_as_cancelled_but_those_who_have_the_result_keep_it() {
    let client = client(1);
    let done = client.submit(|| vec![1, 2]);
    let borrowed = done.result().unwrap();
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let after = client.submit_with(&done, |v| v.len());
    done.cancel();
    assert!(matches!(done.result(), Err(Error::Cancelled { .. })));
    assert_eq!(borrowed, &[1, 2]);
    gate.open();
    busy.result().unwrap();
    assert_eq!(*after.result().unwrap(), 2, "its input was there when it was submitted");
}

#[test]
fn cancelling_many_and_twice() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let many = client.map(|n: u32| n, 0..1_000);
    client.cancel(&many);
    client.cancel(&many);
    assert!(many.iter().all(|future| future.status() == Status::Cancelled));
    gate.open();
    drop((busy, many));
    assert_empty(&client);
}

#[test]
fn a_dropped_future_drops_the_wish() {
    let client = client(1);
    let (gate, calls) = (Gate::default(), Arc::new(AtomicU32::new(0)));
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let (unwanted, kept, wanted) = (Arc::clone(&calls), Arc::clone(&calls), Arc::clone(&calls));
    drop(client.submit(move || unwanted.fetch_add(1, Ordering::SeqCst)));
    client.submit(move || kept.fetch_add(10, Ordering::SeqCst)).forget();
    let input = client.submit(move || wanted.fetch_add(100, Ordering::SeqCst));
    let output = client.submit_with(&input, |_| ());
    drop(input);
    gate.open();
    output.result().unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 110);
    drop((busy, output));
    assert_empty(&client);
}

/// A task waits for another one that has begun and ends only when that wait is over, which `end` brings about.
fn ends_the_wait(end: impl FnOnce(&Client, &azolla::Future<()>) + Send + 'static) {
    let client = client(2);
    let (begun, gate, shown) = (Gate::default(), Gate::default(), Gate::default());
    let seen = Arc::new(std::sync::Mutex::new(None));
    let (begin, pass) = (begun.clone(), gate.clone());
    let (show, opens, shows) = (shown.clone(), gate.clone(), Arc::clone(&seen));
    let parent = client.submit(move || {
        let child = own().submit(move || {
            begin.open();
            pass.pass();
        });
        *shows.lock().unwrap() = Some(child.clone());
        show.open();
        // The child goes on only when the wait for it is over.
        let result = child.result().cloned();
        opens.open();
        result
    });
    shown.pass();
    begun.pass();
    let child = seen.lock().unwrap().take().unwrap();
    end(&client, &child);
    gate.pass();
    soon("the parent ends", || parent.is_done());
}

#[test]
fn the_wait_of_a_task_for_one_that_is_cancelled_while_it_runs_is_over() {
    ends_the_wait(|_, child| child.cancel());
}

#[test]
fn the_wait_of_a_task_for_one_that_runs_is_over_when_the_client_is_closed() {
    ends_the_wait(|client, _| client.close());
}

type Wait = fn(&Client, &Event) -> Result<(), Error>;

/// Every way to wait, for what does not come.
fn waits() -> Vec<Wait> {
    fn never(event: &Event) -> impl Fn() -> Result<(), Error> + Send + Sync + 'static {
        let event = event.clone();
        move || shield(|| event.wait())
    }
    vec![
        |_, _| sleep(Duration::from_secs(3600)),
        |_, event| event.wait(),
        |client, _| Queue::<u8>::new(client).get().map(drop),
        |client, _| {
            let lock = Lock::new(client);
            let _held = lock.acquire()?;
            lock.acquire().map(drop)
        },
        |client, event| client.submit(never(event)).result().map(drop),
        |client, event| client.gather(&[client.submit(never(event))]).map(drop),
        |client, event| client.submit(never(event)).wait_grown(),
        |client, event| {
            let never = never(event);
            client.group(|group| drop(group.submit(never)))
        },
        |client, event| {
            let next = as_completed([client.submit(never(event))]).next();
            next.expect("there is one").result().map(drop)
        },
    ]
}

#[test]
fn a_task_that_waits_is_woken_by_its_cancel_and_its_waits_fail_from_then_on() {
    for (number, wait) in waits().into_iter().enumerate() {
        let client = client(2);
        let event = Event::new(&client);
        let (tell, told) = channel();
        let (begun, begin) = (Gate::default(), event.clone());
        let begins = begun.clone();
        let waits = client.task().key("waits").submit(move || {
            begins.open();
            tell.send(wait(&own(), &begin)).unwrap();
            tell.send(sleep(Duration::ZERO)).unwrap();
            tell.send(current_task().unwrap().check()).unwrap();
            tell.send(shield(|| sleep(Duration::ZERO))).unwrap();
            tell.send(shield(|| current_task().unwrap().check())).unwrap();
        });
        begun.pass();
        soon("it waits", || client.watch().overview().counts.parked > 0);
        waits.cancel();
        let is_own = |error: &Error| matches!(error, Error::Cancelled { key } if key == "waits");
        let first = told.recv().unwrap();
        assert!(first.as_ref().is_err_and(is_own), "wait {number}: {first:?}");
        for _ in 0..2 {
            assert!(told.recv().unwrap().as_ref().is_err_and(is_own), "wait {number}");
        }
        for _ in 0..2 {
            assert!(told.recv().unwrap().is_ok(), "wait {number}");
        }
        event.set().unwrap();
        drop(waits);
        assert_empty(&client);
    }
}

#[test]
fn a_call_of_an_actor_changes_the_state_as_a_whole() {
    let client = client(2);
    let (event, begun) = (Event::new(&client), Gate::default());
    let (waits, begins) = (event.clone(), begun.clone());
    let counter = client.actor(|| 0);
    let call = counter.call(move |n| {
        *n += 1;
        begins.open();
        waits.wait().unwrap();
        *n += 1;
        current_task().unwrap().check().unwrap();
        assert!(current_task().unwrap().is_cancelled());
        *n += 1;
    });
    begun.pass();
    call.cancel();
    event.set().unwrap();
    assert_eq!(*counter.call(|n| *n).result().unwrap(), 3);
}

#[test]
fn what_a_cancelled_wait_was_given_goes_to_the_next() {
    let client = client(2);
    let queue = Queue::new(&client);
    let theirs = queue.clone();
    let waits = client.submit(move || theirs.get());
    soon("it waits", || client.watch().overview().counts.parked > 0);
    waits.cancel();
    soon("it wakes", || client.watch().overview().counts.parked == 0);
    queue.put(7).unwrap();
    assert_eq!(queue.get().unwrap(), 7);
}
