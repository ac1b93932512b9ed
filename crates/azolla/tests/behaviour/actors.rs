//! Actors: one call at a time, in the order of the calls, on a state that stays.

use crate::{Dropped, Gate, assert_empty, client, own, soon};
use azolla::{Actor, Error, Status, as_completed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn calls_are_made_in_their_order() {
    let client = client(4);
    let seen = client.actor(Vec::new);
    for n in 0..1_000 {
        seen.call(move |seen| seen.push(n)); // though nobody keeps the future
    }
    let all = seen.call(std::mem::take);
    assert_eq!(*all.result().unwrap(), (0..1_000).collect::<Vec<_>>());
    drop(seen);
    drop(all);
    assert_empty(&client);
}

#[test]
fn one_call_at_a_time_whoever_calls() {
    let client = client(3);
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counter = client.actor(|| 0_u64);
    let call = {
        let counter = counter.clone();
        let most = Arc::clone(&most);
        move || {
            let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
            counter.call(move |n| {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                *n += 1;
            })
        }
    };
    let from_tasks = client.map(
        {
            let call = call.clone();
            move |_| (0..50).for_each(|_| call().result().copied().unwrap())
        },
        0..10,
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| drop(call())));
        }
    });
    client.gather(&from_tasks).unwrap();
    assert_eq!(*counter.call(|n| *n).result().unwrap(), 900);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_is_an_input_and_can_be_awaited() {
    let client = client(1);
    let actor = client.actor(|| 20);
    let one_more = actor.call(|n| {
        *n += 1;
        *n
    });
    let doubled = client.submit_with(&one_more, |n| n * 2);
    assert_eq!(*doubled.result().unwrap(), 42);
    let completed: Vec<i32> = as_completed((0..3).map(|_| actor.call(|n| *n)).collect::<Vec<_>>())
        .map(|future| *future.result().unwrap())
        .collect();
    assert_eq!(completed, [21, 21, 21]);
}

#[test]
fn a_call_waits_for_other_actors_and_tasks_on_one_slot() {
    let client = client(1);
    let below = client.actor(|| 0);
    let above = client.actor(|| 0);
    let total = above.call(move |sum| {
        for n in 1..=3 {
            *sum += below
                .call(move |m| {
                    *m += n;
                    *m
                })
                .result()
                .unwrap();
            *sum += own().submit(move || n).result().unwrap();
        }
        *sum
    });
    assert_eq!(*total.result().unwrap(), 1 + 3 + 6 + 6);
}

#[test]
fn an_actor_that_waits_for_itself_is_told() {
    let client = client(1);
    let actor = client.actor(|| ());
    let again = actor.clone();
    let call = actor.call(move |()| again.call(|()| ()).result().copied());
    assert!(matches!(call.result().unwrap(), Err(Error::WaitCycle { keys }) if keys.len() == 2));
    drop(actor);
    drop(call);
    assert_empty(&client);
}

#[test]
fn two_actors_that_wait_for_each_other_are_told() {
    let client = client(2);
    let (one, other) = (client.actor(|| ()), client.actor(|| ()));
    let (in_one, in_other) = (Gate::default(), Gate::default());
    let meet = |own: &Actor<()>, of: &Actor<()>, here: &Gate, there: &Gate| {
        let (of, here, there) = (of.clone(), here.clone(), there.clone());
        own.call(move |()| {
            here.open();
            there.pass();
            of.call(|()| ()).result().copied()
        })
    };
    let first = meet(&one, &other, &in_one, &in_other);
    let second = meet(&other, &one, &in_other, &in_one);
    let told = |call: &azolla::Future<Result<(), Error>>| {
        matches!(call.result().unwrap(), Err(Error::WaitCycle { .. }))
    };
    assert!(told(&first) != told(&second), "one of the two is told, and the other goes on");
}

#[test]
fn an_error_and_a_panic_fail_the_call_alone() {
    let client = client(2);
    let actor = client.actor(|| 1);
    let error = actor.try_call(|n| {
        *n = 2;
        Err::<(), _>("full")
    });
    let panic = actor.call(|n| {
        *n = 3;
        assert_eq!(*n, 4, "it is another");
    });
    assert!(matches!(error.result(), Err(Error::Failed { .. })));
    assert!(matches!(panic.result(), Err(Error::Panicked { .. })));
    // As they have left it.
    assert_eq!(*actor.call(|n| *n).result().unwrap(), 3);
    // What was called is not called again.
    panic.retry();
    assert!(matches!(panic.result(), Err(Error::Panicked { .. })));
    assert_eq!(*actor.call(|n| *n).result().unwrap(), 3);
}

#[test]
fn an_actor_that_could_not_be_made_fails_its_calls() {
    let client = client(1);
    let actor = client.try_actor(|| "seven".parse::<u32>());
    let call = actor.call(|n| *n);
    assert!(matches!(call.result(), Err(Error::Failed { key, .. }) if key == actor.key()));
    assert_eq!(actor.status(), Status::Failed);
    assert!(matches!(actor.call(|n| *n).result(), Err(Error::Failed { .. })));
}

#[test]
fn the_state_goes_with_the_last_handle_after_the_calls_in_line() {
    let client = client(1);
    let (gate, gone) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let actor = client.actor({
        let gone = Arc::clone(&gone);
        move || Dropped(gone, false)
    });
    let pass = gate.clone();
    let held_up = actor.call(move |_| pass.pass());
    let seen = Arc::clone(&gone);
    let last = actor.call(move |_| seen.load(Ordering::SeqCst));
    drop(actor);
    assert!(!gone.load(Ordering::SeqCst));
    gate.open();
    assert!(!last.result().unwrap(), "the state was there");
    held_up.result().unwrap();
    soon("the state is dropped", || gone.load(Ordering::SeqCst));
    assert_eq!(last.status(), Status::Finished);
}

#[test]
fn a_call_that_is_cancelled_while_it_runs_lets_no_other_in() {
    let client = client(2);
    let actor = client.actor(|| 0);
    let (begun, gate) = (Gate::default(), Gate::default());
    let (say, pass) = (begun.clone(), gate.clone());
    let first = actor.call(move |n| {
        say.open();
        pass.pass();
        *n = 1;
    });
    begun.pass();
    let second = actor.call(|n| *n);
    first.cancel();
    drop(first);
    assert!(matches!(second.result_timeout(Duration::from_millis(20)), Err(Error::TimedOut)));
    gate.open();
    assert_eq!(*second.result().unwrap(), 1);
}

#[test]
fn one_that_is_cancelled_in_line_is_left_out() {
    let client = client(1);
    let actor = client.actor(Vec::new);
    let gate = Gate::default();
    let pass = gate.clone();
    actor.call(move |_| pass.pass());
    let calls: Vec<_> = (0..6).map(|n| actor.call(move |seen| seen.push(n))).collect();
    for call in calls.iter().step_by(2) {
        call.cancel();
    }
    gate.open();
    assert_eq!(*actor.call(|seen| seen.clone()).result().unwrap(), [1, 3, 5]);
}

#[test]
fn an_actor_that_is_cancelled_or_closed_says_so() {
    let client = client(1);
    let actor = client.actor(|| 0);
    let (begun, gate) = (Gate::default(), Gate::default());
    let (say, pass) = (begun.clone(), gate.clone());
    let running = actor.call(move |_| {
        say.open();
        pass.pass();
    });
    begun.pass();
    let queued = actor.call(|n| *n);
    actor.cancel();
    assert!(matches!(queued.result(), Err(Error::Cancelled { .. })));
    assert!(matches!(actor.call(|n| *n).result(), Err(Error::Cancelled { .. })));
    gate.open();
    running.result().unwrap(); // it goes on to its end
    let other = client.actor(|| 0);
    client.close();
    assert!(matches!(other.call(|n| *n).result(), Err(Error::Cancelled { .. })));
}

#[test]
fn calls_go_before_newer_work_and_have_the_priority_of_their_actor() {
    let client = client(1);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let seen = Arc::clone(&seen);
        move || seen.lock().unwrap().push(what)
    };
    let calm = client.actor(|| ());
    let urgent = client.task().priority(5).actor(|| ());
    urgent.call(|()| ()).result().unwrap();
    calm.call(|()| ()).result().unwrap();
    let gate = Gate::default();
    let pass = gate.clone();
    let blocks = client.submit(move || pass.pass());
    let newer = client.submit(note("newer"));
    let of_calm = {
        let note = note("calm");
        calm.call(move |()| note())
    };
    let of_urgent = {
        let note = note("urgent");
        urgent.call(move |()| note())
    };
    gate.open();
    client.gather([&blocks, &newer, &of_calm, &of_urgent]).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["urgent", "calm", "newer"]);
}

#[test]
fn actors_are_made_and_called_from_tasks() {
    let client = client(2);
    let made = client.submit(|| {
        let actor = own().actor(|| 1);
        actor.call(|n| *n += 1);
        actor
    });
    let actor = made.result().unwrap();
    assert_eq!(*actor.call(|n| *n).result().unwrap(), 2);
}
