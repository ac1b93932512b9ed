//! Tasks that a worker begins ahead of its current one, for a worker whose tasks run in another process.
//!
//! To send them one by one would cost a journey each, so the other process gets several at once and runs them in this
//! order. Once begun, a task is no longer a claim, and the engine does not take it back. When the other process holds up
//! tasks that somebody waits for, the front end takes back those that have not begun over there, and lets them fall back:
//! they are claims again.

use super::job::Job;
use super::locked::Run;
use super::worker::{Current, Worker};
use std::sync::Arc;

impl<J: Job + ?Sized> Worker<J> {
    /// Begins up to `most` claims behind the current task and behind those that were begun ahead before. It stops at a
    /// claim to which something more urgent has come. Each becomes the current task in its turn, when
    /// [`next_task`](Self::next_task) is called. Returns how many there are ahead now.
    pub fn begin_ahead(&mut self, most: usize) -> usize {
        let (engine, group) = (&self.engine, self.group);
        let mut begun = 0;
        while begun < most
            && let Some(claim) = self.hand.claims.front()
            && engine.best_ready(group) <= claim.priority
            && let Some(run) = self.hand.claims.pop_front()
        {
            if run.job.header().begin(self.id) {
                self.hand.ahead.push_back(run);
                begun += 1;
            } else {
                self.hand.gone.push(run.job);
            }
        }
        self.hand.ahead.len()
    }

    /// The tasks that were begun ahead, in order.
    pub fn ahead(&self) -> impl Iterator<Item = &Arc<J>> {
        self.hand.ahead.iter().map(|run| &run.job)
    }

    /// Lets the tasks that were begun ahead fall back, but for the first `kept`: they are claims again.
    pub fn fall_back(&mut self, kept: usize) {
        while self.hand.ahead.len() > kept
            && let Some(run) = self.hand.ahead.pop_back()
        {
            run.job.header().set_claim(self.id, false);
            self.hand.claims.push_front(run);
        }
    }
}

impl<J: Job + ?Sized> From<Run<J>> for Current<J> {
    fn from(Run { task, job, seen, begun, .. }: Run<J>) -> Self {
        Self { task, job, told: begun, seceded: false, seen }
    }
}
