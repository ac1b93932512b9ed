//! Tasks that a worker begins ahead of its current one, for a worker whose tasks run in another process.
//!
//! To send them one by one would cost a journey each, so the other process gets several at once and runs them in this
//! order. Once begun, a task is no longer a claim, and the engine does not take it back. When the other process holds up
//! tasks that somebody waits for, the front end takes back those that have not begun over there, and lets them fall back:
//! they are queued again.

use super::job::Job;
use super::locked::Run;
use super::worker::{Current, Worker};
use crate::primitives::now;
use azolla_core::{GroupId, Outcome};
use std::sync::Arc;

impl<J: Job + ?Sized> Worker<J> {
    /// Begins up to `most` claims behind the current task and behind those that were begun ahead before. It stops at a
    /// claim to which something more urgent has come. Each becomes the current task in its turn, when
    /// [`next_task`](Self::next_task) is called. Returns how many there are ahead now.
    pub fn begin_ahead(&mut self, most: usize) -> usize {
        for _ in 0..most {
            let Some(run) = self.hand.begin_claim(self.id) else { break };
            self.hand.ahead.push_back(run);
        }
        self.hand.ahead.len()
    }

    /// The tasks that end next have run for so many nanoseconds together, in the other process. Otherwise the worker would
    /// count the journeys too.
    pub fn ran_for(&mut self, nanoseconds: u64) {
        self.hand.since = now();
        self.hand.spent += nanoseconds;
    }

    /// Returns true if tasks have ended of which the engine has not heard: it hears of several at once.
    #[must_use]
    pub fn keeps_ends(&self) -> bool {
        !self.hand.finished.is_empty()
    }

    /// Tells the engine which tasks have ended. A worker need not say so, unless its current task takes long: until that
    /// one ends, the counts would be old, and what the others needed would be kept. How long they took is what
    /// [`ran_for`](Self::ran_for) has said.
    pub fn tell_ends(&mut self) {
        self.hand.since = now();
        let (took, in_task) = (self.hand.took(), self.hand.current.is_some());
        self.engine.with_hand(&mut self.hand, in_task, |locked, hand| {
            hand.tell(locked, self.id, took);
        });
    }

    /// Ends the current task, which is to run in another group: what it needs is there alone. Returns false, and leaves the
    /// task as it is, if its constraint does not let that group run it.
    pub fn send_to(&mut self, group: GroupId) -> bool {
        let task = self.current();
        let may = |task| self.engine.with(|locked| locked.state.scheduler.may_run_in(task, group));
        if !task.is_some_and(may) {
            return false;
        }
        drop(self.finish(Outcome::Elsewhere(group)));
        true
    }

    /// The tasks that were begun ahead, in order.
    pub fn ahead(&self) -> impl Iterator<Item = &Arc<J>> {
        self.hand.ahead.iter().map(|run| &run.job)
    }

    /// Lets the tasks that were begun ahead fall back, but for the first `kept`: other workers may run them.
    pub fn fall_back(&mut self, kept: usize) {
        let in_task = self.hand.current.is_some();
        self.engine.with_hand(&mut self.hand, in_task, |locked, hand| {
            while hand.ahead.len() > kept
                && let Some(Run { task, job, .. }) = hand.ahead.pop_back()
            {
                hand.let_another_run(locked, self.id, task, job);
            }
        });
    }
}

impl<J: Job + ?Sized> Worker<J> {
    /// Lets all that the worker has in hand be run by others: its current task, which ends as with
    /// [`Outcome::Again`], what was begun ahead, and its claims. The engine hears of it now, not when the worker asks for
    /// more. Returns the job, to be dropped when the worker is not borrowed.
    pub fn leave_to_others(&mut self) -> Option<Arc<J>> {
        let job = self.finish(Outcome::Again);
        let took = self.hand.took();
        self.engine.with_hand(&mut self.hand, false, |locked, hand| {
            while let Some(Run { task, job, .. }) = hand.ahead.pop_back() {
                hand.let_another_run(locked, self.id, task, job);
            }
            hand.give_back(locked);
            hand.tell(locked, self.id, took);
        });
        job
    }
}

impl<J: Job + ?Sized> From<Run<J>> for Current<J> {
    fn from(Run { task, job, seen, begun, .. }: Run<J>) -> Self {
        Self { task, job, told: begun, seceded: false, shields: 0, seen }
    }
}
