//! Long chains of what holds the next: they go in a loop, whatever they are made of.

use crate::client;
use azolla::sync::{Queue, Variable};
use azolla::{Client, Error};
use std::sync::Arc;

const LONG: usize = 100_000;

/// What a link of a chain of these holds.
type Next = Option<Arc<dyn Send + Sync>>;

/// Makes a chain, each link of which `link` makes out of the next, and drops it on a thread and in a task.
fn drops_a_chain<T: Send + 'static>(link: impl Fn(&Client, usize, Option<T>) -> T) {
    let client = client(1);
    let chain = || (0..LONG).fold(None, |next, n| Some(link(&client, n, next)));
    let made = chain();
    std::thread::spawn(move || drop(made)).join().unwrap();
    let made = chain();
    client.submit(move || drop(made)).result().unwrap();
}

#[test]
fn a_long_chain_of_queues_is_dropped() {
    struct Link(#[allow(dead_code)] Option<Queue<Self>>);
    drops_a_chain(|client, _, next| {
        let queue = Queue::new(client);
        queue.put(Link(next)).unwrap();
        queue
    });
}

#[test]
fn a_long_chain_of_variables_is_dropped() {
    struct Link(#[allow(dead_code)] Option<Variable<Self>>);
    drops_a_chain(|client, _, next| {
        let variable = Variable::new(client);
        variable.set(Link(next)).unwrap();
        variable
    });
}

#[test]
fn a_long_chain_of_what_is_shared_and_of_results_is_dropped() {
    drops_a_chain(|client, n, next: Next| -> Arc<dyn Send + Sync> {
        match n % 3 {
            0 => {
                let queue = Queue::new(client);
                queue.put(next).unwrap();
                Arc::new(queue)
            }
            1 => {
                let variable = Variable::new(client);
                variable.set(next).unwrap();
                Arc::new(variable)
            }
            _ => Arc::new(client.put(next)),
        }
    });
}

#[test]
fn a_long_chain_of_puts_that_wait_is_dropped() {
    drops_a_chain(|client, _, next: Next| -> Arc<dyn Send + Sync> {
        let full = Queue::bounded(client, 1);
        full.put(None).unwrap();
        let mut put = full.turn_to_put(next);
        assert!(put.now().unwrap().is_none());
        struct Never;
        impl azolla::runtime::Listen for Never {
            fn settled(&self, _: usize, _: azolla::Status) {}
        }
        put.stand(&(Arc::new(Never) as Arc<dyn azolla::runtime::Listen>));
        Arc::new(put)
    });
}

#[test]
fn a_long_chain_of_errors_is_dropped() {
    #[derive(Debug, thiserror::Error)]
    #[error("again")]
    struct Again(Option<Error>);
    drops_a_chain(|client, _, before| {
        client.try_submit(move || Err::<(), _>(Again(before))).result().unwrap_err()
    });
}
