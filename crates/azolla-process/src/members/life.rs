//! The life of one process, for the threads that have a line to it. It ends once.

use crate::primitives::{Condvar, Mutex, MutexGuard, lock, wait, wait_while};
use crate::process::Ended;
use std::time::Duration;

/// The life of a process. `C` is what ends with it: the client's end of a line, say.
#[derive(Debug)]
pub struct Life<C> {
    state: Mutex<State<C>>,
    /// It has ended.
    over: Condvar,
}

#[derive(Debug)]
enum State<C> {
    /// It goes on. Here is what ends with it, by thread.
    On(Vec<(u16, C)>),
    Over(Ended),
}

impl<C> Default for Life<C> {
    fn default() -> Self {
        Self { state: Mutex::new(State::On(Vec::new())), over: Condvar::new() }
    }
}

impl<C> Life<C> {
    /// This is to end with the process. Returns false if it has ended already.
    #[must_use]
    pub fn join(&self, thread: u16, ends: C) -> bool {
        match &mut *self.state() {
            State::On(all) => all.push((thread, ends)),
            State::Over(_) => return false,
        }
        true
    }

    /// What has joined for this thread no longer ends with the process. Returns it, unless the process has ended before.
    pub fn leave(&self, thread: u16) -> Option<C> {
        match &mut *self.state() {
            State::On(all) => {
                let at = all.iter().position(|(other, _)| *other == thread)?;
                Some(all.swap_remove(at).1)
            }
            State::Over(_) => None,
        }
    }

    /// The process has ended like this. Returns what ends with it.
    #[must_use]
    pub fn end(&self, ended: Ended) -> Vec<C> {
        let before = std::mem::replace(&mut *self.state(), State::Over(ended));
        self.over.notify_all();
        match before {
            State::On(all) => all.into_iter().map(|(_, ends)| ends).collect(),
            State::Over(_) => Vec::new(),
        }
    }

    /// Waits until the process has ended, and says how. Returns `None` if it goes on for so long.
    #[must_use]
    pub fn wait_for(&self, limit: Duration) -> Option<Ended> {
        let goes_on = |state: &mut State<C>| state.ended().is_none();
        wait_while(&self.over, (&self.state, self.state()), limit, goes_on).ended()
    }

    /// Waits until the process has ended, and says how.
    #[must_use]
    pub fn wait(&self) -> Ended {
        let mut state = self.state();
        loop {
            match state.ended() {
                Some(ended) => return ended,
                None => state = wait(&self.over, state),
            }
        }
    }

    /// Returns how the process has ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.state().ended()
    }

    /// Returns true if the process has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended().is_some()
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        lock(&self.state)
    }
}

impl<C> State<C> {
    fn ended(&self) -> Option<Ended> {
        match self {
            Self::On(_) => None,
            Self::Over(ended) => Some(*ended),
        }
    }
}
