//! What is said of several futures at once, of values that are there already, and of the task in
//! which one is.

use crate::{Gate, assert_empty, client, own, soon};
use azolla::{Error, Status, Until, as_completed, current_task, wait, wait_timeout};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

#[test]
fn waits_give_what_has_ended_and_what_has_not() {
    let client = client(2);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    let fast = client.submit(|| ());
    let bad = client.try_submit(|| Err::<(), _>("bad"));
    let first = wait([&slow, &fast], Until::First).unwrap();
    assert_eq!((first.done[0].key(), first.not_done[0].key()), (fast.key(), slow.key()));
    let failed = wait([&slow, &bad, &fast], Until::AllOrFailure).unwrap();
    assert!(failed.done.iter().any(|future| future.key() == bad.key()));
    let short = Duration::from_millis(5);
    assert!(matches!(wait_timeout([&slow], Until::All, short), Err(Error::TimedOut)));
    let queued = client.submit_with(&slow, |()| ());
    queued.cancel();
    gate.open();
    let all = wait([&slow, &fast, &bad, &queued], Until::All).unwrap();
    assert_eq!((all.done.len(), all.not_done.len()), (4, 0), "whatever became of them");
    assert!(wait(&Vec::<azolla::Future<u32>>::new(), Until::First).unwrap().done.is_empty());
}

#[test]
fn a_wait_in_a_task_lends_its_slot() {
    let client = client(1);
    let parent = client.submit(|| {
        let children = own().try_map(|n: u32| if n == 1 { Err("one") } else { Ok(n) }, 0..4);
        let first = wait(&children, Until::First).unwrap().done.len();
        let sum = own().gather_ok(&children).unwrap().into_iter().sum::<u32>();
        (first >= 1, sum)
    });
    assert_eq!(*parent.result().unwrap(), (true, 5));
}

#[test]
fn gather_ok_leaves_out_what_has_no_result() {
    let client = client(1);
    let futures = client.try_map(|n: i32| if n % 2 == 1 { Err("odd") } else { Ok(n) }, 0..5);
    let late = client.try_submit(|| Ok::<_, Error>(9));
    let all = futures.iter().chain([&late]);
    assert_eq!(client.gather_ok(all).unwrap(), [&0, &2, &4, &9]);
    client.retry(&futures);
    assert_eq!(client.gather_ok(&futures).unwrap(), [&0, &2, &4]);
}

#[test]
fn batches_and_what_is_ready_lose_nothing() {
    let client = client(1);
    let mut endings = as_completed(client.map(|n: u32| n, 0..1_000));
    let mut got = Vec::new();
    while let Some(batch) = endings.next_batch() {
        assert!(!batch.is_empty());
        got.extend(batch.iter().map(|ended| *ended.result().unwrap()));
        got.extend(endings.take_ready().iter().map(|ended| *ended.result().unwrap()));
    }
    got.sort_unstable();
    assert!(got.into_iter().eq(0..1_000));
    assert!(endings.is_empty() && endings.take_ready().is_empty());
    endings.extend(client.map(|n: u32| n, 0..3));
    assert_eq!((endings.remaining(), endings.by_ref().count()), (3, 3));
}

#[test]
fn one_deadline_may_hold_for_all_and_what_is_cleared_away_does_not_come() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.submit(move || pass.pass());
    let mut endings = as_completed([slow.clone(), slow]);
    let deadline = Instant::now() + Duration::from_millis(10);
    for _ in 0..2 {
        assert!(matches!(endings.next_deadline(deadline), Err(Error::TimedOut)));
    }
    endings.clear();
    assert!(endings.next_deadline(deadline).unwrap().is_none());
    gate.open();
    endings.add(client.submit(|| ()));
    assert!(endings.try_next().unwrap().is_some());
    assert!(endings.try_next().unwrap().is_none());
}

#[test]
fn a_value_that_is_there_is_an_input_and_found_by_its_key() {
    let client = client(2);
    let list = client.put(vec![1, 2, 3]);
    assert_eq!(list.status(), Status::Finished);
    assert!(list.key().starts_with("Vec-"), "{}", list.key());
    let numbers = [0, 1, 2].map(|n: u32| client.put(n));
    let pairs = numbers.iter().map(|n| (&list, n));
    let sums = client.map_with(|(list, n)| list.iter().sum::<u32>() + n, pairs);
    assert_eq!(client.gather(&sums).unwrap(), [&6, &7, &8]);
    let keyed = client.task().key("fern").put(1);
    let again = client.task().key("fern").put(2);
    assert_eq!((keyed.result().unwrap(), again.result().unwrap()), (&1, &1));
    let other = client.task().key("fern").put("text");
    assert!(matches!(other.result(), Err(Error::KeyType { .. })));
    drop((list, numbers, sums, keyed, again, other));
    assert_empty(&client);
    client.close();
    assert_eq!(client.put(1).status(), Status::Cancelled);
}

#[test]
fn one_closure_for_many_futures_that_may_fail() {
    let client = client(2);
    let numbers = client.map(|n: u32| n, 0..4);
    let odd = |n: &u32| if n % 2 == 1 { Err("odd") } else { Ok(n * 10) };
    let tens = client.task().key("ten").priority(1).try_map_with(odd, &numbers);
    assert_eq!(client.gather_ok(&tens).unwrap(), [&0, &20]);
    assert_eq!(tens[3].key(), "ten-3");
    assert!(tens[3].result().unwrap_err().to_string().contains("task ten-3 failed: odd"));
    assert_eq!(tens[1].result().unwrap_err().key(), Some("ten-1"));
    let of_all = client.map_with(|all: Vec<&u32>| all.len(), [&numbers[..], &numbers[1..]]);
    assert_eq!(client.gather(&of_all).unwrap(), [&4, &3]);
}

#[test]
fn a_callback_is_called_once_however_the_task_ends() {
    let client = client(1);
    let (tell, told) = mpsc::channel();
    let calls = |future: &azolla::Future<u32>| {
        let tell = tell.clone();
        future.on_done(move |ended| tell.send((ended.key(), ended.status())).unwrap());
    };
    let good = client.submit(|| 1);
    calls(&good);
    assert_eq!(told.recv().unwrap(), (good.key(), Status::Finished));
    calls(&good);
    assert_eq!(told.recv().unwrap(), (good.key(), Status::Finished), "at once");
    let bad = client.try_submit(|| Err("bad"));
    calls(&bad);
    assert_eq!(told.recv().unwrap(), (bad.key(), Status::Failed));
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let queued = client.submit(|| 1);
    calls(&queued);
    queued.cancel();
    gate.open();
    assert_eq!(told.recv().unwrap(), (queued.key(), Status::Cancelled));
    // The last future goes: the callback keeps it.
    let last = client.submit(|| 7);
    let key = last.key();
    calls(&last);
    drop(last);
    assert_eq!(told.recv().unwrap(), (key, Status::Finished));
    drop((good, bad, busy, queued));
    assert_empty(&client);
    assert!(told.try_recv().is_err());
}

#[test]
fn a_callback_may_wait_and_panic_and_is_called_when_the_client_is_closed() {
    let client = client(1);
    let (tell, told) = mpsc::channel();
    let waits = tell.clone();
    client.submit(|| 1).on_done(move |ended| {
        let more = own().submit(|| 2);
        waits.send(ended.result().unwrap() + more.result().unwrap()).unwrap();
        panic!("nobody is harmed by it");
    });
    assert_eq!(told.recv().unwrap(), 3);
    let (begun, gate) = (Gate::default(), Gate::default());
    let (begin, pass) = (begun.clone(), gate.clone());
    let busy = client.submit(move || {
        begin.open();
        pass.pass();
    });
    begun.pass();
    let called = Arc::new(AtomicU32::new(0));
    for panics in [false, true] {
        let called = Arc::clone(&called);
        client.submit(|| ()).on_done(move |_| {
            called.fetch_add(1, Ordering::SeqCst);
            assert!(!panics, "nor by this");
        });
    }
    let closer = {
        let client = client.clone();
        std::thread::spawn(move || client.close())
    };
    soon("both are called", || called.load(Ordering::SeqCst) == 2);
    gate.open();
    closer.join().unwrap();
    drop(busy);
    client.submit(|| ()).on_done(move |ended| tell.send(ended.status() as i32).unwrap());
    assert_eq!(told.recv().unwrap(), Status::Cancelled as i32);
}

#[test]
fn a_task_knows_what_it_is_and_whether_anybody_still_wants_it() {
    let client = client(1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let parent = client.task().priority(2.5).key("wood").submit(move || {
        let task = current_task().unwrap();
        sees.lock().unwrap().push((task.key(), task.name(), task.priority(), task.depth()));
        let child = own().task().key("wood-1").submit_async(async move {
            let task = current_task().unwrap();
            sees.lock().unwrap().push((task.key(), task.name(), task.priority(), task.depth()));
        });
        child.result().unwrap();
        current_task().unwrap().is_cancelled()
    });
    assert!(!parent.result().unwrap());
    let wood = ["wood", "wood-1"].map(String::from);
    let [key, of_child] = wood;
    let expected = [(key.clone(), key.clone(), 2.5, 0), (of_child, key, 2.5, 1)];
    assert_eq!(*seen.lock().unwrap(), expected);
    let begun = Gate::default();
    let begin = begun.clone();
    let endless = client.submit(move || {
        begin.open();
        while !current_task().unwrap().is_cancelled() {
            std::thread::yield_now();
        }
    });
    begun.pass();
    client.close();
    assert_eq!(endless.status(), Status::Cancelled);
}
