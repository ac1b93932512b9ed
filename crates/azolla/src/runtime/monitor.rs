//! Something that is shared and waited for: whoever changes it serves those who wait, in the order
//! in which they came.
//!
//! What is wanted is handed over under the lock by the one who makes it available. So nobody is
//! overtaken by a latecomer, nobody is woken in vain, and a wait that is given up gives back what it
//! was handed in the last moment.

use super::header::Status;
use super::listeners::Listen;
use super::locked::caught;
use crate::primitives::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a [`Monitor`] guards. Everything here is called under its lock: no user code, and nothing of
/// the user's dropped.
pub trait Resource: Send + 'static {
    /// What one waits for.
    type Want: Send;
    /// What one is given.
    type Gift: Send;
    /// What its names are names of.
    const KIND: &'static str;

    /// Gives what is wanted, if it can be given now.
    fn give(&mut self, want: &mut Self::Want) -> Option<Self::Gift>;

    /// In which of two lines one waits for this. The one does not hold up the other.
    fn line(_want: &Self::Want) -> usize {
        0
    }

    /// Those in a line are about to be looked at, from the first.
    fn begin_pass(&mut self) {}

    /// This one has to wait on. Whether those behind it are looked at all the same.
    fn passes(&mut self, _want: &Self::Want) -> bool {
        false
    }

    /// Takes back what was given to somebody who has given up. What is left is dropped.
    fn take_back(&mut self, _gift: &mut Self::Gift) {}

    /// Takes back what somebody who has given up was given in part.
    fn give_up(&mut self, _want: &mut Self::Want) {}

    /// Whether it cannot be told from one that has just been made.
    fn is_new(&self) -> bool;
}

/// Somebody's place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket(u64);

/// It was closed: nothing is given any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is closed")]
pub struct IsClosed;

/// A resource, and those who wait for what it gives.
pub struct Monitor<R: Resource> {
    state: Mutex<State<R>>,
}

struct State<R: Resource> {
    /// Gone once it is closed.
    resource: Option<R>,
    lines: [VecDeque<Waiter<R>>; 2],
    /// What has been given and not been fetched.
    given: FxHashMap<Ticket, R::Gift>,
    tickets: u64,
}

struct Waiter<R: Resource> {
    ticket: Ticket,
    want: R::Want,
    who: Arc<dyn Listen>,
}

/// Those who have been served, to be told once nothing is locked.
type Served = SmallVec<[Arc<dyn Listen>; 2]>;

impl<R: Resource> Monitor<R> {
    /// `None` makes one that is closed.
    pub(super) fn new(resource: Option<R>) -> Self {
        let lines = [VecDeque::new(), VecDeque::new()];
        let state = State { resource, lines, given: FxHashMap::default(), tickets: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Looks at it or changes it, then serves those whom the change has helped. What `f` returns is
    /// dropped with nothing locked.
    ///
    /// # Errors
    /// If it is closed.
    pub fn with<T>(&self, f: impl FnOnce(&mut R) -> T) -> Result<T, IsClosed> {
        let mut state = self.state.lock();
        let result = f(state.resource.as_mut().ok_or(IsClosed)?);
        let served = state.serve();
        drop(state);
        tell(served);
        Ok(result)
    }

    /// What is wanted, if it is to be had at once and nobody waits for it already.
    pub(super) fn take_now(&self, want: &mut R::Want) -> Result<Option<R::Gift>, IsClosed> {
        let mut state = self.state.lock();
        let State { resource, lines, .. } = &mut *state;
        let resource = resource.as_mut().ok_or(IsClosed)?;
        if !lines[R::line(want)].is_empty() {
            return Ok(None);
        }
        resource.begin_pass();
        let gift = resource.give(want);
        let served = state.serve();
        drop(state);
        tell(served);
        Ok(gift)
    }

    /// Takes a place in line; `who` is told once [`fetch`](Self::fetch) has an answer. Whether it has
    /// one already: then nobody is told.
    pub(super) fn stand(&self, want: R::Want, who: &Arc<dyn Listen>) -> (Ticket, bool) {
        let mut state = self.state.lock();
        let ticket = Ticket(state.tickets);
        state.tickets += 1;
        if state.resource.is_none() {
            drop(state);
            return (ticket, true); // what was wanted goes with nothing locked
        }
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

    /// What the holder of this ticket has been given, once; `None` if it is to wait on.
    pub(super) fn fetch(&self, ticket: Ticket) -> Result<Option<R::Gift>, IsClosed> {
        let mut state = self.state.lock();
        match state.given.remove(&ticket) {
            Some(gift) => Ok(Some(gift)),
            None if state.resource.is_none() => Err(IsClosed),
            None => Ok(None),
        }
    }

    /// The holder of this ticket gives up: what it was given goes to the next.
    pub(super) fn leave(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        let mut gift = state.given.remove(&ticket);
        let mut waiter = state.remove(ticket);
        if let Some(resource) = &mut state.resource {
            if let Some(gift) = &mut gift {
                resource.take_back(gift);
            }
            if let Some(waiter) = &mut waiter {
                resource.give_up(&mut waiter.want);
            }
        }
        let served = state.serve();
        drop(state);
        drop((gift, waiter));
        tell(served);
    }

    /// Gives nothing any more: all who wait are told so. Returns what it was.
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

impl<R: Resource> State<R> {
    /// Serves whoever can be served. What one takes may make room for another.
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
        if line.is_empty() {
            return;
        }
        resource.begin_pass();
        let mut at = 0;
        while let Some(waiter) = line.get_mut(at) {
            match resource.give(&mut waiter.want) {
                Some(gift) => {
                    if let Some(Waiter { ticket, who, .. }) = line.remove(at) {
                        self.given.insert(ticket, gift);
                        served.push(who);
                    }
                }
                None if resource.passes(&waiter.want) => at += 1,
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
        // One that panics keeps no other from being told.
        caught(|| who.settled(0, Status::Finished));
        caught(|| drop(who));
    }
}
