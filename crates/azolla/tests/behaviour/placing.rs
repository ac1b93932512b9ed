//! Workers with names and resources: where tasks run, and how many at once.

use azolla::{Client, Error, current_client, current_task};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::yield_now;

fn place() -> String {
    current_task().expect("a task").worker_name()
}

/// Two workers of two threads each; the right one has two GPUs.
fn client() -> Client {
    let builder = Client::builder().worker("left", 2, []).worker("right", 2, [("GPU", 2.0)]);
    builder.build().unwrap()
}

#[test]
fn tasks_run_on_the_workers_that_they_name() {
    let client = client();
    assert_eq!(client.slots(), 4);
    let places = client.task().workers(["left"]).map(|_: u32| place(), 0..50);
    assert!(client.gather(&places).unwrap().into_iter().all(|place| place == "left"));
    let places = client.task().resource("GPU", 0.5).map(|_: u32| place(), 0..50);
    assert!(client.gather(&places).unwrap().into_iter().all(|place| place == "right"));
    let nowhere = client.task().workers::<String>([]).map(|n: u32| n, 0..50);
    assert_eq!(client.gather(&nowhere).unwrap().len(), 50, "no names are as if nothing was said");
    let places = client.map(|_: u32| place(), 0..50);
    let places: BTreeSet<&String> = client.gather(&places).unwrap().into_iter().collect();
    assert!(places.iter().all(|place| ["left", "right"].contains(&place.as_str())));
    client.check_invariants().unwrap();
}

#[test]
fn no_more_of_a_resource_is_taken_than_there_is() {
    let client = client();
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let tasks = client.task().resource("GPU", 1.5).map(
        move |_: u32| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            (0..20).for_each(|_| yield_now());
            now.fetch_sub(1, Ordering::SeqCst);
        },
        0..200,
    );
    client.gather(&tasks).unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 1, "two of 1.5 are more than 2");
    client.check_invariants().unwrap();
}

#[test]
fn others_run_it_where_the_named_worker_is_only_a_wish() {
    let client = Client::builder().worker("left", 1, []).worker("right", 1, []).build().unwrap();
    let parent = client.task().workers(["left"]).submit(move || {
        let client = current_client().expect("a task");
        // The thread of the left worker is taken by this task, which does not wait for it.
        let wish = client.task().workers(["left"]).allow_other_workers().submit(place);
        while !wish.is_done() {
            yield_now();
        }
        wish.result().unwrap().clone()
    });
    assert_eq!(parent.result().unwrap(), "right");
    let nowhere = client.task().workers(["middle"]).allow_other_workers().submit(|| 1);
    assert_eq!(*nowhere.result().unwrap(), 1);
}

#[test]
fn what_no_worker_can_ever_run_fails_and_says_what_it_wants() {
    let client = client();
    let error =
        client.task().workers(["left"]).resource("GPU", 1.0).submit(|| ()).result().cloned();
    let text = error.unwrap_err().to_string();
    assert!(text.contains("left") && text.contains("GPU"), "{text}");
    let tasks = client.task().resource("GPU", 3.0).map(|n: u32| n, 0..3);
    let error = client.gather(&tasks).map(drop).unwrap_err();
    assert!(matches!(error, Error::NoWorker { .. }), "{error}");
    let unknown = client.task().workers(["middle"]).submit(|| ());
    assert!(matches!(unknown.result(), Err(Error::NoWorker { .. })));
}

#[test]
fn a_wait_that_its_own_resources_make_endless_is_told() {
    let client = client();
    let parent = client.task().resource("GPU", 2.0).submit(|| {
        let client = current_client().expect("a task");
        let child = client.task().resource("GPU", 1.0).submit(|| ());
        matches!(child.result(), Err(Error::WaitCycle { .. }))
    });
    assert!(*parent.result().unwrap());
}

#[test]
fn workers_that_cannot_be_are_refused() {
    let told = |builder: azolla::Builder| builder.build().map(drop).unwrap_err().to_string();
    let builder = Client::builder;
    assert!(told(builder().worker("a", 0, [])).contains("at least one thread"));
    assert!(told(builder().worker("a", 1, []).worker("a", 1, [])).contains("\"a\""));
    assert!(told(builder().worker("a", 1, [("GPU", -1.0)])).contains("GPU"));
}
