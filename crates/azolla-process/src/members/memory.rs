//! How much memory a process may take, and what is done when it takes more. This is a state machine: the keeper looks from
//! time to time, and the links ask before they send tasks.
//!
//! Only the memory counts that is the process's own: arenas and other shared memory do not. At 80 % of the limit the
//! process gets nothing new. If none of its threads has a task then, and no actor is in it, nothing of value is there, and
//! another process takes its place. At 95 % it is killed.

use crate::primitives::{AtomicU64, Condvar, Mutex, Ordering, lock, wait};

/// The memory of one process.
#[derive(Debug)]
pub struct Memory {
    /// How many bytes it may take, if that is limited.
    limit: Option<u64>,
    /// How many bytes it took when it was looked at last.
    used: AtomicU64,
    state: Mutex<State>,
    /// The process may get tasks now, or will get none any more.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_high: bool,
    /// How many of its threads have tasks.
    busy: usize,
    /// How many of these tasks wait for others, which the process may have to run.
    waiting: usize,
    /// It has had tasks.
    is_used: bool,
    /// How many actors are in it.
    actors: usize,
    /// It was over its limit, another is to take its place, or it has ended.
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OverLimit,
    Another,
}

/// Whether a process may get tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may.
    Open,
    /// It gets none any more. It has ended, or will.
    Closed,
    /// It gets none any more, and the caller kills it.
    Kill,
}

impl Memory {
    /// The memory of a process that may take so many bytes, if that is limited.
    #[must_use]
    pub fn new(limit: Option<u64>) -> Self {
        let (used, state) = (AtomicU64::new(0), Mutex::new(State::default()));
        Self { limit, used, state, changed: Condvar::new() }
    }

    /// How many bytes the process took when it was looked at last.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A thread of the process is to get tasks. This waits while the process takes too much and other threads of it run
    /// tasks. `look` returns how much it takes now.
    #[must_use]
    pub fn enter(&self, look: impl Fn() -> Option<u64>) -> Entry {
        let mut state = lock(&self.state);
        loop {
            if state.end.is_some() {
                return Entry::Closed;
            }
            if state.is_high && state.busy == 0 {
                // Its last tasks have ended since it was looked at.
                state.is_high = look().is_some_and(|used| self.is_high(used));
                // One that takes so much before its first task will always do so.
                if state.is_high && state.is_used && state.actors == 0 {
                    state.end = Some(End::Another);
                    return Entry::Kill;
                }
            }
            if !state.is_high || state.busy == state.waiting {
                state.busy += 1;
                state.is_used = true;
                return Entry::Open;
            }
            state = wait(&self.changed, state);
        }
    }

    /// The tasks of the thread have ended.
    pub fn leave(&self) {
        let mut state = lock(&self.state);
        state.busy -= 1;
        if state.is_high {
            self.changed.notify_all();
        }
    }

    /// A task of the thread waits for others.
    pub fn wait(&self) {
        let mut state = lock(&self.state);
        state.waiting += 1;
        if state.is_high {
            self.changed.notify_all();
        }
    }

    /// It goes on.
    pub fn go_on(&self) {
        lock(&self.state).waiting -= 1;
    }

    /// An actor is in it.
    pub fn keep_actor(&self) {
        lock(&self.state).actors += 1;
    }

    /// The actor is not needed any more.
    pub fn drop_actor(&self) {
        lock(&self.state).actors -= 1;
    }

    /// The process takes so much now. Returns true if it is to be killed.
    #[must_use]
    pub fn saw(&self, used: u64) -> bool {
        self.used.store(used, Ordering::Relaxed);
        let Some(limit) = self.limit else { return false };
        let mut state = lock(&self.state);
        let was_high = std::mem::replace(&mut state.is_high, self.is_high(used));
        let is_over = state.end.is_none() && used >= limit / 100 * 95;
        if is_over {
            state.end = Some(End::OverLimit);
        }
        if is_over || was_high && !state.is_high {
            self.changed.notify_all();
        }
        is_over
    }

    /// Returns true if any of its threads has tasks.
    pub fn is_busy(&self) -> bool {
        lock(&self.state).busy > 0
    }

    /// The process gets no tasks any more.
    pub fn close(&self) {
        lock(&self.state).end.get_or_insert(End::Another);
        self.changed.notify_all();
    }

    /// How many actors, and results that cannot be pickled, are in the process.
    #[must_use]
    pub fn actors(&self) -> usize {
        lock(&self.state).actors
    }

    /// The process has ended. Returns its limit if it was over it.
    pub fn end(&self) -> Option<u64> {
        let end = *lock(&self.state).end.get_or_insert(End::Another);
        self.changed.notify_all();
        self.limit.filter(|_| end == End::OverLimit)
    }

    fn is_high(&self, used: u64) -> bool {
        self.limit.is_some_and(|limit| used >= limit / 10 * 8)
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
mod tests {
    use super::*;
    use std::thread;

    fn none() -> Option<u64> {
        panic!("it is not looked at now")
    }

    #[test]
    fn a_process_without_a_limit_gets_tasks_whatever_it_takes() {
        let memory = Memory::new(None);
        assert!(!memory.saw(u64::MAX));
        assert_eq!((memory.enter(none), memory.used()), (Entry::Open, u64::MAX));
        assert_eq!(memory.end(), None);
        assert_eq!(memory.enter(none), Entry::Closed);
    }

    #[test]
    fn a_process_that_takes_much_when_it_is_idle_makes_way_for_another() {
        let memory = Memory::new(Some(1000));
        assert!(!memory.saw(900));
        assert_eq!(memory.enter(|| Some(900)), Entry::Open, "it has not had a task yet");
        memory.leave();
        assert_eq!(memory.enter(|| Some(790)), Entry::Open, "it takes less by now");
        memory.leave();
        assert!(!memory.saw(900));
        assert_eq!(memory.enter(|| Some(800)), Entry::Kill);
        assert_eq!(memory.enter(none), Entry::Closed);
        assert!(!memory.saw(2000));
        assert_eq!(memory.end(), None, "it is not killed for its limit");
    }

    #[test]
    fn a_process_with_an_actor_stays_and_gets_one_task_at_a_time() {
        let memory = Memory::new(Some(1000));
        assert_eq!(memory.enter(none), Entry::Open);
        memory.keep_actor();
        memory.leave();
        assert!(!memory.saw(900));
        assert_eq!(memory.enter(|| Some(900)), Entry::Open);
        memory.leave();
        memory.drop_actor();
        assert_eq!(memory.enter(|| Some(900)), Entry::Kill);
    }

    #[test]
    fn a_process_whose_tasks_all_wait_gets_what_they_may_wait_for() {
        let memory = Memory::new(Some(1000));
        assert_eq!(memory.enter(none), Entry::Open);
        assert!(!memory.saw(900));
        memory.wait();
        assert_eq!(memory.enter(none), Entry::Open);
        memory.leave();
        memory.go_on();
        memory.leave();
    }

    #[test]
    fn a_process_over_its_limit_is_killed_once() {
        let memory = Memory::new(Some(1000));
        assert!(!memory.saw(949) && memory.saw(950) && !memory.saw(990));
        assert_eq!(memory.enter(none), Entry::Closed);
        assert_eq!(memory.end(), Some(1000));
    }

    #[test]
    fn a_thread_waits_while_the_others_take_much() {
        for end in [false, true] {
            let memory = Memory::new(Some(1000));
            assert_eq!(memory.enter(none), Entry::Open);
            assert!(!memory.saw(900));
            thread::scope(|scope| {
                let waits = scope.spawn(|| memory.enter(|| Some(900)));
                if end {
                    assert_eq!(memory.end(), None);
                } else {
                    assert!(!memory.saw(700));
                }
                let entered = waits.join().unwrap();
                assert_eq!(entered, if end { Entry::Closed } else { Entry::Open });
            });
        }
    }

    #[test]
    fn a_thread_that_waits_asks_for_another_process_when_the_others_have_left() {
        let memory = Memory::new(Some(1000));
        assert_eq!(memory.enter(none), Entry::Open);
        assert!(!memory.saw(900));
        thread::scope(|scope| {
            let waits = scope.spawn(|| memory.enter(|| Some(900)));
            memory.leave();
            assert_eq!(waits.join().unwrap(), Entry::Kill);
        });
    }
}
