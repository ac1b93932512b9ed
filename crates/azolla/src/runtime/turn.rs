//! One wait for what a monitor guards. It may block a thread, lend the slot of a task, be awaited
//! on any executor, or call a listener.

use super::garbage::dropping;
use super::job::Job;
use super::listeners::Listen;
use super::monitor::{IsClosed, Resource, Ticket};
use super::names::Named;
use super::shared_waker::SharedWaker;
use super::wait::{Latch, Patience, WaitError};
use super::worker::Worker;
use azolla_core::Wait;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A wait that has not ended. Dropping it gives the wait up: what it was handed already goes to the
/// next waiter.
#[must_use = "what is not waited for is not taken"]
pub struct Turn<R: Resource> {
    of: Named<R>,
    want: Option<R::Want>,
    ticket: Option<Ticket>,
    waker: Option<Arc<SharedWaker>>,
}

impl<R: Resource> Turn<R> {
    pub(crate) fn new(of: Named<R>, want: R::Want) -> Self {
        Self { of, want: Some(want), ticket: None, waker: None }
    }

    /// Takes what is wanted, if that needs no waiting.
    ///
    /// If the monitor is closed.
    pub fn now(&mut self) -> Result<Option<R::Gift>, IsClosed> {
        match (self.ticket, &mut self.want) {
            (Some(ticket), _) => {
                let fetched = self.of.monitor().fetch(ticket);
                if !matches!(fetched, Ok(None)) {
                    self.ticket = None;
                }
                fetched
            }
            (None, Some(want)) => {
                let taken = self.of.monitor().take_now(want);
                if !matches!(taken, Ok(None)) {
                    self.want = None;
                }
                taken
            }
            (None, None) => Ok(None),
        }
    }

    /// Takes a place in line. `who` is called once [`now`](Self::now) has an answer. Returns true
    /// if it has one already; then `who` is not called.
    pub fn stand(&mut self, who: &Arc<dyn Listen>) -> bool {
        let Some(want) = self.want.take() else { return false };
        let (ticket, at_once) = self.of.monitor().stand(want, who);
        self.ticket = Some(ticket);
        at_once
    }

    /// Blocks until the monitor gives what is wanted. `worker` is the worker whose task waits, or
    /// `None` outside tasks.
    ///
    /// As [`WaitError`] says. [`WaitError::Closed`] also if only the monitor was closed.
    pub fn wait<J: Job + ?Sized + 'static, E>(
        mut self,
        worker: Option<&mut Worker<J>>,
        patience: Patience<'_, E>,
    ) -> Result<R::Gift, WaitError<E>> {
        if let Some(gift) = self.now().map_err(|IsClosed| WaitError::Closed)? {
            return Ok(gift);
        }
        let latch = Latch::new(worker.as_deref(), 1, false);
        let listener: Arc<dyn Listen> = Arc::<Latch<J>>::clone(&latch);
        let mut stand = || {
            if self.stand(&listener) {
                latch.open();
            }
        };
        let result = match worker.filter(|worker| worker.current().is_some()) {
            // The task waits for no task, so the list is empty.
            Some(worker) => {
                let wait = Wait { tasks: Arc::default(), all: false };
                worker.wait(&latch, wait, stand, patience)
            }
            None => {
                stand();
                latch.sleep(patience)
            }
        };
        let error = match result {
            // Such a caller gets no answer: what it was given goes to the next waiter.
            Err(error @ WaitError::Interrupted(_)) => return Err(error),
            Err(error @ WaitError::Cancelled(_)) => error,
            // What was given at the last moment counts.
            result => match self.now() {
                Ok(Some(gift)) => return Ok(gift),
                Ok(None) => result.err().unwrap_or(WaitError::Closed),
                Err(IsClosed) => return Err(WaitError::Closed),
            },
        };
        self.give_up().ok_or(error)
    }

    /// Gives the wait up, as dropping it does. Returns what it was handed if that cannot go to the next waiter any more:
    /// a value that was put in, and is not there any more.
    pub fn give_up(mut self) -> Option<R::Gift> {
        self.of.monitor().leave(self.ticket.take()?)
    }
}

impl<R: Resource> Drop for Turn<R> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let stays = self.of.monitor().leave(ticket);
            dropping(move || drop(stays));
        } else if let Some(want) = &mut self.want {
            let _ = self.of.monitor().with(|resource| resource.give_up(want));
        }
    }
}

// Nothing in a turn is ever pinned.
impl<R: Resource> Unpin for Turn<R> {}

impl<R: Resource> Future for Turn<R> {
    type Output = Result<R::Gift, IsClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket.is_none() {
            if let Some(answer) = this.now().transpose() {
                return Poll::Ready(answer);
            }
            let waker = SharedWaker::new();
            waker.set(context.waker());
            waker.expect_one();
            let listener: Arc<dyn Listen> = Arc::<SharedWaker>::clone(&waker);
            this.waker = Some(waker);
            if !this.stand(&listener) {
                return Poll::Pending;
            }
        } else if let Some(waker) = &this.waker {
            // The waker is replaced before the look below: an answer that comes after that look
            // wakes the new one.
            waker.set(context.waker());
        }
        this.now().transpose().map_or(Poll::Pending, Poll::Ready)
    }
}
