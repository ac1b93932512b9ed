//! What runs first, where, and how many at once.

use crate::{Gate, client, own};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A client with one slot that is busy until the gate opens, and a record of what runs then.
fn held_up() -> (azolla::Client, Gate, azolla::Future<()>, Arc<Mutex<Vec<String>>>) {
    let client = client(1);
    let (gate, begun) = (Gate::default(), Gate::default());
    let (pass, begin) = (gate.clone(), begun.clone());
    let busy = client.submit(move || {
        begin.open();
        pass.pass();
    });
    begun.pass();
    (client, gate, busy, Arc::default())
}

#[test]
fn the_urgent_first_and_among_equals_the_oldest() {
    let (client, gate, _busy, ran) = held_up();
    let mut state = 7_u64;
    let mut tasks = Vec::new();
    for number in 0..200 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let priority = (state >> 60) as i32 - 8;
        let ran = Arc::clone(&ran);
        tasks.push((
            -priority,
            number,
            client.task().priority(priority).submit(move || {
                ran.lock().unwrap().push(number.to_string());
            }),
        ));
    }
    gate.open();
    client.gather(tasks.iter().map(|(.., future)| future)).unwrap();
    tasks.sort_by_key(|(priority, number, _)| (*priority, *number));
    let expected: Vec<_> = tasks.iter().map(|(_, number, _)| number.to_string()).collect();
    assert_eq!(*ran.lock().unwrap(), expected);
}

#[test]
fn something_urgent_comes_before_what_is_claimed() {
    let client = client(1);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let note = |ran: &Arc<Mutex<Vec<i32>>>| {
        let ran = Arc::clone(ran);
        move |n: i32| {
            ran.lock().unwrap().push(n);
            if n == 500 {
                let ran = Arc::clone(&ran);
                own().task().priority(1).submit(move || ran.lock().unwrap().push(-1)).forget();
            }
        }
    };
    client.gather(&client.map(note(&ran), 0..1_000)).unwrap();
    let ran = ran.lock().unwrap();
    let at = ran.iter().position(|n| *n == 500).unwrap();
    assert_eq!(ran[at + 1], -1, "not one task comes between");
}

#[test]
fn priorities_are_inherited_unless_given() {
    let (client, gate, _busy, ran) = held_up();
    let note = |ran: &Arc<Mutex<Vec<String>>>, what: &'static str| {
        let ran = Arc::clone(ran);
        move || ran.lock().unwrap().push(what.into())
    };
    let (heir, own_zero) = (note(&ran, "inherits 5"), note(&ran, "explicit 0"));
    let parent = client.task().priority(5).submit(move || {
        let heir = own().submit(heir);
        (own().task().priority(0).submit(own_zero), heir)
    });
    let between = client.task().priority(3).submit(note(&ran, "3"));
    let older = client.submit(note(&ran, "0, and older"));
    gate.open();
    let (zero, heir) = parent.result().unwrap();
    client.gather([zero, heir, &between, &older]).unwrap();
    // What grew from an older root comes before a newer root.
    assert_eq!(*ran.lock().unwrap(), ["inherits 5", "3", "explicit 0", "0, and older"]);
}

#[test]
fn what_an_older_root_has_grown_comes_first_and_deeper_before_shallower() {
    let (client, gate, _busy, ran) = held_up();
    fn grow(name: String, depth: usize, ran: Arc<Mutex<Vec<String>>>) {
        ran.lock().unwrap().push(name.clone());
        if depth > 0 {
            for child in ["a", "b"] {
                let (name, ran) = (format!("{name}{child}"), Arc::clone(&ran));
                own().submit(move || grow(name, depth - 1, ran)).forget();
            }
        }
    }
    for root in ["1", "2"] {
        let ran = Arc::clone(&ran);
        client.submit(move || grow(root.into(), 2, ran)).forget();
    }
    gate.open();
    crate::soon("all have run", || ran.lock().unwrap().len() == 14);
    let expected =
        ["1", "1a", "1aa", "1ab", "1b", "1ba", "1bb", "2", "2a", "2aa", "2ab", "2b", "2ba", "2bb"];
    assert_eq!(*ran.lock().unwrap(), expected);
}

#[test]
fn a_chain_stays_on_one_thread() {
    let client = client(4);
    let gate = Gate::default();
    let pass = gate.clone();
    let mut chain = vec![client.submit(move || {
        pass.pass();
        thread::current().id()
    })];
    for n in 0..50 {
        let next = client.submit_with(&chain[n], |_| thread::current().id());
        chain.push(next);
    }
    gate.open();
    let ids = client.gather(&chain).unwrap();
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn slots_are_never_exceeded_whatever_waits() {
    const SLOTS: usize = 3;
    let client = client(SLOTS);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    fn work(depth: u32, running: Arc<AtomicUsize>, most: Arc<AtomicUsize>) -> u32 {
        let begin = || most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let end = || running.fetch_sub(1, Ordering::SeqCst);
        begin();
        thread::sleep(std::time::Duration::from_micros(50));
        let mut sum = 1;
        if depth > 0 {
            let children: Vec<_> = (0..3)
                .map(|_| {
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    own().submit(move || work(depth - 1, running, most))
                })
                .collect();
            end();
            sum += match depth % 3 {
                0 => own().gather(&children).unwrap().into_iter().sum::<u32>(),
                1 => azolla::as_completed(children).map(|child| *child.result().unwrap()).sum(),
                _ => children.iter().map(|child| *child.result().unwrap()).sum(),
            };
            begin();
        }
        end();
        sum
    }
    let (r, m) = (Arc::clone(&running), Arc::clone(&most));
    let root = client.submit(move || work(6, r, m));
    assert_eq!(*root.result().unwrap(), (3_u32.pow(7) - 1) / 2);
    assert!(most.load(Ordering::SeqCst) <= SLOTS, "{most:?} ran at once");
}

#[test]
fn a_task_that_seceded_takes_no_slot_and_rejoins() {
    let client = client(1);
    azolla::secede().unwrap();
    azolla::rejoin().unwrap();
    let parent = client.submit(|| {
        azolla::rejoin().unwrap();
        azolla::secede().unwrap();
        azolla::secede().unwrap();
        // The slot is free: another task gets it though this one runs on.
        let (gate, pass) = (Gate::default(), Gate::default());
        let (open, wait) = (gate.clone(), pass.clone());
        let other = own().submit(move || {
            open.open();
            wait.pass();
        });
        gate.pass();
        pass.open();
        other.result().unwrap();
        azolla::rejoin().unwrap();
        azolla::rejoin().unwrap();
        own().submit(|| 1).result().copied()
    });
    assert_eq!(parent.result().unwrap().as_ref().ok(), Some(&1));
}
