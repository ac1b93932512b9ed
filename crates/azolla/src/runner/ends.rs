//! The end of a client's threads, for which closing waits.
//!
//! A task may close a client, its own or another one. A thread that waits for the end of a client's
//! threads does not wait for those that wait, in the same way, for its own end: for itself, for another task
//! that closes the same client, or for a task of the other client that closes this one. Of threads that wait
//! for each other in a circle the last to come sees the whole circle and goes on; then so do the others.

use crate::primitives::thread::{self, JoinHandle, ThreadId};
use crate::primitives::{Condvar, Mutex};
use std::sync::Arc;

/// The threads of one client.
#[derive(Default)]
pub(crate) struct Ends {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many of the threads have not ended.
    alive: usize,
    /// How often this has changed.
    changes: u64,
    handles: Vec<JoinHandle<()>>,
    /// Those of the threads that wait for the end of a client's threads, and for whose.
    waits: Vec<(ThreadId, Arc<Ends>)>,
}

/// A thread that has not ended. It is dropped when the thread ends, at the latest.
pub(crate) struct Alive(Arc<Ends>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.change(|state| state.alive -= 1);
    }
}

/// A thread's wait for the end of other threads.
struct Waits<'a>(&'a Ends);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let own = thread::current().id();
        self.0.change(|state| state.waits.retain(|(thread, _)| *thread != own));
    }
}

impl Ends {
    /// Counts one more thread, which is about to be started.
    pub(crate) fn begin(self: &Arc<Self>) -> Alive {
        self.state.lock().alive += 1;
        Alive(Arc::clone(self))
    }

    /// Keeps the handle of a thread that was started.
    pub(crate) fn keep(&self, handle: JoinHandle<()>) {
        let mut state = self.state.lock();
        // Handles of threads that have ended are dropped here.
        state.handles.retain(|handle| !crate::primitives::is_finished(handle));
        state.handles.push(handle);
    }

    /// Waits until all threads have ended, except those that wait for the calling one. `own` has the
    /// threads of the client whose thread calls, if it is a client's.
    pub(crate) fn join(self: &Arc<Self>, own: Option<&Arc<Self>>) {
        let _waits = own.map(|own| own.wait_for(self));
        let mut state = self.state.lock();
        loop {
            let (alive, changes, waits) = (state.alive, state.changes, state.waits.clone());
            drop(state);
            let excused = own.map_or(0, |own| {
                let waits_for_own = |(_, whose): &&(_, Arc<Self>)| whose.waits_in_the_end_for(own);
                waits.iter().filter(waits_for_own).count()
            });
            if alive <= excused {
                break;
            }
            state = self.state.lock();
            if state.changes == changes {
                state = self.changed.wait(state);
            }
        }
        // What is left of the threads is short, so they are really gone when this returns.
        let mut state = self.state.lock();
        let is_waited_for = !state.waits.is_empty();
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        if is_waited_for {
            return;
        }
        for handle in handles {
            if handle.thread().id() != thread::current().id() {
                // A thread panics only if the engine has broken down, which every future shows.
                let _ = handle.join();
            }
        }
    }

    /// Records that the calling thread, which is one of these, waits for the end of `others`.
    fn wait_for(&self, others: &Arc<Self>) -> Waits<'_> {
        let wait = (thread::current().id(), Arc::clone(others));
        self.change(|state| state.waits.push(wait));
        Waits(self)
    }

    /// Returns true if these threads are those of `end`, or if one of them waits for threads of which this is
    /// true.
    fn waits_in_the_end_for(self: &Arc<Self>, end: &Arc<Self>) -> bool {
        let (mut reached, mut seen) = (vec![Arc::clone(self)], Vec::<Arc<Self>>::new());
        while let Some(ends) = reached.pop() {
            if Arc::ptr_eq(&ends, end) {
                return true;
            }
            if !seen.iter().any(|other| Arc::ptr_eq(other, &ends)) {
                reached.extend(ends.state.lock().waits.iter().map(|(_, whose)| Arc::clone(whose)));
                seen.push(ends);
            }
        }
        false
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        f(&mut state);
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }
}
