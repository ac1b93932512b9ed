//! Every invariant of the scheduler, in one place. Tests check them after every event.
//!
//! One pass over the tasks collects what they say of each other. Then each task, each worker and
//! each count is compared with that. It costs a few nanoseconds for each task that is kept.

mod families;
mod resources;

use crate::calls::Mailbox;
use crate::ensure::ensure;
use crate::few::Few;
use crate::growth::{Branch, BranchId};
use crate::id::{Priority, TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::{State, Task, Want};
use crate::todo::Todo;
use crate::workers::{Slots, Tally, Worker, WorkerState};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What the tasks, the mailboxes and the list of things left to do say, taken together.
struct Survey {
    /// By a task's place: how many wants of dependents it must have. Wants that are on the list to
    /// be taken back still count.
    wanted: Vec<u32>,
    /// By a task's place: how often it will be told that an input, or the call before it, has
    /// ended.
    news: Vec<u32>,
    /// Ready tasks that some group can run, by priority, in no order.
    ready: Vec<(Priority, usize)>,
    /// By branch: how many tasks have not ended.
    live_of_branch: Vec<u64>,
    kept: usize,
    live: usize,
    claimed: usize,
    detached: usize,
    keyed: usize,
}

impl<P: Clone> Scheduler<P> {
    /// Checks every invariant. It walks over everything, so it is for tests.
    ///
    /// # Errors Says which invariant does not hold.
    pub fn check(&self) -> Result<(), String> {
        let survey = self.survey();
        self.check_counts(&survey)?;
        for (id, task) in self.tasks.iter() {
            self.check_task(id, task, &survey)?;
        }
        self.tasks.check()?;
        self.check_families()?;
        self.check_growth(&survey)?;
        self.check_calls()?;
        self.check_workers()?;
        self.check_slots()?;
        self.check_resources()?;
        self.check_waits()
    }

    fn survey(&self) -> Survey {
        let places = self.tasks.places();
        let (wanted, news) = (vec![0; places], vec![0; places]);
        let mut survey = Survey {
            wanted,
            news,
            ready: Vec::new(),
            live_of_branch: vec![0; self.growth.branches.len()],
            kept: 0,
            live: 0,
            claimed: 0,
            detached: 0,
            keyed: 0,
        };
        for (_, task) in self.tasks.iter() {
            survey.kept += 1;
            // Gates count nowhere.
            let live = !task.state.is_settled() && !task.rare.is_gate();
            survey.live += usize::from(live);
            survey.live_of_branch[task.grown.branch().0 as usize] += u64::from(live);
            survey.keyed += usize::from(self.tasks.key(task.rare).is_some());
            match task.state {
                State::Claimed { .. } => survey.claimed += 1,
                State::Detached | State::Suspended => survey.detached += 1,
                State::Ready if self.is_runnable(task) => survey.one_ready(task.priority),
                _ => {}
            }
            self.add_once_each(&mut survey.wanted, &task.inputs);
            self.add_once_each(&mut survey.news, &task.dependents);
        }
        for (_, family) in self.tasks.families.iter() {
            if let Some(scope) = &family.of_scope {
                self.add_once_each(&mut survey.wanted, &scope.failed);
            }
        }
        for todo in &self.todo {
            match todo {
                Todo::Unwant(tasks) => self.add_once_each(&mut survey.wanted, tasks),
                Todo::Tell { dependents, .. } => self.add_once_each(&mut survey.news, dependents),
                Todo::NextCall(_)
                | Todo::CancelCalls(_)
                | Todo::CancelEach { .. }
                | Todo::CancelFrom(_)
                | Todo::FamilyEnded(_) => {}
            }
        }
        for mailbox in self.calls.mailboxes.values() {
            for id in &mailbox.queue {
                if self.tasks.get(*id).is_some() {
                    survey.news[id.index()] += 1;
                }
            }
        }
        survey
    }

    fn add_once_each(&self, times: &mut [u32], tasks: &Few) {
        for id in tasks.iter() {
            if self.tasks.get(id).is_some() {
                times[id.index()] += 1;
            }
        }
    }

    fn check_growth(&self, survey: &Survey) -> Result<(), String> {
        let Self { growth, totals, .. } = self;
        for (number, branch) in growth.branches.iter().enumerate() {
            let (grown, live) =
                (growth.grown(BranchId(number as u32)), survey.live_of_branch[number]);
            let settled = branch.settled();
            ensure!(grown == settled + live, "branch {number}: {grown}, {settled} ended, {live}");
        }
        let settled = growth.branches.iter().map(Branch::settled).sum::<u64>();
        ensure!(settled == totals.settled, "{settled} ended by branch, {} in all", totals.settled);
        for branch in &growth.branches {
            ensure!(!branch.is_to_forget(), "{branch:?} ought to have forgotten half");
        }
        for edge in &growth.edges {
            ensure!(edge.lately <= edge.count, "{edge:?}: more lately than ever");
        }
        let grown = growth.edges.iter().map(|edge| edge.count).sum::<u64>();
        ensure!(grown == totals.submitted, "{grown} by branch, {} in all", totals.submitted);
        Ok(())
    }

    fn check_counts(&self, survey: &Survey) -> Result<(), String> {
        let Survey { kept, live, claimed, detached, keyed, .. } = *survey;
        ensure!(kept == self.tasks.len(), "{kept} kept, counted {}", self.tasks.len());
        ensure!(live as u64 == self.totals.live, "{live} live, counted {}", self.totals.live);
        ensure!(claimed == self.totals.claimed, "{claimed} claimed, {}", self.totals.claimed);
        ensure!(detached == self.totals.detached, "{detached} detached");
        ensure!(keyed == self.tasks.keys(), "{keyed} tasks for {} keys", self.tasks.keys());
        let of_all = self.totals.settled + self.totals.live;
        ensure!(of_all == self.totals.submitted, "{of_all} of {}", self.totals.submitted);
        let mut ready = survey.ready.clone();
        ready.sort_unstable_by(|a, b| b.cmp(a));
        let all = ready.iter().map(|(_, count)| count).sum::<usize>();
        let counted = self.counts().ready;
        ensure!(all == counted, "{all} ready, the queues say {counted}");
        ensure!(self.ready_by_priority() == ready, "ready {ready:?}, queued otherwise");
        Ok(())
    }

    fn is_runnable(&self, task: &Task<P>) -> bool {
        self.tasks.set(task.rare).is_none_or(|set| self.sets.get(set).is_runnable())
    }

    fn check_task(&self, id: TaskId, task: &Task<P>, survey: &Survey) -> Result<(), String> {
        let by_tasks = survey.wanted[id.index()];
        let counted = task.wants.dependents();
        ensure!(by_tasks == counted, "{id:?}: {by_tasks} depend on it, it counts {counted}");
        // An unwanted suspended task is cancelled at once, as a queued one is.
        let may_be_unwanted = matches!(task.state, State::Claimed { .. })
            || task.state.is_running() && task.state != State::Suspended;
        ensure!(task.wants.any() || may_be_unwanted, "{id:?} {:?} is kept for nobody", task.state);
        match task.state {
            State::Waiting { unfinished } if task.rare.is_gate() => {
                ensure!(unfinished == 1, "the gate {id:?} waits for {unfinished}");
            }
            State::Waiting { unfinished } => {
                let to_come = survey.news[id.index()];
                ensure!(unfinished > 0, "{id:?} waits for nothing");
                let is_told_twice = task.rare.may_be_listed() && to_come > unfinished;
                ensure!(
                    to_come == unfinished || is_told_twice || self.is_uncounted(id),
                    "{id:?} waits for {unfinished}, {to_come} will tell"
                );
            }
            State::Running { worker } | State::Parked { worker } | State::Seceded { worker } => {
                let on = self.workers.get(worker);
                let at = on.and_then(|worker| worker.task);
                let below = on.is_some_and(|on| on.below.iter().any(|(task, _)| *task == id));
                let is_there =
                    if below { task.state == State::Parked { worker } } else { at == Some(id) };
                ensure!(is_there, "{id:?} is {:?}, there is {at:?}", task.state);
            }
            State::Claimed { worker } => {
                let by = self.workers.get(worker);
                ensure!(
                    by.is_some_and(|worker| worker.claims.contains(&id)),
                    "{id:?} is claimed by {worker:?}, which does not know of it"
                );
            }
            State::Done | State::Failed | State::Cancelled => {
                ensure!(task.dependents.is_empty(), "{id:?} has ended and not told its dependents");
                ensure!(!task.wants.has(Want::Keep), "{id:?} has ended and is kept in any case");
                let for_retry = task.state == State::Failed || task.inputs.is_empty();
                ensure!(for_retry, "{id:?} is {:?} and wants its inputs still", task.state);
                let lost = task.state == State::Cancelled && self.tasks.key(task.rare).is_some();
                ensure!(!lost, "{id:?} is cancelled and found under its key");
            }
            State::Ready | State::Detached | State::Suspended => {}
        }
        Ok(())
    }

    /// One call of an actor runs at a time, and all others are in its mailbox, in their order.
    fn check_calls(&self) -> Result<(), String> {
        for (actor, Mailbox { current, queue }) in &self.calls.mailboxes {
            let passing = |todo: &Todo<P>| matches!(todo, Todo::NextCall(of) if of == actor);
            let under_way = self.todo.iter().filter(|todo| passing(todo)).count();
            ensure!(
                under_way == usize::from(current.is_none()),
                "{current:?} is the call of {actor:?}, and {under_way} are looked for"
            );
            if let Some(call) = current {
                let state = self.tasks.get(*call).map(|task| task.state);
                let goes_on = state.is_some_and(|s| !s.is_settled() && s != State::Detached);
                let abandoned = self.calls.abandoned.get(call) == Some(actor);
                ensure!(goes_on != abandoned, "{call:?} is the call of {actor:?}, and {state:?}");
            }
            let numbers =
                queue.iter().filter_map(|call| Some(self.tasks.get(*call)?.grown.number()));
            ensure!(numbers.is_sorted(), "the calls of {actor:?} are out of order");
        }
        for call in self.calls.abandoned.keys() {
            let runs = |worker: &Worker| {
                worker.task == Some(*call) || worker.below.iter().any(|(task, _)| task == call)
            };
            let at = self.workers.iter().filter(|(_, worker)| runs(worker)).count();
            ensure!(at == 1, "{call:?} was cancelled in the middle, and runs {at} times");
        }
        for (id, task) in self.tasks.iter().filter(|(_, task)| task.is_call()) {
            ensure!(!matches!(task.state, State::Claimed { .. }), "the call {id:?} is claimed");
            if task.state.is_settled() || task.state == State::Detached {
                continue;
            }
            let mailbox = task.inputs.first().and_then(|actor| self.calls.mailboxes.get(&actor));
            let is_current = mailbox.is_some_and(|mailbox| mailbox.current == Some(id));
            let queued =
                mailbox.map_or(0, |m| m.queue.iter().filter(|other| **other == id).count());
            let waits = matches!(task.state, State::Waiting { .. });
            ensure!(
                if is_current { queued == 0 } else { queued == 1 && waits },
                "the call {id:?} is {:?}, current: {is_current}, queued {queued} times",
                task.state
            );
        }
        Ok(())
    }

    fn check_workers(&self) -> Result<(), String> {
        let mut tally = Tally::default();
        for (id, worker) in self.workers.iter() {
            *tally.of(worker.state.standing()) += 1;
            self.check_worker(id, worker)?;
        }
        ensure!(tally == self.workers.tally(), "{tally:?} is not {:?}", self.workers.tally());
        Ok(())
    }

    fn check_worker(&self, id: WorkerId, worker: &Worker) -> Result<(), String> {
        if matches!(worker.state, WorkerState::Asleep | WorkerState::Waking) {
            let in_a_task = worker.task.is_some() || !worker.below.is_empty();
            ensure!(!in_a_task, "{id:?} is {:?} in a task", worker.state);
        }
        for (task, wait) in &worker.below {
            let state = self.tasks.get(*task).map(|task| task.state);
            let fits = state
                .is_none_or(|state| state.is_settled() || state == State::Parked { worker: id });
            ensure!(fits && wait.all, "{id:?} has {task:?} below, which is {state:?}");
        }
        let Some(task) = worker.task.and_then(|task| self.tasks.get(task)) else { return Ok(()) };
        let agrees = match (&worker.state, task.state) {
            // The task is cancelled, and goes on although its result is dropped.
            (_, State::Cancelled) => true,
            // `CancelEach` said that the task has ended, and its worker has not.
            (WorkerState::Active, State::Done) => true,
            (WorkerState::Active, State::Running { worker })
            | (
                WorkerState::Parked { .. } | WorkerState::Rejoining | WorkerState::Resuming,
                State::Parked { worker },
            )
            | (WorkerState::Seceded, State::Seceded { worker }) => worker == id,
            _ => false,
        };
        ensure!(agrees, "{id:?} is {:?}, its task {:?}", worker.state, task.state);
        Ok(())
    }

    /// No more slots are held than there are, and none is free while a worker queues for one.
    fn check_slots(&self) -> Result<(), String> {
        for group in self.workers.group_ids() {
            let Slots { tally, slots, is_retired, .. } = self.workers.group(group);
            ensure!(
                tally.active + tally.waking <= *slots,
                "{group:?}: more than {slots}: {tally:?}"
            );
            ensure!(!is_retired || tally.all() >= *slots, "{group:?}: {slots} for {tally:?}");
            ensure!(!is_retired || tally.all() > 0, "{group:?} is gone");
            let idle = tally.active + tally.waking < *slots && !self.closing;
            ensure!(
                !idle || tally.resuming == 0,
                "{group:?}: a slot is free and wanted: {tally:?}"
            );
        }
        let tally = self.workers.tally();
        let free = self.workers.slots() - tally.active - tally.waking;
        ensure!(free == self.workers.free_slots(), "{free} slots are free: {tally:?}");
        ensure!(tally.lent() == self.workers.lent(), "{} lent: {tally:?}", self.workers.lent());
        self.check_cap()?;
        self.check_needed()
    }

    /// Waits for all of several tasks form no cycle. This check works differently from the one that
    /// refuses waits: it goes depth first from every task on a worker, and from those that await others without one.
    fn check_waits(&self) -> Result<(), String> {
        let mut seen = vec![Seen::Not; self.tasks.places()];
        for (_, worker) in self.workers.iter() {
            for task in worker.below.iter().map(|(task, _)| *task).chain(worker.task) {
                self.check_waits_from(task, &mut seen)?;
            }
            for (_, wait) in worker.waits() {
                self.check_noted(wait)?;
            }
        }
        for (id, wait) in &self.awaits {
            let may = self.tasks.get(*id).is_some_and(|task| task.state.may_await());
            ensure!(may, "{id:?} is said to await others");
            self.check_noted(wait)?;
            self.check_waits_from(*id, &mut seen)?;
        }
        Ok(())
    }

    fn check_noted(&self, wait: &crate::Wait) -> Result<(), String> {
        for id in if wait.all { &wait.tasks[..] } else { &[] } {
            let noted = self.tasks.get(*id).is_none_or(|task| task.rare.is_awaited());
            ensure!(noted, "{id:?} is waited for, and that is not noted");
        }
        Ok(())
    }

    fn check_waits_from(&self, task: TaskId, seen: &mut [Seen]) -> Result<(), String> {
        if self.tasks.get(task).is_none() || seen[task.index()] != Seen::Not {
            return Ok(());
        }
        seen[task.index()] = Seen::OnPath;
        let mut path = vec![(task, 0)];
        while let Some((id, edge)) = path.last_mut() {
            let Some(next) = self.waits_of(*id).get(*edge).copied() else {
                seen[id.index()] = Seen::Left;
                path.pop();
                continue;
            };
            *edge += 1;
            if self.tasks.get(next).is_none() {
                continue;
            }
            match seen[next.index()] {
                Seen::Not => {
                    seen[next.index()] = Seen::OnPath;
                    path.push((next, 0));
                }
                Seen::OnPath => return Err(format!("a cycle of waits: {path:?} to {next:?}")),
                Seen::Left => {}
            }
        }
        Ok(())
    }

    /// Returns the tasks without which this task cannot go on.
    fn waits_of(&self, id: TaskId) -> Vec<TaskId> {
        let Some(task) = self.tasks.get(id) else { return Vec::new() };
        match task.state {
            State::Waiting { .. } if task.rare.is_gate() => self.awaited_by(id, task).collect(),
            // It fails if it would wait without end, once its inputs are counted.
            State::Waiting { .. } if self.is_uncounted(id) => Vec::new(),
            State::Waiting { .. } => {
                let mut waits = task.inputs.iter().collect::<Vec<_>>();
                let mailbox = self.actor_of(id).and_then(|actor| self.calls.mailboxes.get(&actor));
                // All calls before it.
                if let Some(Mailbox { current, queue }) = mailbox
                    && *current != Some(id)
                {
                    waits.extend(current);
                    waits.extend(queue.iter().take_while(|other| **other != id));
                }
                waits
            }
            state if state.may_await() => {
                let before = if state == State::Detached { self.call_before(id) } else { None };
                let awaited = self.awaits.get(&id).map_or(&[][..], |wait| &wait.tasks);
                before.into_iter().chain(awaited.iter().copied()).collect()
            }
            State::Parked { worker } => {
                let wait = self.workers.get(worker).and_then(|worker| worker.wait_of(id));
                wait.filter(|wait| wait.all).map_or_else(Vec::new, |wait| wait.tasks.to_vec())
            }
            _ => Vec::new(),
        }
    }
}

/// How far the search is with a task: it has not met the task yet, has it on its path, or has left it for good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    OnPath,
    Left,
}

impl Survey {
    fn one_ready(&mut self, priority: Priority) {
        match self.ready.iter_mut().find(|(other, _)| *other == priority) {
            Some((_, count)) => *count += 1,
            None => self.ready.push((priority, 1)),
        }
    }
}
