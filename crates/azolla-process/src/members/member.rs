//! What becomes of one process of the fleet: a state machine that knows no process.
//!
//! The process is started, becomes ready, ends, and is started again. When it ends before it is ready, the next start is
//! put off more each time, until the fleet gives up. Then it is started again only if that is asked for. A process that is
//! ready gives the link to each of its threads once. It may have to be fitted out first, over its last link, which is there
//! at once. One that is retired is not started again.

use super::{Due, Seen, StartError};
use std::time::Duration;

/// How long the next start is put off after the first failure in a row, the second, and so on, in milliseconds. After
/// one failure more the fleet gives up.
const DELAYS: [u64; 4] = [0, 50, 250, 1000];

/// How many failures in a row make the fleet give up.
pub const TRIES: usize = DELAYS.len() + 1;

/// A process of the fleet, over all its starts. `P` is what its links need of the process that is ready.
#[derive(Debug)]
pub(super) struct Member<P> {
    threads: u16,
    starts: u32,
    /// How many starts in a row have failed.
    failures: usize,
    /// It is not started again.
    is_retired: bool,
    state: State<P>,
}

#[derive(Debug)]
enum State<P> {
    /// The process is not ready yet, or not even started.
    Starting,
    /// It is ready. The link to each thread whose entry is true was taken. If it is `closed`, there is only the last one: it
    /// is being fitted out. One that `leaves` has no more links to give.
    Ready { process: P, id: u32, taken: Vec<bool>, closed: bool, leaves: bool },
    /// It cannot be started.
    Failed(StartError),
    /// It was retired and is not ready or not fitted out yet, or has ended.
    Over,
}

/// What becomes of an attempt to take a link.
#[derive(Debug)]
pub(super) enum Take<P> {
    /// The link to a thread of this process is taken. This is the process's n-th start.
    Now { process: P, start: u32 },
    /// There is none until another process is ready.
    Later,
    /// There will be none.
    Never(StartError),
}

impl<P: Clone> Member<P> {
    pub(super) fn new(threads: u16) -> Self {
        Self { threads, starts: 0, failures: 0, is_retired: false, state: State::Starting }
    }

    /// The keeper starts the process, unless it was retired.
    pub(super) fn started(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        debug_assert!(matches!(self.state, State::Starting), "only one process runs at a time");
        self.starts += 1;
        true
    }

    /// The process is not needed any more. One that is ready and fitted out goes on until it ends.
    pub(super) fn retire(&mut self) {
        self.is_retired = true;
        if !self.is_ready() {
            self.state = State::Over;
        }
    }

    /// If the fleet has given up, the process is tried again as often as at first.
    pub(super) fn start_again(&mut self) {
        if let State::Failed(_) = self.state {
            (self.state, self.failures) = (State::Starting, 0);
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.is_retired
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What the keeper is to do.
    pub(super) fn due(&self) -> Due {
        match self.state {
            State::Over => Due::End,
            State::Starting => Due::Start,
            State::Ready { .. } | State::Failed(_) => Due::Nothing,
        }
    }

    /// The process is ready. If it is `closed`, it has to be fitted out.
    pub(super) fn ready(&mut self, process: P, id: u32, closed: bool) {
        if self.is_over() {
            return; // it was retired just now, and is killed
        }
        debug_assert!(matches!(self.state, State::Starting), "a process becomes ready once");
        let taken = vec![false; self.threads.into()];
        self.state = State::Ready { process, id, taken, closed, leaves: false };
        if !closed {
            self.failures = 0;
        }
    }

    /// The process for which `is_it` holds is fitted out, if that is the one there is.
    pub(super) fn open(&mut self, is_it: impl FnOnce(&P) -> bool) {
        if let State::Ready { process, closed, .. } = &mut self.state
            && is_it(process)
        {
            *closed = false;
            self.failures = 0;
        }
    }

    /// The process for which `is_it` holds ends soon, if that is the one there is: from now on only the next one counts.
    pub(super) fn leaves(&mut self, is_it: impl FnOnce(&P) -> bool) {
        if let State::Ready { process, leaves, .. } = &mut self.state
            && is_it(process)
        {
            *leaves = true;
        }
    }

    /// The process has ended, or could not be started. Returns how long the next start is put off, or `None` if there is
    /// no next one. Then `why` is what the links' takers are told.
    pub(super) fn ended(&mut self, why: StartError) -> Option<Duration> {
        if self.is_retired {
            self.state = State::Over;
            return None;
        }
        let before = std::mem::replace(&mut self.state, State::Starting);
        if let State::Ready { closed: false, .. } | State::Ready { leaves: true, .. } = before {
            return Some(Duration::ZERO);
        }
        self.failures += 1;
        let delay = DELAYS.get(self.failures - 1);
        if delay.is_none() {
            self.state = State::Failed(why);
        }
        delay.copied().map(Duration::from_millis)
    }

    /// Takes the link to a thread of the process of this number.
    pub(super) fn take(&mut self, process: usize, thread: u16) -> Take<P> {
        let is_last = thread + 1 == self.threads;
        match &mut self.state {
            State::Ready { process, taken, closed, leaves: false, .. }
                if !taken[usize::from(thread)] && (is_last || !*closed) =>
            {
                taken[usize::from(thread)] = true;
                Take::Now { process: process.clone(), start: self.starts }
            }
            State::Failed(error) => Take::Never(error.clone()),
            State::Over => Take::Never(StartError::Retired { process }),
            State::Ready { .. } | State::Starting => Take::Later,
        }
    }

    /// The link to a thread that was taken at this start could not be made.
    pub(super) fn put_back(&mut self, thread: u16, start: u32) {
        match &mut self.state {
            State::Ready { taken, .. } if self.starts == start => {
                taken[usize::from(thread)] = false
            }
            _ => {}
        }
    }

    pub(super) fn is_starting(&self) -> bool {
        match self.state {
            State::Starting => true,
            State::Ready { closed, leaves, .. } => closed || leaves,
            State::Failed(_) | State::Over => false,
        }
    }

    /// The process is ready and fitted out.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { closed: false, .. })
    }

    /// The process, if it is ready.
    pub(super) fn process(&self) -> Option<&P> {
        match &self.state {
            State::Ready { process, .. } => Some(process),
            _ => None,
        }
    }

    pub(super) fn seen(&self) -> Seen {
        let id = match self.state {
            State::Ready { id, leaves: false, .. } => Some(id),
            _ => None,
        };
        let failed = matches!(self.state, State::Failed(_));
        let (ready, retired) = (self.is_ready(), self.is_retired);
        Seen { id, starts: self.starts, ready, failed, retired }
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
mod tests {
    use super::*;
    use crate::process::Ended;

    fn why(code: i32) -> StartError {
        StartError::Ended { process: 0, ended: Ended::Code(code), tries: TRIES }
    }

    fn ready(member: &mut Member<&'static str>, process: &'static str) {
        assert!(member.started());
        member.ready(process, 7, false);
    }

    #[test]
    fn a_process_that_is_fitted_out_has_its_last_link_alone() {
        let mut member = Member::new(2);
        for tries in 1..TRIES {
            assert!(member.started());
            member.ready("process", 7, true);
            assert!(member.is_starting());
            assert!(matches!(member.take(0, 0), Take::Later));
            assert!(matches!(member.take(0, 1), Take::Now { .. }));
            assert!(member.ended(why(3)).is_some(), "it ends before it is fitted out, {tries}");
        }
        assert!(member.started());
        member.ready("process", 8, true);
        member.open(|process| *process == "another");
        assert!(member.is_starting());
        member.open(|process| *process == "process");
        assert!(!member.is_starting());
        assert!(matches!(member.take(0, 0), Take::Now { process: "process", .. }));
        assert_eq!(member.ended(why(3)), Some(Duration::ZERO), "that was no failure to start");
    }

    #[test]
    fn a_link_is_taken_once_for_each_start() {
        let mut member = Member::new(2);
        assert!(matches!(member.take(0, 0), Take::Later));
        ready(&mut member, "first");
        assert!(matches!(member.take(0, 0), Take::Now { process: "first", start: 1 }));
        assert!(matches!(member.take(0, 0), Take::Later));
        assert!(matches!(member.take(0, 1), Take::Now { process: "first", start: 1 }));
        assert_eq!(member.ended(why(1)), Some(Duration::ZERO));
        assert!(matches!(member.take(0, 0), Take::Later));
        ready(&mut member, "second");
        assert!(matches!(member.take(0, 0), Take::Now { process: "second", start: 2 }));
    }

    #[test]
    fn a_link_that_was_put_back_can_be_taken_again_but_only_from_its_own_start() {
        let mut member = Member::new(1);
        ready(&mut member, "first");
        assert!(matches!(member.take(0, 0), Take::Now { .. }));
        member.put_back(0, 1);
        assert!(matches!(member.take(0, 0), Take::Now { .. }));
        member.ended(why(1));
        member.put_back(0, 1);
        ready(&mut member, "second");
        assert!(matches!(member.take(0, 0), Take::Now { .. }));
        member.put_back(0, 1);
        assert!(matches!(member.take(0, 0), Take::Later));
    }

    #[test]
    fn a_process_that_leaves_does_not_count_until_the_next_one_is_ready() {
        let mut member = Member::new(2);
        ready(&mut member, "first");
        member.leaves(|process| *process == "another");
        assert!(!member.is_starting());
        assert!(matches!(member.take(0, 0), Take::Now { .. }));
        member.leaves(|process| *process == "first");
        assert!(member.is_starting() && member.process().is_some());
        assert_eq!(member.seen().id, None);
        assert!(matches!(member.take(0, 1), Take::Later));
        assert_eq!(member.ended(why(1)), Some(Duration::ZERO));
        ready(&mut member, "second");
        assert!(!member.is_starting());
        assert!(matches!(member.take(0, 1), Take::Now { process: "second", .. }));
    }

    #[test]
    fn a_process_that_is_retired_goes_on_until_it_ends_and_is_not_started_again() {
        let mut member = Member::new(2);
        ready(&mut member, "first");
        member.retire();
        assert!(member.is_retired() && !member.is_over());
        assert!(matches!(member.take(0, 0), Take::Now { process: "first", .. }));
        assert_eq!(member.ended(why(1)), None);
        assert!(member.is_over() && !member.is_starting());
        assert!(matches!(member.take(7, 0), Take::Never(StartError::Retired { process: 7 })));
    }

    #[test]
    fn a_process_that_is_retired_before_it_is_ready_never_is() {
        let mut member = Member::new(1);
        assert!(member.started());
        member.retire();
        assert!(member.is_over() && !member.is_starting());
        member.ready("late", 7, false);
        assert!(matches!(member.take(0, 0), Take::Never(StartError::Retired { .. })));
        assert_eq!(member.ended(why(1)), None);
    }

    #[test]
    fn the_next_start_is_put_off_more_after_each_failure_until_the_last() {
        let mut member = Member::<()>::new(1);
        let mut delays = Vec::new();
        for code in 1.. {
            assert!(member.started());
            match member.ended(why(code)) {
                Some(delay) => delays.push(delay),
                None => break,
            }
            assert!(matches!(member.take(0, 0), Take::Later));
        }
        assert_eq!(delays, DELAYS.map(Duration::from_millis));
        assert!(delays.is_sorted());
        let Take::Never(error) = member.take(0, 0) else { panic!("the last try has failed") };
        assert_eq!(
            error.to_string(),
            "worker process 0 ended with code 5 before it was ready, in the last of 5 tries"
        );
        let failed = Seen { id: None, starts: 5, ready: false, failed: true, retired: false };
        assert_eq!(member.seen(), failed);
    }

    #[test]
    fn the_fleet_gives_up_until_it_is_told_to_start_the_process_again() {
        let mut member = Member::new(1);
        member.start_again();
        assert_eq!(member.due(), Due::Start, "the first start is due");
        for _ in 0..2 {
            for _ in 1..TRIES {
                assert!(member.started());
                assert!(member.ended(why(1)).is_some());
            }
            assert!(member.started());
            assert_eq!(member.ended(why(1)), None);
            assert_eq!(member.due(), Due::Nothing);
            member.start_again();
            assert_eq!(member.due(), Due::Start);
            assert!(matches!(member.take(0, 0), Take::Later));
        }
        ready(&mut member, "at last");
        member.start_again();
        assert!(matches!(member.take(0, 0), Take::Now { .. }));
    }

    #[test]
    fn a_process_that_is_retired_before_it_is_fitted_out_ends() {
        let mut member = Member::new(2);
        assert!(member.started());
        member.ready("process", 7, true);
        assert!(matches!(member.take(0, 1), Take::Now { .. }));
        assert!(!member.seen().ready);
        member.retire();
        assert_eq!(member.due(), Due::End);
        member.open(|_| true);
        assert!(matches!(member.take(0, 0), Take::Never(StartError::Retired { .. })));
        assert_eq!(member.ended(why(1)), None);
        assert_eq!(member.due(), Due::End);
    }

    #[test]
    fn failures_are_counted_from_the_last_time_that_the_process_was_ready() {
        let mut member = Member::new(1);
        for _ in 0..3 {
            for delay in DELAYS {
                assert!(member.started());
                assert_eq!(member.ended(why(1)), Some(Duration::from_millis(delay)));
            }
            ready(&mut member, "at last");
            assert_eq!(member.seen().id, Some(7));
            assert_eq!(member.ended(why(1)), Some(Duration::ZERO));
        }
        assert_eq!(
            member.seen(),
            Seen {
                id: None,
                starts: 3 * TRIES as u32,
                ready: false,
                failed: false,
                retired: false
            }
        );
    }
}
