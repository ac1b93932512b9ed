//! Slots that a thread lends while it blocks on azolla's futures by an executor of its own.

use crate::awaiting::block_on;
use crate::{Gate, client, own};
use azolla::Error;
use azolla::sync::{Event, Lock};
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_took_part_in_an_earlier_loan_does_not_end_a_later_one() {
    let client = client(1);
    let event = Event::new(&client);
    let parent = client.submit(move || {
        let gate = Gate::default();
        let mut context = Context::from_waker(Waker::noop());
        let inside = gate.clone();
        let first = own().submit(move || inside.pass());
        let mut early = Box::pin(first.clone().into_future());
        assert!(early.as_mut().poll(&mut context).is_pending());
        // The loan ends when the task secedes.
        gate.open();
        azolla::secede().unwrap();
        azolla::rejoin().unwrap();
        let waits = event.clone();
        let second = own().submit(move || waits.wait().unwrap());
        let mut late = pin!(second.into_future());
        assert!(late.as_mut().poll(&mut context).is_pending());
        drop(early);
        let (ran, runs) = mpsc::channel();
        own().submit(move || ran.send(()).unwrap()).forget();
        let has_run = runs.recv_timeout(LONG).is_ok();
        event.set().unwrap();
        has_run
    });
    assert!(*parent.result().unwrap());
}

#[test]
fn a_task_that_blocks_on_a_gather_of_itself_is_told() {
    let client = client(1);
    let keyed = client.task().key("self").submit(|| {
        let me = own().task().key("self").submit(|| true);
        let other = own().submit(|| true);
        let both = block_on(async { own().gather_async([&other, &me]).await.map(drop) });
        matches!(both, Err(Error::WaitCycle { .. }))
    });
    assert!(*keyed.result().unwrap());
}

#[test]
fn a_destructor_that_blocks_by_an_executor_gives_its_place_to_another_thread() {
    struct Waits(Lock);
    impl Drop for Waits {
        fn drop(&mut self) {
            drop(block_on(async { self.0.acquire_async().await.unwrap() }));
        }
    }
    let client = client(1);
    let lock = Lock::new(&client);
    let lease = lock.acquire().unwrap();
    let task = client.submit(move || Waits(lock));
    let after = client.submit_with(&task, |_| ());
    drop(task);
    after.result().unwrap();
    client.submit(|| ()).result_timeout(LONG).unwrap();
    drop(lease);
}
