//! Keys: one task for as many as ask for it.

use crate::{Gate, assert_empty, client};
use azolla::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn a_key_in_use_gives_a_future_on_the_task_that_has_it() {
    let client = client(1);
    let first = client.task().key("k").submit(|| 1);
    let second = client.task().key("k").submit(|| 2);
    assert_eq!((*first.result().unwrap(), *second.result().unwrap()), (1, 1));
    assert_eq!(second.key(), "k");
    drop((first, second));
    assert_empty(&client);
    assert_eq!(*client.task().key("k").submit(|| 3).result().unwrap(), 3, "it is free again");
}

#[test]
fn one_of_two_futures_on_a_key_may_go() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let first = client.task().key("k").submit(|| 1);
    drop(client.task().key("k").submit(|| 2));
    gate.open();
    assert_eq!(*first.result().unwrap(), 1);
    busy.result().unwrap();
}

#[test]
fn a_key_with_a_result_of_another_type_is_an_error_that_names_both() {
    let client = client(1);
    let number = client.task().key("k").submit(|| 1_u8);
    let text = client.task().key("k").submit(String::new);
    let error = text.result().unwrap_err();
    let Error::KeyType { key, expected } = error else { panic!("{error}") };
    assert_eq!((key.as_str(), expected), ("k", "alloc::string::String"));
    assert_eq!(*number.result().unwrap(), 1, "the task itself is unharmed");
    drop((number, text));
    assert_empty(&client);
}

#[test]
fn a_mapping_under_keys_in_use_gives_futures_on_the_tasks_that_have_them() {
    let client = client(1);
    let calls = Arc::new(AtomicU32::new(0));
    let count = |calls: &Arc<AtomicU32>| {
        let calls = Arc::clone(calls);
        move |n: u32| {
            calls.fetch_add(1, Ordering::SeqCst);
            n
        }
    };
    let first = client.task().key("m").map(count(&calls), 0..10);
    let second = client.task().key("m").map(count(&calls), 5..20);
    assert_eq!(first[3].key(), "m-3");
    let all = client.gather(&second).unwrap();
    assert_eq!(all, (0..10).chain(15..20).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    client.gather(&first).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 15);
    let texts = client.task().key("m").map(|n: u32| n.to_string(), 0..1);
    assert!(matches!(texts[0].result(), Err(Error::KeyType { .. })));
    drop((first, second, texts));
    assert_empty(&client);
}

#[test]
fn keys_without_a_name_are_the_functions_and_differ() {
    fn work() -> u8 {
        1
    }
    let client = client(1);
    let (a, b) = (client.submit(work), client.submit(work));
    assert!(a.key().starts_with("work-") && b.key().starts_with("work-"), "{a:?} {b:?}");
    assert_ne!(a.key(), b.key());
}

/// Two keys with one XXH3 digest under its public secret: the parts of eight bytes that differ cancel what the secret
/// multiplies by.
fn colliding() -> [String; 2] {
    let made = |first: &str, second: &str| {
        let (a, b, c) = ("a".repeat(448), "a".repeat(440), "a".repeat(96));
        format!("{a}{first}aa\u{c1}:&L{b}{second}aaa\u{374}Y1{c}")
    };
    [made("a", "b"), made("b", "a")]
}

#[test]
fn keys_made_to_collide_are_two_keys() {
    let client = client(1);
    let [left, right] = colliding();
    let (one, other) =
        (client.task().key(left).submit(|| 1), client.task().key(right).submit(|| 2));
    assert_eq!((*one.result().unwrap(), *other.result().unwrap()), (1, 2));
}
