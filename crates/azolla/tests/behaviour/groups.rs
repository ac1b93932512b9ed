//! Groups, and waits for all that has grown from a task.

use crate::awaiting::block_on;
use crate::{client, own};
use azolla::{Error, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Grows a tree of tasks on which no future is kept.
fn grow(depth: u32, seen: Arc<AtomicU32>) {
    seen.fetch_add(1, SeqCst);
    for _ in 0..depth {
        let seen = Arc::clone(&seen);
        own().submit(move || grow(depth - 1, seen));
    }
}

/// How many tasks such a tree has.
fn size(depth: u32) -> u32 {
    1 + depth * if depth == 0 { 0 } else { size(depth - 1) }
}

#[test]
fn a_group_ends_when_all_that_has_grown_in_it_has() {
    for threads in [1, 2, 4] {
        let client = client(threads);
        let seen = Arc::new(AtomicU32::new(0));
        for _ in 0..20 {
            let before = seen.load(SeqCst);
            let counts = client
                .group(|group| {
                    let seen = Arc::clone(&seen);
                    group.submit(move || grow(4, seen));
                })
                .map(|()| seen.load(SeqCst) - before);
            assert_eq!(counts.unwrap(), size(4));
        }
        client.check_invariants().unwrap();
        assert_eq!(client.counters().kept, 0);
    }
}

#[test]
fn a_group_inside_a_task_is_a_branch_of_it() {
    let client = client(2);
    let parent = client.submit(|| {
        let seen = Arc::new(AtomicU32::new(0));
        let client = own();
        client
            .group(|outer| {
                let seen = Arc::clone(&seen);
                outer.submit(move || {
                    let client = own();
                    client.group(|inner| drop(inner.submit(move || grow(3, seen)))).unwrap();
                });
            })
            .unwrap();
        seen.load(SeqCst)
    });
    parent.wait_grown().unwrap();
    assert_eq!(*parent.result().unwrap(), size(3));
}

#[test]
fn the_first_failure_cancels_the_rest() {
    let client = client(1);
    let (sender, receiver) = channel::<()>();
    let ended = client.group_builder().name("search").run(|group| {
        let bad = group.task().try_submit(move || receiver.recv().map_err(|_| "nothing there"));
        let rest = group.map(|n: u32| n, 0..100);
        drop(sender);
        (bad, rest)
    });
    let Err(Error::Group { name, errors }) = ended else { panic!("{ended:?}") };
    assert_eq!((&*name, errors.len()), ("search", 1));
    assert!(matches!(&errors[0], Error::Failed { .. }));
    assert_eq!(client.counters().cancelled, 100);
}

#[test]
fn a_failure_that_a_parent_has_seen_is_its_own_affair() {
    let client = client(2);
    let sum = client.group(|group| {
        group.submit(|| {
            let client = own();
            let children = client.task().try_map(|text: &str| text.parse::<u32>(), ["1", "x", "3"]);
            let numbers = children.iter().filter_map(|child| child.result().ok());
            numbers.sum::<u32>()
        })
    });
    assert_eq!(*sum.unwrap().result().unwrap(), 4);
}

#[test]
fn a_failure_that_nobody_can_see_counts() {
    let client = client(2);
    let ended = client.group(|group| {
        group.submit(|| {
            own().try_submit(|| "x".parse::<u32>());
        });
    });
    assert!(matches!(ended, Err(Error::Group { .. })), "{ended:?}");
}

#[test]
fn a_group_that_collects_runs_all_and_has_the_errors() {
    let client = client(2);
    let group = client.group_builder().collect().open();
    let texts = group.task().try_map(|text: &str| text.parse::<u32>(), ["1", "x", "3", "y"]);
    assert_eq!(group.join_all().len(), 2);
    assert_eq!(texts.iter().filter(|text| text.status() == Status::Finished).count(), 2);
}

#[test]
fn a_panic_in_the_block_cancels_the_group() {
    let client = client(1);
    let (sender, receiver) = channel::<()>();
    let futures = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        client.group(|group| {
            let first = group.submit(move || receiver.recv().is_ok());
            futures.lock().unwrap().extend(group.map(|_: u32| (), 0..10));
            drop((first, sender));
            panic!("out of the block")
        })
    }));
    assert!(ended.is_err());
    let futures = std::mem::take(&mut *futures.lock().unwrap());
    assert!(futures.iter().all(|future| future.is_done()));
}

#[test]
fn a_group_that_is_dropped_is_cancelled() {
    let client = client(1);
    let (sender, receiver) = channel::<()>();
    let busy = client.submit(move || receiver.recv().is_ok());
    let group = client.group_guard();
    let futures = group.map(|n: u32| n, 0..10);
    drop(group);
    assert!(futures.iter().all(|future| future.status() == Status::Cancelled));
    drop(sender);
    busy.result().unwrap();
}

#[test]
fn what_somebody_outside_needs_goes_on_when_a_group_is_cancelled() {
    let client = client(1);
    let (sender, receiver) = channel::<()>();
    let busy = client.submit(move || receiver.recv().is_ok());
    let group = client.group_guard();
    let needed = group.submit(|| 20);
    let kept = group.task().key("kept").submit(|| 1);
    let other = group.submit(|| 0);
    let dependent = client.submit_with(&needed, |n| n + 1);
    let again = client.task().key("kept").submit(|| 2);
    group.cancel();
    let late = group.submit(|| 3);
    assert_eq!(late.status(), Status::Cancelled);
    drop(sender);
    assert_eq!((*dependent.result().unwrap(), *again.result().unwrap()), (21, 1));
    assert_eq!((other.status(), kept.status()), (Status::Cancelled, Status::Finished));
    group.join().unwrap();
    busy.result().unwrap();
}

#[test]
fn a_wait_for_a_group_that_the_task_is_in_is_refused() {
    let client = client(2);
    let parent = client.submit(|| {
        let client = own();
        let group = Arc::new(client.group_guard());
        let inside = Arc::clone(&group);
        let (sender, receiver) = channel();
        let child = group.submit(move || {
            let group: azolla::Group = receiver.recv().unwrap();
            group.join()
        });
        drop(inside);
        sender.send(Arc::into_inner(group).unwrap()).unwrap();
        child.result().cloned()
    });
    let inner = parent.result().unwrap();
    assert!(
        matches!(inner, Ok(Err(Error::WaitCycle { .. })) | Err(Error::Cancelled { .. })),
        "{inner:?}"
    );
}

#[test]
fn a_task_that_its_group_would_wait_for_without_end_fails_at_once() {
    let client = client(2);
    let (sender, receiver) = channel();
    let parent = client.submit(move || {
        let parents: azolla::Future<u32> = receiver.recv().unwrap();
        let ended = own().group(|group| {
            group.submit(move || {
                own().submit_with(&parents, |n| *n);
            });
        });
        // One of the two that wait for each other is told: the task, or its parent if that comes later.
        match &ended {
            Err(Error::Group { errors, .. }) => {
                assert!(matches!(errors[0], Error::WaitCycle { .. }), "{errors:?}");
            }
            ended => assert!(matches!(ended, Err(Error::WaitCycle { .. })), "{ended:?}"),
        }
        7
    });
    sender.send(parent.clone()).unwrap();
    assert_eq!(*parent.result().unwrap(), 7);
}

#[test]
fn an_end_that_a_worker_has_kept_to_itself_counts_as_soon_as_somebody_waits() {
    let client = client(1);
    // Short tasks come in batches, so the last of them begins as a claim.
    for _ in 0..20 {
        client.gather(&client.map(|n: u64| n, 0..50)).unwrap();
    }
    let (sender, receiver) = channel::<()>();
    let receiver = Arc::new(std::sync::Mutex::new(receiver));
    let roots = client.map(
        move |n: u64| {
            if n == 3 {
                receiver.lock().unwrap().recv().unwrap_err();
            }
        },
        0..4,
    );
    while !roots[2].is_done() {
        thread::yield_now();
    }
    roots[0].wait_grown_timeout(Duration::from_secs(10)).unwrap();
    drop(sender);
    client.gather(&roots).unwrap();
}

#[test]
fn endless_growth_takes_constant_memory() {
    fn step(left: u32) {
        if left > 0 {
            own().submit(move || step(left - 1));
        }
    }
    let client = client(1);
    client.group(|group| drop(group.submit(|| step(20_000)))).unwrap();
    assert_eq!(client.counters().peak_live, 2);
    client.check_invariants().unwrap();
}

#[test]
fn waits_for_growth_say_that_the_client_was_closed() {
    let client = client(2);
    let (sender, receiver) = channel::<()>();
    let root = client.submit(move || own().submit(move || receiver.recv().is_ok()).forget());
    root.result().unwrap();
    let [joined, collected, awaited] = [0; 3].map(|_| client.group_guard());
    for group in [&joined, &collected, &awaited] {
        drop(group.submit(|| ()));
    }
    thread::scope(|scope| {
        let waits = [
            scope.spawn(|| root.wait_grown()),
            scope.spawn(|| root.wait_grown_timeout(Duration::from_secs(600))),
            scope.spawn(|| block_on(root.wait_grown_async())),
        ];
        // It waits for the task that runs.
        scope.spawn(|| client.close());
        for wait in waits {
            assert!(matches!(wait.join().unwrap(), Err(Error::Closed)));
        }
        drop(sender);
    });
    assert!(matches!(joined.join(), Err(Error::Closed)));
    assert!(matches!(collected.join_all()[..], [Error::Closed]));
    assert!(matches!(block_on(awaited.wait()), Err(Error::Closed)));
}

#[test]
fn a_client_that_leaves_cancels_its_groups() {
    let client = client(1);
    let other = client.another();
    let (sender, receiver) = channel::<()>();
    let busy = client.submit(move || receiver.recv().is_ok());
    let group = other.group_guard();
    let futures = group.map(|n: u32| n, 0..3);
    other.close();
    assert!(futures.iter().all(|future| future.status() == Status::Cancelled));
    drop(sender);
    busy.result().unwrap();
}

#[test]
fn open_groups_are_shown_with_what_is_in_those_within() {
    let client = client(2);
    let outer = client.group_builder().name("crawl-of site").collect().open();
    drop(outer.task().try_submit(|| Err::<(), _>("broken")));
    let (open, opened) = channel::<()>();
    let parent = outer.submit(move || {
        let inner = own().group_builder().name("pages-5").open();
        let held = inner.submit(move || opened.recv().is_err());
        assert!(matches!(inner.join(), Ok(())));
        held.status()
    });
    let shown = loop {
        let groups = client.watch().groups();
        let told = groups.told.iter();
        if told
            .map(|it| (it.tally.failed + it.tally.live, it.is_closed))
            .eq([(3, false), (1, true)])
        {
            break groups;
        }
        thread::yield_now();
    };
    assert_eq!(shown.all, 2);
    let told = shown.told.iter().map(|it| (&*it.name, it.depth, it.tally.failed));
    assert_eq!(told.collect::<Vec<_>>(), [("crawl-of site", 0, 1), ("pages-5", 1, 0)]);
    assert_eq!(client.watch().cancel(shown.told[1].gate, true), 1);
    // The group within is left when the function of the cancelled task has returned.
    drop(open);
    assert_eq!(*parent.result().unwrap(), Status::Cancelled);
    assert_eq!(outer.join_all().len(), 1);
    assert_eq!(client.watch().groups().all, 0);
}
