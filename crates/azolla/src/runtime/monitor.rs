//! A monitor: something that is shared and waited for. The thread that changes it serves those who
//! wait, in the order in which they came.
//!
//! It hands over what they want under the lock. So no latecomer overtakes a waiter, no waiter is
//! woken in vain, and a waiter that gives up gives back what it was handed at the last moment.

use super::garbage::dropping;
use super::header::Status;
use super::listeners::Listen;
use super::locked::caught;
use crate::primitives::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a [`Monitor`] guards. All methods are called under its lock, so they run no user code and
/// drop nothing of the user's.
pub trait Resource: Send + 'static {
    /// What a waiter asks for.
    type Want: Send;
    /// What a waiter is given.
    type Gift: Send;
    /// The kind of thing, such as "queue": it says what a name is a name of.
    const KIND: &'static str;
    /// A waiter that cannot be served holds up none behind it.
    const PASSES: bool = false;

    /// Gives what is wanted, if that is possible now.
    fn give(&mut self, want: &mut Self::Want) -> Option<Self::Gift>;

    /// The line in which a waiter for this stands: 0 or 1. The lines do not hold up each other.
    fn line(_want: &Self::Want) -> usize {
        0
    }

    /// A waiter has taken a place in line. Its number is greater than those of all before it.
    fn stands(&mut self, _want: &mut Self::Want, _number: u64) {}

    /// Returns the number of the waiter to look at next, given that of the first in line. Where waiters pass each
    /// other, `None` says that no other can be served.
    fn next(&mut self, first: u64) -> Option<u64> {
        Some(first)
    }

    /// Takes back what was given to a waiter that has given up. What is left in `gift` is dropped. Returns false if it
    /// is too late for that, since others have made use of it.
    fn take_back(&mut self, _gift: &mut Self::Gift) -> bool {
        true
    }

    /// Takes back what a waiter that has given up was given in part.
    fn give_up(&mut self, _want: &mut Self::Want) {}

    /// Returns true if it is in the same state as one that was just made.
    fn is_new(&self) -> bool;
}

/// A waiter's place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket(u64);

/// The error of a monitor that is closed: it gives nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is closed")]
pub struct IsClosed;

/// A resource, and the waiters for what it gives.
pub struct Monitor<R: Resource> {
    state: Mutex<State<R>>,
}

struct State<R: Resource> {
    /// `None` once the monitor is closed.
    resource: Option<R>,
    lines: [VecDeque<Waiter<R>>; 2],
    /// What has been given and not fetched yet.
    given: FxHashMap<Ticket, R::Gift>,
    tickets: u64,
}

struct Waiter<R: Resource> {
    ticket: Ticket,
    want: R::Want,
    who: Arc<dyn Listen>,
}

/// The listeners of waiters that were served, to be called once nothing is locked.
type Served = SmallVec<[Arc<dyn Listen>; 2]>;

impl<R: Resource> Monitor<R> {
    /// `None` makes one that is closed.
    pub(super) fn new(resource: Option<R>) -> Self {
        let lines = [VecDeque::new(), VecDeque::new()];
        let state = State { resource, lines, given: FxHashMap::default(), tickets: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Looks at the resource or changes it, then serves the waiters that the change has helped.
    /// What `f` returns is dropped with nothing locked.
    ///
    /// If the monitor is closed.
    pub fn with<T>(&self, f: impl FnOnce(&mut R) -> T) -> Result<T, IsClosed> {
        let mut state = self.state.lock();
        let result = f(state.resource.as_mut().ok_or(IsClosed)?);
        let served = state.serve();
        drop(state);
        tell(served);
        Ok(result)
    }

    /// Takes what is wanted, if it is there and no waiter stands in line for it.
    pub(super) fn take_now(&self, want: &mut R::Want) -> Result<Option<R::Gift>, IsClosed> {
        let mut state = self.state.lock();
        let State { resource, lines, .. } = &mut *state;
        let resource = resource.as_mut().ok_or(IsClosed)?;
        if !lines[R::line(want)].is_empty() {
            return Ok(None);
        }
        let gift = resource.give(want);
        let served = state.serve();
        drop(state);
        tell(served);
        Ok(gift)
    }

    /// Takes a place in line. `who` is called once [`fetch`](Self::fetch) has an answer. Returns
    /// true if it has one already; then `who` is not called.
    pub(super) fn stand(&self, mut want: R::Want, who: &Arc<dyn Listen>) -> (Ticket, bool) {
        let mut state = self.state.lock();
        let ticket = Ticket(state.tickets);
        state.tickets += 1;
        let Some(resource) = &mut state.resource else {
            drop(state);
            return (ticket, true); // what was wanted goes with nothing locked
        };
        resource.stands(&mut want, ticket.0);
        state.lines[R::line(&want)].push_back(Waiter { ticket, want, who: Arc::clone(who) });
        let mut served = state.serve();
        let at_once = state.given.contains_key(&ticket);
        drop(state);
        if at_once {
            served.retain(|other| !Arc::ptr_eq(other, who));
        }
        tell(served);
        (ticket, at_once)
    }

    /// Takes what was given for this ticket; `None` if the waiter has to wait on.
    pub(super) fn fetch(&self, ticket: Ticket) -> Result<Option<R::Gift>, IsClosed> {
        let mut state = self.state.lock();
        match state.given.remove(&ticket) {
            Some(gift) => Ok(Some(gift)),
            None if state.resource.is_none() => Err(IsClosed),
            None => Ok(None),
        }
    }

    /// Gives up the wait with this ticket. What was given for it goes to the next waiter. Returns it if it is too late
    /// for that: then the wait has ended as it should.
    pub(super) fn leave(&self, ticket: Ticket) -> Option<R::Gift> {
        let mut state = self.state.lock();
        let mut gift = state.given.remove(&ticket);
        let mut waiter = state.remove(ticket);
        let mut stays = None;
        if let Some(resource) = &mut state.resource {
            if gift.as_mut().is_some_and(|gift| !resource.take_back(gift)) {
                stays = gift.take();
            }
            if let Some(waiter) = &mut waiter {
                resource.give_up(&mut waiter.want);
            }
        }
        let served = state.serve();
        drop(state);
        tell(served);
        dropping(move || drop((gift, waiter)));
        stays
    }

    /// Closes the monitor, and calls the listeners of all waiters. Returns the resource.
    pub fn close(&self) -> Option<R> {
        let (resource, lines) = {
            let mut state = self.state.lock();
            (state.resource.take(), std::mem::take(&mut state.lines))
        };
        for waiter in lines.into_iter().flatten() {
            tell(Served::from_elem(Arc::clone(&waiter.who), 1));
            caught(|| drop(waiter));
        }
        resource
    }

    pub(super) fn is_new(&self) -> bool {
        let state = self.state.lock();
        state.given.is_empty() && state.resource.as_ref().is_none_or(R::is_new)
    }
}

impl<R: Resource> Drop for Monitor<R> {
    fn drop(&mut self) {
        // What goes may hold the last handle on another monitor, and so on.
        let mut state = self.state.lock();
        let (lines, given) = (std::mem::take(&mut state.lines), std::mem::take(&mut state.given));
        let gone = (state.resource.take(), lines, given);
        drop(state);
        dropping(move || drop(gone));
    }
}

impl<R: Resource> State<R> {
    /// Serves every waiter that can be served. What one takes may make room for another.
    fn serve(&mut self) -> Served {
        let mut served = Served::new();
        loop {
            let before = served.len();
            for line in 0..self.lines.len() {
                self.serve_line(line, &mut served);
            }
            if served.len() == before {
                return served;
            }
        }
    }

    fn serve_line(&mut self, line: usize, served: &mut Served) {
        let Some(resource) = &mut self.resource else { return };
        let line = &mut self.lines[line];
        while let Some(first) = line.front()
            && let Some(next) = resource.next(first.ticket.0)
        {
            // Tickets rise along each line.
            let Ok(at) = line.binary_search_by_key(&next, |waiter| waiter.ticket.0) else {
                continue;
            };
            match resource.give(&mut line[at].want) {
                Some(gift) => {
                    if let Some(Waiter { ticket, who, .. }) = line.remove(at) {
                        self.given.insert(ticket, gift);
                        served.push(who);
                    }
                }
                None if R::PASSES => {}
                None => return,
            }
        }
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter<R>> {
        // Tickets rise along each line.
        self.lines.iter_mut().find_map(|line| {
            let at = line.binary_search_by_key(&ticket.0, |waiter| waiter.ticket.0).ok()?;
            line.remove(at)
        })
    }
}

fn tell(served: Served) {
    for who in served {
        // A listener that panics does not stop the others.
        caught(|| who.settled(0, Status::Finished));
        caught(|| drop(who));
    }
}
