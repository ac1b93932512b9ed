//! Futures as they end, as a stream, and what else awaits several of them.

use crate::awaiting::block_on;
use crate::{Gate, assert_empty, client, own};
use azolla::{Error, Until, as_completed, wait_async};
use futures_core::{FusedStream, Stream};
use futures_util::{StreamExt, pin_mut};
use std::task::{Context, Poll, Waker};

#[test]
fn a_growing_crawl_inside_and_outside_a_task() {
    async fn crawl(client: azolla::Client) -> u32 {
        let mut endings = as_completed([client.submit(|| 10_u32)]).stream();
        let mut seen = 0;
        while let Some(ended) = endings.next().await {
            seen += 1;
            let n = *ended.await.unwrap();
            if n > 0 {
                endings.extend(client.map(|n: u32| n, [n - 1, n - 1]));
            }
        }
        seen
    }
    let client = client(2);
    assert_eq!(block_on(crawl(client.clone())), 2_u32.pow(11) - 1);
    let inside = client.submit_async(async { crawl(own()).await });
    assert_eq!(*inside.result().unwrap(), 2_u32.pow(11) - 1);
    assert_eq!(client.counters().threads, 2);
    drop(inside);
    assert_empty(&client);
}

#[test]
fn it_goes_on_when_something_is_added_after_its_end() {
    let client = client(1);
    let mut endings = as_completed(Vec::<azolla::Future<u32>>::new()).stream();
    assert!(endings.is_terminated());
    assert!(block_on(endings.next()).is_none());
    for round in 0..3 {
        let future = client.submit(move || round);
        endings.add(future.clone());
        endings.add(future);
        assert_eq!(endings.size_hint(), (2, None));
        assert!(!endings.is_terminated());
        let both = [block_on(endings.next()), block_on(endings.next())];
        assert!(both.into_iter().all(|ended| *ended.unwrap().result().unwrap() == round));
        assert!(block_on(endings.next()).is_none() && endings.is_terminated());
    }
}

#[test]
fn the_failed_and_the_cancelled_come_and_the_rest_can_be_cleared_away() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.try_submit(move || {
        pass.pass();
        Err::<u32, _>("slow")
    });
    let queued = client.submit(|| 1);
    queued.cancel();
    let stream = as_completed([slow.clone(), queued, slow.clone()]).stream();
    pin_mut!(stream);
    let ended = block_on(stream.next()).unwrap();
    assert!(matches!(ended.result(), Err(Error::Cancelled { .. })));
    let mut context = Context::from_waker(Waker::noop());
    assert!(stream.as_mut().poll_next(&mut context).is_pending());
    stream.clear();
    assert!(matches!(stream.as_mut().poll_next(&mut context), Poll::Ready(None)));
    stream.add(slow);
    gate.open();
    let ended = block_on(stream.next()).unwrap();
    assert!(ended.result().unwrap_err().to_string().ends_with("failed: slow"));
    assert_eq!(stream.remaining(), 0, "what was cleared away does not come");
}

#[test]
fn a_stream_of_what_a_closed_client_had_comes_to_its_end() {
    let client = client(1);
    let gate = Gate::default();
    let pass = gate.clone();
    let busy = client.submit(move || pass.pass());
    let queued = client.map(|_: u32| (), 0..100);
    let stream = as_completed([busy].into_iter().chain(queued)).stream();
    let closer = std::thread::spawn(move || client.close());
    let ended = std::thread::spawn(move || block_on(stream.count()));
    gate.open();
    assert_eq!(ended.join().unwrap(), 101);
    closer.join().unwrap();
}

#[test]
fn waits_are_awaited_until_the_first_the_first_failure_or_all() {
    let client = client(2);
    let gate = Gate::default();
    let pass = gate.clone();
    let slow = client.try_submit(move || {
        pass.pass();
        Ok::<_, Error>(1)
    });
    let good = client.try_submit(|| Ok::<_, Error>(2));
    let bad = client.try_submit(|| Err::<i32, _>("bad"));
    let first = block_on(wait_async([&slow, &good], Until::First));
    assert_eq!((first.done.len(), first.not_done[0].key()), (1, slow.key()));
    let failed = block_on(wait_async([&slow, &bad], Until::AllOrFailure));
    assert_eq!((failed.done.len(), failed.not_done.len()), (1, 1));
    gate.open();
    let all = block_on(wait_async([&slow, &good, &bad, &good], Until::All));
    assert_eq!((all.done.len(), all.not_done.len()), (4, 0));
    assert_eq!(block_on(client.gather_ok_async([&slow, &bad, &good])), [&1, &2]);
    let none: [azolla::Future<u32>; 0] = [];
    assert!(block_on(wait_async(&none, Until::First)).done.is_empty());
}
