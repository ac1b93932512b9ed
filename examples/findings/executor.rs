//! An executor just big enough to follow many files at a time on one thread: azolla's futures ask for no other.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};

/// Runs a coroutine for each of the files, and for each of the files that these return, until none is left or one fails.
pub(crate) fn run_all<C, E>(mut files: Vec<String>, follow: impl Fn(String) -> C) -> Result<(), E>
where
    C: Future<Output = Result<Vec<String>, E>>,
{
    let (woken, ready) = channel();
    let mut coroutines: HashMap<usize, Pin<Box<C>>> = HashMap::new();
    let mut started = 0;
    loop {
        for file in files.drain(..) {
            coroutines.insert(started, Box::pin(follow(file)));
            _ = woken.send(started);
            started += 1;
        }
        if coroutines.is_empty() {
            return Ok(());
        }
        let Ok(id) = ready.recv() else { return Ok(()) };
        let Some(coroutine) = coroutines.get_mut(&id) else { continue };
        let waker = Waker::from(Arc::new(Ready { id, woken: woken.clone() }));
        if let Poll::Ready(targets) = coroutine.as_mut().poll(&mut Context::from_waker(&waker)) {
            coroutines.remove(&id);
            files = targets?;
        }
    }
}

/// Puts its coroutine back into the queue.
struct Ready {
    id: usize,
    woken: Sender<usize>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        _ = self.woken.send(self.id);
    }
}
