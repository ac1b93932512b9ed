//! Waiting for tasks by running them, on the stack of the task that waits.
//!
//! This is for front ends whose tasks may run in the middle of others on one thread. The task waits
//! for all of them, so it could not go on before them anyway: to run on top of it holds nothing up.
//! No other thread has to be woken to take over the slot.
//!
//! But if such a task is cancelled, or the client is closed, the wait for it is over and still cannot end
//! before the task does. So only tasks of short kinds run on top, and only those on which the waiting task has
//! the only future, which no other thread cancels.

use super::job::Job;
use super::locked::Locked;
use super::observe::What;
use super::wait::{WaitError, cycle};
use super::worker::{Hand, Worker};
use azolla_core::{Event, Outcome, Refusal, TaskId, Wait, WorkerId};
use std::sync::Arc;

/// The most tasks that wait below one another on one stack.
const DEEPEST: usize = 16;

/// One task's wait for all of several others, during which its worker runs them.
pub struct Nested {
    tasks: Arc<Vec<TaskId>>,
    /// The number of tasks that have been looked at.
    looked_at: usize,
    /// A task was begun that `next_nested` has not returned yet.
    begun: bool,
}

impl<J: Job + ?Sized + 'static> Worker<J> {
    /// Has the current task wait for those of `jobs` that have not ended, so that its worker may
    /// run them meanwhile. Returns `None` if the task should wait in the ordinary way: none of them
    /// can run, or enough tasks wait on this stack.
    ///
    /// # Errors
    /// [`WaitError::Cycle`].
    pub fn nest<E>(&mut self, jobs: &[Arc<J>]) -> Result<Option<Nested>, WaitError<E>> {
        let number = self.engine.number;
        let has_slot = self.hand.lent.is_none()
            && self.hand.current.as_ref().is_some_and(|current| !current.seceded);
        if !has_slot || self.hand.below.len() >= DEEPEST || self.engine.is_closing() {
            return Ok(None);
        }
        let mut tasks = Vec::with_capacity(jobs.len());
        for header in jobs.iter().map(|job| job.header()).filter(|header| !header.is_settled()) {
            let Some(task) = header.id_in(number) else { return Ok(None) };
            tasks.push(task);
        }
        if tasks.is_empty() {
            return Ok(None);
        }
        let mut nested = Nested { tasks: Arc::new(tasks), looked_at: 0, begun: false };
        let wait = Wait { tasks: Arc::clone(&nested.tasks), all: true };
        let took = self.hand.took();
        let begun = self.engine.with_hand(&mut self.hand, true, |locked, hand| {
            hand.tell(locked, self.id, took);
            if !nested.tasks.iter().any(|task| may_nest(locked, *task)) {
                return Ok(false);
            }
            hand.say_begun(locked, self.id);
            match locked.handle(Event::Nest { worker: self.id, wait }).refused {
                Some(Refusal::Cycle(path)) => return Err(cycle(locked, &path)),
                Some(_) => return Ok(false),
                None => {}
            }
            hand.note(&self.engine.observer, What::Parked { worker: self.id.0 });
            hand.lay_below();
            nested.begin_next(hand, locked, self.id);
            nested.begun = hand.current.is_some();
            Ok(true)
        });
        match begun {
            Ok(begun) => Ok(begun.then_some(nested)),
            Err(jobs) => Err(WaitError::cycle(&jobs)),
        }
    }

    /// The next task to run on top of the waiting one. The caller reports its end by
    /// [`finish_nested`](Self::finish_nested). `None` means that the waiting task is the current
    /// one again.
    pub fn next_nested(&mut self, nested: &mut Nested) -> Option<Arc<J>> {
        if !std::mem::take(&mut nested.begun) {
            let took = self.hand.took();
            self.engine.with_hand(&mut self.hand, true, |locked, hand| {
                hand.tell(locked, self.id, took);
                nested.begin_next(hand, locked, self.id);
                if hand.current.is_none() {
                    drop(locked.handle(Event::Unnest(self.id)));
                }
            });
        }
        if self.hand.current.is_none() {
            self.hand.lift();
            self.note(What::Resumed { worker: self.id.0 });
            return None;
        }
        self.note_begun();
        self.job().map(Arc::clone)
    }

    /// Ends a task that ran on top of another, as [`finish`](Self::finish) does. The other task
    /// goes on with the slot, so a task that has seceded first waits for a slot.
    pub fn finish_nested(&mut self, outcome: Outcome) -> Option<Arc<J>> {
        // A closed engine grants no slot, and none is needed.
        drop(self.take_slot_again());
        self.finish(outcome)
    }
}

impl Nested {
    /// Begins the next of the tasks that can run now, if there is one.
    fn begin_next<J: Job + ?Sized>(
        &mut self,
        hand: &mut Hand<J>,
        locked: &mut Locked<'_, J>,
        worker: WorkerId,
    ) {
        while hand.current.is_none()
            && let Some(task) = self.tasks.get(self.looked_at)
        {
            let at = self.looked_at;
            self.looked_at += 1;
            if !may_nest(locked, *task) {
                continue;
            }
            take_back(locked, *task);
            drop(locked.handle(Event::RunNested { worker, at }));
            hand.take(locked);
        }
    }
}

fn may_nest<J: Job + ?Sized>(locked: &Locked<'_, J>, task: TaskId) -> bool {
    let scheduler = &locked.state.scheduler;
    scheduler.may_nest(task)
        && scheduler.payload(task).is_some_and(|job| job.header().has_one_future())
}

/// Takes back a task that another worker may have claimed, unless it has begun.
fn take_back<J: Job + ?Sized>(locked: &mut Locked<'_, J>, task: TaskId) {
    if locked.state.scheduler.payload(task).is_some_and(|job| job.header().take_back()) {
        drop(locked.handle(Event::Unclaim(task)));
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
mod test {
    use crate::runtime::tests::{engine, submit};
    use crate::runtime::{Next, WaitError};
    use azolla_core::Outcome;
    use std::convert::Infallible;

    #[test]
    fn only_what_is_short_and_that_no_other_can_cancel_runs_on_top() {
        let (engine, runner) = engine(1, 2);
        let mut worker = runner.take().pop().unwrap();
        let parent = submit(&engine);
        assert!(matches!(worker.next_task(), Next::Run));
        let unknown = submit(&engine);
        let nest = worker.nest::<Infallible>(std::slice::from_ref(&unknown));
        assert!(matches!(nest, Ok(None)), "nothing is known of its kind");
        drop(worker.finish(Outcome::Done));
        for _ in 0..3 {
            drop(submit(&engine));
            assert!(matches!(worker.next_task(), Next::Run));
            drop(worker.finish(Outcome::Done));
        }
        let outer = submit(&engine);
        while !matches!(worker.next_task(), Next::Run) || worker.current() != outer.header.id() {
            drop(worker.finish(Outcome::Done));
        }
        let [short, shared] = [submit(&engine), submit(&engine)];
        shared.header.add_future();
        let both = [short.clone(), shared.clone()];
        let nest: Result<_, WaitError<Infallible>> = worker.nest(&both);
        let mut nested = nest.unwrap().expect("one of them may run on top");
        let first = worker.next_nested(&mut nested).unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &short));
        drop(worker.finish_nested(Outcome::Done));
        assert!(worker.next_nested(&mut nested).is_none(), "the other has a second future");
        assert_eq!(worker.current(), outer.header.id());
        drop(worker.finish(Outcome::Done));
        engine.close();
        drop((parent, unknown));
    }
}
