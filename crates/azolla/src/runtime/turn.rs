//! One wait for what a monitor guards: blocking, in a task or outside, awaited on any executor, or
//! told to a listener.

use super::header::Status;
use super::job::Job;
use super::listeners::Listen;
use super::monitor::{IsClosed, Resource, Ticket};
use super::names::Named;
use super::wait::{Latch, Patience, WaitError};
use super::worker::Worker;
use crate::primitives::Mutex;
use azolla_core::Wait;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A wait that has not ended. Dropping it gives it up: nobody is held up by it, and what it had been
/// handed goes to the next.
#[must_use = "what is not waited for is not taken"]
pub struct Turn<R: Resource> {
    of: Named<R>,
    want: Option<R::Want>,
    ticket: Option<Ticket>,
    waker: Option<Arc<Wakes>>,
}

/// Wakes whichever executor polled last.
struct Wakes(Mutex<Option<Waker>>);

impl<R: Resource> Turn<R> {
    pub(crate) fn new(of: Named<R>, want: R::Want) -> Self {
        Self { of, want: Some(want), ticket: None, waker: None }
    }

    /// What is wanted, if it is to be had without waiting.
    ///
    /// # Errors
    /// It is closed.
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

    /// Stands in line. `who` is told once [`now`](Self::now) has an answer; true: it has one
    /// already, and nobody will be told.
    pub fn stand(&mut self, who: &Arc<dyn Listen>) -> bool {
        let Some(want) = self.want.take() else { return false };
        let (ticket, at_once) = self.of.monitor().stand(want, who);
        self.ticket = Some(ticket);
        at_once
    }

    /// Blocks until what is wanted has been given. `worker` is the one whose task waits, or `None`
    /// outside tasks.
    ///
    /// # Errors
    /// As [`WaitError`] says; [`WaitError::Closed`] also if this alone was closed.
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
            // For nothing that the engine knows of.
            Some(worker) => {
                let wait = Wait { tasks: Arc::default(), all: false };
                worker.wait(&latch, wait, stand, patience)
            }
            None => {
                stand();
                latch.sleep(patience)
            }
        };
        match result {
            // Whoever interrupts gets no answer: it goes to the next.
            Err(WaitError::Interrupted(error)) => Err(WaitError::Interrupted(error)),
            // What has been given in the last moment counts.
            result => match self.now() {
                Ok(Some(gift)) => Ok(gift),
                Ok(None) => Err(result.err().unwrap_or(WaitError::Closed)),
                Err(IsClosed) => Err(WaitError::Closed),
            },
        }
    }
}

impl<R: Resource> Drop for Turn<R> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.of.monitor().leave(ticket);
        } else if let Some(want) = &mut self.want {
            let _ = self.of.monitor().with(|resource| resource.give_up(want));
        }
    }
}

// Nothing in it is ever pinned.
impl<R: Resource> Unpin for Turn<R> {}

impl<R: Resource> Future for Turn<R> {
    type Output = Result<R::Gift, IsClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket.is_none() {
            if let Some(answer) = this.now().transpose() {
                return Poll::Ready(answer);
            }
            let waker = Arc::new(Wakes(Mutex::new(Some(context.waker().clone()))));
            let listener: Arc<dyn Listen> = Arc::<Wakes>::clone(&waker);
            this.waker = Some(waker);
            if !this.stand(&listener) {
                return Poll::Pending;
            }
        } else if let Some(waker) = &this.waker {
            // In this order: an answer that comes after the look wakes the new waker.
            let old = waker.0.lock().replace(context.waker().clone());
            drop(old);
        }
        this.now().transpose().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Listen for Wakes {
    fn settled(&self, _token: usize, _status: Status) {
        let waker = self.0.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
