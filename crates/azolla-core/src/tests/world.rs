//! A driver without threads or values. Its fake workers do what the test says, and it records what
//! each task's future would show. After every event it checks the invariants and the promises of
//! the scheduler.

use crate::{
    Constraint, Effect, Event, Group, GroupId, Input, Key, Kind, Outcome, Priority, Refusal,
    Scheduler, State, Submission, TaskId, Wait, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::vec::Vec;

/// The index of a task in [`World::cells`], which is its payload in the scheduler.
pub(super) type Cell = usize;

pub(super) struct World {
    pub(super) scheduler: Scheduler<Cell>,
    pub(super) cells: Vec<CellState>,
    by_id: BTreeMap<TaskId, Cell>,
    pub(super) workers: BTreeMap<WorkerId, Thread>,
    pub(super) detached: Vec<TaskId>,
    /// Tasks that are suspended.
    pub(super) suspended: Vec<TaskId>,
    /// The effects of the last event that answer it.
    pub(super) answer: Vec<Effect<Cell>>,
    pub(super) events: u64,
    /// How often each kind of thing has happened.
    pub(super) happened: BTreeMap<&'static str, u64>,
    pub(super) closed: bool,
    /// By actor: the call that began last.
    pub(super) last_calls: BTreeMap<Cell, Cell>,
    /// The task that has just begun, and its group. Checks count what it took as still available.
    pub(super) just_begun: Option<(TaskId, GroupId)>,
    /// The task that was interrupted just now. Its cancel comes next.
    interrupted: Option<Cell>,
    /// What the core is told when its effects are carried out.
    doomed: Vec<Event<Cell>>,
    /// Tasks that were on no worker before the last event and held resources. They take nothing
    /// again.
    pub(super) held_before: BTreeSet<TaskId>,
}

/// What a future on a task would show.
#[derive(Clone, Debug)]
pub(super) struct CellState {
    pub(super) id: Option<TaskId>,
    pub(super) futures: u32,
    pub(super) shows: Shows,
    pub(super) dropped: bool,
    /// The tasks whose results it needs.
    pub(super) inputs: Vec<Cell>,
    /// It has ended once, and was retried.
    pub(super) was_retried: bool,
    /// It has had a result, which may have been taken back.
    pub(super) was_done: bool,
    /// It was done when its last future went.
    released_done: bool,
    /// A task depends on it, so its end is told at once.
    pub(super) watched: bool,
    /// Its actor, if it is a call.
    pub(super) actor: Option<Cell>,
    /// Where it was sent to run.
    pub(super) confined: Option<GroupId>,
    /// It is a scope, or watches the growth of a task.
    pub(super) gate: Option<Gate>,
    /// It failed, and its scope was told.
    pub(super) failed_in: u32,
    /// The task or scope that has submitted it, if that was kept then.
    pub(super) parent: Option<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Scope { open: bool },
    Watch { of: Cell },
}

impl CellState {
    pub(super) fn new(inputs: &[Cell]) -> Self {
        Self {
            id: None,
            futures: 0,
            shows: Shows::Pending,
            dropped: false,
            inputs: inputs.to_vec(),
            was_retried: false,
            was_done: false,
            released_done: false,
            watched: false,
            actor: None,
            confined: None,
            gate: None,
            failed_in: 0,
            parent: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    Pending,
    Done,
    Failed,
    Cancelled,
}

#[derive(Default, Debug)]
pub(super) struct Thread {
    /// Claimed and not begun.
    pub(super) batch: VecDeque<(TaskId, Cell)>,
    pub(super) running: Option<(TaskId, Cell)>,
    /// The tasks that wait below `running` on this worker's stack, each with its wait. The bottom
    /// comes first.
    pub(super) below: Vec<((TaskId, Cell), Wait)>,
    /// Done, but the core has not been told.
    pub(super) untold: Vec<TaskId>,
    /// The core knows that `running` runs.
    pub(super) told: bool,
    pub(super) waits_for: Option<Wait>,
    /// It sleeps, and comes back after a while.
    pub(super) dozes: bool,
    pub(super) state: ThreadState,
}

#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThreadState {
    #[default]
    Asleep,
    Awake,
    Seceded,
    Parked {
        seceded: bool,
    },
    Resuming,
}

impl World {
    pub(super) fn new(slots: usize, parked_cap: usize) -> Self {
        Self::with_groups(&[Group::of_slots(slots)], parked_cap)
    }

    pub(super) fn with_groups(groups: &[Group], parked_cap: usize) -> Self {
        let mut world = Self {
            scheduler: Scheduler::with_parked_cap(groups, parked_cap),
            cells: Vec::new(),
            by_id: BTreeMap::new(),
            workers: BTreeMap::new(),
            detached: Vec::new(),
            suspended: Vec::new(),
            answer: Vec::new(),
            events: 0,
            happened: BTreeMap::new(),
            closed: false,
            last_calls: BTreeMap::new(),
            just_begun: None,
            interrupted: None,
            doomed: Vec::new(),
            held_before: BTreeSet::new(),
        };
        for (number, group) in groups.iter().enumerate() {
            world.staff(GroupId(number as u16), group.slots);
        }
        world
    }

    fn staff(&mut self, group: GroupId, slots: usize) {
        for _ in 0..slots {
            self.event(Event::Join(group));
            self.take_back();
        }
    }

    /// Adds a group, whose workers join.
    pub(super) fn add_group(&mut self, group: Group) {
        let (id, slots) = (GroupId(self.scheduler.workers.groups.len() as u16), group.slots);
        self.event(Event::AddGroup(group));
        self.staff(id, slots);
    }

    pub(super) fn retire_group(&mut self, group: GroupId) {
        self.note("a group was retired");
        if self.scheduler.at_work(group) > 0 {
            self.note("a group was retired while it worked");
        }
        self.event(Event::RetireGroup(group));
        self.take_back();
    }

    pub(super) fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// Sends one event, carries the effects out, and checks everything.
    pub(super) fn event(&mut self, event: Event<Cell>) {
        self.events += 1;
        let pulls = match &event {
            Event::Pull(worker) => Some(*worker),
            _ => None,
        };
        self.note_event(&event);
        let lends = matches!(event, Event::Park { .. } | Event::Secede(_));
        // The caller has not recorded the new waits yet, so needed tasks would seem not to be
        // needed.
        let waits = matches!(event, Event::Park { .. } | Event::Nest { .. } | Event::Unnest(_));
        let before = self.scheduler.workers.tally();
        let news_under_way = self.scheduler.has_more();
        self.held_before = self.scheduler.workerless.keys().copied().collect();
        let mut effects = Vec::new();
        self.scheduler.handle(event, &mut effects);
        if let Err(broken) = self.scheduler.check() {
            panic!("after event {}: {broken}", self.events);
        }
        if lends {
            self.check_somebody_is_left(before);
        }
        if self.scheduler.at_cap() {
            self.note("the cap was reached");
        }
        if self.scheduler.workers.tally().rejoining > 0 {
            self.note("a task waited for its resources to rejoin");
        }
        for task in self.scheduler.workerless.keys() {
            let what = match self.scheduler.tasks.get(*task).map(|task| task.state) {
                Some(State::Suspended) => "a suspended task kept its resources",
                _ => "async work held resources",
            };
            *self.happened.entry(what).or_default() += 1;
        }
        if self.scheduler.cap_is_raised() {
            self.note("the cap was raised");
        }
        if self.scheduler.has_more() {
            self.note("an event was left half done");
        }
        self.answer.clear();
        for effect in effects {
            if let Effect::Run { task, begun, worker, .. } = &effect {
                let pulled = pulls == Some(*worker);
                self.note(match begun {
                    true if pulled => "a task was pulled",
                    true => "a task was handed over",
                    false => "a task was claimed in a batch",
                });
                if self.scheduler.tasks.get(*task).is_none() {
                    self.note("a task was cancelled in the call that gave it to a worker");
                    self.carry_out(effect);
                    continue;
                }
                // If older news were under way, they may have made a better task ready after this
                // one was chosen.
                let group = self.scheduler.group_of(*worker).expect("it joined");
                self.check_may_run(*task, *worker, *begun);
                if *begun {
                    self.check_fits(*task, group);
                }
                if *begun && !news_under_way {
                    self.just_begun = Some((*task, group));
                    self.check_goes_first(*task, group, pulled);
                    self.just_begun = None;
                }
            }
            self.carry_out(effect);
        }
        let answer = core::mem::take(&mut self.answer);
        for event in core::mem::take(&mut self.doomed) {
            self.event(event);
        }
        self.answer = answer;
        if !waits {
            self.check_nothing_needed_is_held_back();
        }
    }

    fn note_event(&mut self, event: &Event<Cell>) {
        let state = |id: &TaskId| self.scheduler.tasks.get(*id).map(|task| task.state);
        let is_call = |id: &TaskId| self.scheduler.actor_of(*id).is_some();
        let what = match event {
            Event::Cancel(id) if self.scheduler.calls.mailboxes.contains_key(id) => {
                "an actor was cancelled"
            }
            Event::Cancel(id) if is_call(id) => match state(id) {
                Some(State::Waiting { .. }) => "a call was cancelled while waiting",
                Some(State::Ready) => "a call was cancelled while ready",
                Some(State::Running { .. }) => "a call was cancelled while running",
                Some(State::Parked { .. }) => "a call was cancelled while parked",
                Some(State::Detached) => "a call was cancelled while detached",
                _ => "a call was cancelled otherwise",
            },
            Event::Cancel(id) => match state(id) {
                Some(State::Waiting { .. }) => "cancelled while waiting",
                Some(State::Ready) => "cancelled while ready",
                Some(State::Claimed { .. }) => "cancelled while claimed",
                Some(State::Running { .. }) => "cancelled while running",
                Some(State::Parked { .. }) => "cancelled while parked",
                Some(State::Seceded { .. }) => "cancelled while seceded",
                Some(State::Detached) => "cancelled while detached",
                Some(State::Suspended) => "cancelled while suspended",
                Some(State::Done) => "cancelled when done",
                Some(State::Failed) => "cancelled when failed",
                Some(State::Cancelled) => "cancelled twice",
                None => "cancelled when gone",
            },
            Event::Release { task, there } => match state(task) {
                Some(State::Waiting { .. }) => "released while waiting",
                Some(State::Ready) => "released while ready",
                Some(State::Claimed { .. } | State::Running { .. }) if *there => {
                    "released when done, before the core was told"
                }
                Some(State::Claimed { .. }) => "released while claimed",
                Some(State::Running { .. }) => "released while running",
                Some(State::Parked { .. }) => "released while parked",
                Some(State::Seceded { .. }) => "released while seceded",
                Some(State::Detached) => "released while detached",
                Some(State::Suspended) => "released while suspended",
                Some(State::Done) => "released when done",
                Some(State::Failed) => "released when failed",
                Some(State::Cancelled) => "released when cancelled",
                None => "released when gone",
            },
            Event::Keep(_) => "kept without a future",
            Event::Detach { .. } => "detached",
            Event::Finish { outcome: Outcome::Again, .. } => "run again",
            Event::Finish { outcome: Outcome::Elsewhere(_), .. } => "sent to a group",
            Event::Finish { outcome: Outcome::Suspended, .. } => "suspended",
            Event::Wake { task, yields } => match state(task) {
                Some(State::Suspended) if *yields => "yielded",
                Some(State::Suspended) => "woken",
                _ => "woken too late",
            },
            Event::Close => "closed",
            _ => return,
        };
        self.note(what);
    }

    fn carry_out(&mut self, effect: Effect<Cell>) {
        match effect {
            Effect::Run { worker, task, payload, begun, .. } => {
                assert_eq!(self.cells[payload].shows, Shows::Pending, "a settled task runs");
                self.check_call(payload, begun);
                let thread = self.workers.get_mut(&worker).expect("a worker that joined");
                if begun {
                    assert_eq!(thread.running, None, "{worker:?} runs two tasks");
                    thread.running = Some((task, payload));
                    thread.told = true;
                } else {
                    thread.batch.push_back((task, payload));
                }
            }
            Effect::Grant(worker) => {
                let thread = self.workers.get_mut(&worker).expect("a worker that joined");
                thread.waits_for = None;
                thread.dozes = false;
                thread.state = match thread.state {
                    ThreadState::Asleep | ThreadState::Resuming => ThreadState::Awake,
                    ThreadState::Parked { seceded: true } => ThreadState::Seceded,
                    state => panic!("{worker:?} was woken when it was {state:?}"),
                };
            }
            Effect::Summon(worker) => {
                self.note("a sleeping worker was summoned");
                let thread = self.workers.get_mut(&worker).expect("a worker that joined");
                assert_eq!(thread.state, ThreadState::Asleep);
                thread.state = ThreadState::Awake;
                thread.dozes = false;
            }
            Effect::Gone(group) => {
                self.note("a group was gone");
                let of = |worker: &WorkerId| self.scheduler.group_of(*worker) == Some(group);
                assert!(!self.workers.keys().any(of), "{group:?} has workers");
            }
            Effect::Doze(worker) => {
                self.note("a worker dozed");
                self.workers.get_mut(&worker).expect("a worker that joined").dozes = true;
            }
            Effect::Retire(worker) => {
                self.note("a worker was retired");
                drop(self.workers.remove(&worker));
            }
            Effect::Joined(worker) => drop(self.workers.insert(worker, Thread::default())),
            Effect::Inherit { payload, cause } => {
                self.note("a failure was inherited");
                // A cause that was cancelled while the news was under way still has its error.
                let has_error = matches!(self.cells[cause].shows, Shows::Failed | Shows::Cancelled);
                assert!(has_error, "no error to inherit");
                self.settle(payload, Shows::Failed);
            }
            Effect::Endless { payload, path } => {
                self.note("a task was refused that would be waited for without end");
                assert_eq!(self.scheduler.payload(path[0]).copied().unwrap_or(payload), payload);
                self.settle(payload, Shows::Failed);
            }
            Effect::Doomed { tasks, interrupt } => {
                let untold =
                    |id: &TaskId| self.workers.values().any(|thread| thread.untold.contains(id));
                let mut has_ended = |(id, payload): (TaskId, Cell)| {
                    let ended = untold(&id) && self.cells[payload].shows == Shows::Done;
                    (id, ended)
                };
                let tasks: Vec<_> = tasks.into_iter().map(&mut has_ended).collect();
                if tasks.iter().any(|(_, has_ended)| *has_ended) {
                    self.note("a task had ended that was to be cancelled");
                }
                self.doomed.push(Event::CancelEach { tasks, interrupt });
            }
            Effect::Interrupted(payload) => {
                self.note("a task was interrupted");
                let has_it = |thread: &Thread| {
                    let below = thread.below.iter().map(|(task, _)| task);
                    let mut there = thread.running.iter().chain(&thread.batch).chain(below);
                    // The core may not have heard of its end.
                    there.any(|it| it.1 == payload) || thread.untold.contains(&self.id(payload))
                };
                assert!(self.workers.values().any(has_it), "it does not run");
                assert_eq!(self.interrupted.replace(payload), None);
            }
            Effect::Cancelled(payload) => {
                let interrupted = self.interrupted.take();
                assert!(interrupted.is_none_or(|it| it == payload), "{interrupted:?} was left");
                self.cells[payload].shows = Shows::Cancelled;
                let batches = self.workers.values().flat_map(|thread| &thread.batch);
                let claimed = batches.filter(|(_, cell)| *cell == payload);
                self.doomed.extend(claimed.map(|(task, _)| Event::Unclaim(*task)));
            }
            Effect::Reset(payload) => {
                self.note("a failure was taken back for another attempt");
                assert_eq!(self.cells[payload].shows, Shows::Failed, "only failures are retried");
                self.cells[payload].shows = Shows::Pending;
                self.cells[payload].was_retried = true;
                self.has_ended_once(self.id(payload));
            }
            Effect::GrowthEnded(payload) => {
                self.note("growth had ended");
                self.settle(payload, Shows::Done);
                self.check_growth_ended(payload);
            }
            Effect::FailedInScope { payload, scope, .. } => {
                self.note("a failure was told to its scope");
                assert!(matches!(self.cells[scope].gate, Some(Gate::Scope { .. })));
                self.cells[payload].failed_in += 1;
            }
            Effect::Drop(payload) => {
                let cell = &mut self.cells[payload];
                assert!(!cell.dropped, "dropped twice");
                assert_eq!(cell.futures, 0, "a task with a future was dropped");
                cell.dropped = true;
            }
            Effect::Existing(_) => {
                self.note("a key was found again");
                self.answer.push(effect);
            }
            Effect::Submitted(_) | Effect::Refused(_) => self.answer.push(effect),
            Effect::TakeBack { .. } => self.answer.push(effect),
            Effect::Ready(_) => {}
        }
    }

    /// A wait counts the end of a task, whatever becomes of the task later.
    fn has_ended_once(&mut self, task: TaskId) {
        for thread in self.workers.values_mut() {
            if let Some(wait) = &mut thread.waits_for
                && wait.tasks.contains(&task)
            {
                let left = wait.tasks.iter().copied().filter(|other| wait.all && *other != task);
                *wait = Wait { tasks: Arc::new(left.collect()), all: true };
            }
            for (_, wait) in &mut thread.below {
                let left = wait.tasks.iter().copied();
                let left = left.map(|other| if other == task { TaskId::GONE } else { other });
                wait.tasks = Arc::new(left.collect());
            }
        }
    }

    fn settle(&mut self, cell: Cell, shows: Shows) {
        assert_eq!(self.cells[cell].shows, Shows::Pending, "settled twice");
        self.cells[cell].shows = shows;
    }

    /// Submits a function, and returns the cell of its task.
    pub(super) fn submit(
        &mut self,
        priority: Option<i32>,
        parent: Option<TaskId>,
        key: Option<u128>,
        kind: u32,
        inputs: &[Cell],
    ) -> Cell {
        self.submit_to(None, priority, parent, key, kind, inputs)
    }

    /// As [`submit`](Self::submit), with a constraint.
    pub(super) fn submit_to(
        &mut self,
        constraint: Option<Constraint>,
        priority: Option<i32>,
        parent: Option<TaskId>,
        key: Option<u128>,
        kind: u32,
        inputs: &[Cell],
    ) -> Cell {
        let payload = self.new_cell(CellState::new(inputs));
        for cell in inputs {
            self.cells[*cell].watched = true;
        }
        let inputs = inputs
            .iter()
            .map(|cell| Input {
                task: self.cells[*cell].id.expect("inputs were submitted"),
                there: self.cells[*cell].shows == Shows::Done,
            })
            .collect();
        // What is wanted no more while the event is handled was wanted when the key was looked for.
        let found = key.and_then(|key| self.scheduler.find(Key::from_digest(key)));
        let found = found.and_then(|task| self.scheduler.tasks.get(task));
        let was_wanted = found.is_some_and(|task| task.wants.dependents() > 0);
        self.event(Event::Submit(Submission {
            payload,
            key: key.map(Key::from_digest),
            priority: priority.map(Priority::from),
            parent,
            kind: Kind(kind),
            constraint: constraint.map(Arc::new),
            inputs,
            call: false,
        }));
        self.grew_from(payload, parent);
        self.submitted(payload, was_wanted)
    }

    fn grew_from(&mut self, cell: Cell, parent: Option<TaskId>) {
        let parent = parent.filter(|parent| self.may_grow(*parent));
        self.cells[cell].parent = parent.map(|parent| self.by_id[&parent]);
    }

    /// Returns whether what this task submits belongs to it: it is kept, or lingers in a family.
    fn may_grow(&self, parent: TaskId) -> bool {
        let lingering = self.scheduler.lingering.get(&parent);
        let family = lingering.and_then(|it| self.scheduler.tasks.families.find(Some(it.family)));
        family.is_some() || self.scheduler.tasks.get(parent).is_some()
    }

    /// Calls an actor, which any task can be.
    pub(super) fn call(
        &mut self,
        constraint: Option<Constraint>,
        priority: Option<i32>,
        parent: Option<TaskId>,
        actor: Cell,
    ) -> Cell {
        let cell = CellState { watched: true, actor: Some(actor), ..CellState::new(&[actor]) };
        let payload = self.new_cell(cell);
        self.cells[actor].watched = true;
        let there = self.cells[actor].shows == Shows::Done;
        self.event(Event::Submit(Submission {
            payload,
            key: None,
            priority: priority.map(Priority::from),
            parent,
            kind: Kind(0),
            constraint: constraint.map(Arc::new),
            inputs: [Input { task: self.id(actor), there }].into_iter().collect(),
            call: true,
        }));
        // A call that no task makes grows from its actor.
        let caller = parent.filter(|caller| self.may_grow(*caller));
        self.grew_from(payload, caller.or(Some(self.id(actor))));
        self.submitted(payload, false)
    }

    fn new_cell(&mut self, cell: CellState) -> Cell {
        self.cells.push(cell);
        self.cells.len() - 1
    }

    fn submitted(&mut self, payload: Cell, was_wanted: bool) -> Cell {
        // A future is counted before anything else can happen.
        match self.answer[0] {
            Effect::Submitted(id) => {
                self.cells[payload].id = Some(id);
                self.by_id.insert(id, payload);
                self.cells[payload].futures = 1;
                payload
            }
            Effect::Existing(id) => {
                let cell = *self.scheduler.payload(id).expect("it exists");
                assert!(
                    !self.cells[cell].released_done || was_wanted,
                    "{id:?} was done and nothing wanted it, yet a submission of its key got it"
                );
                self.cells[cell].released_done = false;
                self.cells[cell].futures += 1;
                cell
            }
            ref other => panic!("no answer to a submission: {other:?}"),
        }
    }

    pub(super) fn open_scope(&mut self, parent: Option<TaskId>) -> Cell {
        self.note("a scope was opened");
        let gate = Some(Gate::Scope { open: true });
        let payload = self.new_cell(CellState { gate, ..CellState::new(&[]) });
        self.event(Event::OpenScope(Submission { parent, ..Submission::new(payload, Kind(7)) }));
        self.grew_from(payload, parent);
        self.submitted(payload, false)
    }

    pub(super) fn close_scope(&mut self, cell: Cell) {
        self.cells[cell].gate = Some(Gate::Scope { open: false });
        self.event(Event::CloseScope(self.id(cell)));
    }

    pub(super) fn watch_growth(&mut self, of: Cell) -> Cell {
        self.note("growth was watched");
        let gate = Some(Gate::Watch { of });
        let payload = self.new_cell(CellState { gate, ..CellState::new(&[]) });
        let of = Input { task: self.id(of), there: false };
        let gate = Submission::new(payload, Kind(8));
        self.event(Event::WatchGrowth(Submission { inputs: [of].into_iter().collect(), ..gate }));
        self.submitted(payload, false)
    }

    pub(super) fn id(&self, cell: Cell) -> TaskId {
        self.cells[cell].id.expect("it was submitted")
    }

    /// Drops one future.
    pub(super) fn release(&mut self, cell: Cell) {
        self.cells[cell].futures -= 1;
        if self.cells[cell].futures == 0 {
            let there = self.cells[cell].shows == Shows::Done;
            self.cells[cell].released_done = there;
            self.event(Event::Release { task: self.id(cell), there });
        }
    }

    pub(super) fn finish(&mut self, worker: WorkerId, outcome: Outcome, took: u64) {
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let (task, cell) = thread.running.take().expect("it runs something");
        let shows = match outcome {
            Outcome::Done => Shows::Done,
            Outcome::Failed => Shows::Failed,
            Outcome::Again | Outcome::Elsewhere(_) | Outcome::Suspended => Shows::Pending,
        };
        if self.cells[cell].shows == Shows::Pending {
            self.cells[cell].shows = shows;
            self.cells[cell].was_done = shows == Shows::Done;
        }
        if let Outcome::Elsewhere(group) = outcome {
            self.cells[cell].confined = Some(group);
        }
        let thread = self.workers.get_mut(&worker).expect("it joined");
        if outcome == Outcome::Done && !self.cells[cell].watched && !thread.batch.is_empty() {
            thread.untold.push(task);
            self.note("an end was not told at once");
            return;
        }
        self.tell(worker);
        self.event(Event::Finish { worker: Some(worker), task, outcome, took });
        if outcome == Outcome::Suspended {
            self.suspended.push(task);
        }
    }

    pub(super) fn wake(&mut self, at: usize, yields: bool) {
        let task = self.suspended.swap_remove(at);
        self.event(Event::Wake { task, yields });
    }

    fn tell(&mut self, worker: WorkerId) {
        let thread = self.workers.get_mut(&worker).expect("it joined");
        for task in std::mem::take(&mut thread.untold) {
            let thread = self.workers.get_mut(&worker).expect("it joined");
            let in_the_middle_of = thread.running.take().map(|running| (running, thread.told));
            let (by, outcome) = (Some(worker), Outcome::Done);
            self.event(Event::Finish { worker: by, task, outcome, took: 1_000 });
            let Some((running, told)) = in_the_middle_of else { continue };
            let thread = self.workers.get_mut(&worker).expect("it joined");
            thread.told = told;
            if let Some((task, _)) = thread.running.replace(running) {
                self.note("a task was handed over too late");
                let outcome = Outcome::Again;
                self.event(Event::Finish { worker: by, task, outcome, took: 0 });
            }
        }
    }

    /// Lets a worker that is awake and idle begin its next claim, or pull.
    pub(super) fn next(&mut self, worker: WorkerId) {
        let thread = self.workers.get_mut(&worker).expect("it joined");
        assert_eq!(thread.running, None);
        let group = self.scheduler.group_of(worker).expect("it joined");
        let best = self.scheduler.best_ready(group);
        while let Some((task, cell)) = thread.batch.pop_front() {
            if self.cells[cell].shows != Shows::Pending {
                continue;
            }
            if self.scheduler.task(task).is_some_and(|task| task.priority < best) {
                thread.batch.push_front((task, cell));
                let batch = std::mem::take(&mut thread.batch);
                self.tell(worker);
                self.note("claims were outranked");
                for (task, _) in batch {
                    self.event(Event::Unclaim(task));
                }
                break;
            }
            thread.running = Some((task, cell));
            thread.told = false;
            self.note("a claim was begun");
            self.check_outranks(task, group);
            return;
        }
        self.tell(worker);
        let thread = self.workers.get_mut(&worker).expect("it joined");
        if thread.running.is_some() {
            // A task was handed over for an end that was told late.
            return;
        }
        thread.state = ThreadState::Asleep;
        self.event(Event::Pull(worker));
        let thread = self.workers.get_mut(&worker);
        if let Some(thread) = thread
            && thread.running.is_some()
        {
            thread.state = ThreadState::Awake;
        }
        self.take_back();
    }

    /// A while passes in which the dozing workers are not woken.
    pub(super) fn while_passes(&mut self) {
        let dozing: Vec<WorkerId> =
            self.workers.iter().filter(|(_, t)| t.dozes).map(|(worker, _)| *worker).collect();
        for worker in dozing {
            // The event of another dozing worker may have woken it.
            if std::mem::take(&mut self.workers.get_mut(&worker).expect("it joined").dozes) {
                self.event(Event::Stalled(worker));
            }
        }
    }

    /// Does what the driver does on `TakeBack`: takes back half of the claims that have not begun.
    fn take_back(&mut self) {
        let asked: Vec<TaskId> = self
            .answer
            .iter()
            .filter_map(|effect| match effect {
                Effect::TakeBack { task, .. } => Some(*task),
                _ => None,
            })
            .collect();
        let unbegun: Vec<TaskId> = asked
            .into_iter()
            .filter(|id| self.workers.values().any(|w| w.batch.iter().any(|(task, _)| task == id)))
            .collect();
        for id in &unbegun[..unbegun.len().div_ceil(2)] {
            for thread in self.workers.values_mut() {
                thread.batch.retain(|(task, _)| task != id);
            }
            self.note("a claim was taken back");
            self.event(Event::Unclaim(*id));
        }
    }

    /// Gives back what a worker has claimed, and says what it runs, as the driver does before every
    /// wait.
    fn before_wait(&mut self, worker: WorkerId) {
        self.tell(worker);
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let batch = std::mem::take(&mut thread.batch);
        let (task, _) = thread.running.expect("only a running task waits");
        if !std::mem::replace(&mut thread.told, true) {
            self.event(Event::Begun { worker, task });
        }
        for (task, _) in batch {
            self.event(Event::Unclaim(task));
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        self.answer.iter().find_map(|effect| match effect {
            Effect::Refused(refusal) => Some(refusal.clone()),
            _ => None,
        })
    }

    /// Parks the task on this worker. Returns false if the wait was refused as a cycle.
    pub(super) fn park(&mut self, worker: WorkerId, wait: Wait) -> bool {
        self.before_wait(worker);
        loop {
            self.event(Event::Park { worker, wait: wait.clone() });
            match self.refusal() {
                Some(Refusal::HoldsResources) => unreachable!("it does not nest"),
                Some(Refusal::NoSpare) => {
                    self.note("no spare was there");
                    self.event(Event::Join(self.scheduler.group_of(worker).expect("it joined")));
                }
                Some(Refusal::Cycle(path)) => {
                    let task = self.workers[&worker].running.expect("it runs").0;
                    assert_eq!(path[0], task, "a cycle begins with who asks");
                    let wait = self.scheduler.narrowed(wait);
                    self.note(match self.scheduler.cycle(task, &wait) {
                        Some(_) => "a cycle was refused",
                        None => "a wait for resources that would not come was refused",
                    });
                    return false;
                }
                None => break,
            }
        }
        self.note(if wait.all { "parked for all" } else { "parked for the first" });
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let seceded = thread.state == ThreadState::Seceded;
        thread.state = ThreadState::Parked { seceded };
        thread.waits_for = Some(wait);
        if seceded {
            self.note("parked when seceded");
        }
        self.check_nothing_needed_is_held_back();
        self.take_back();
        true
    }

    /// Lets the task on this worker wait for all of these tasks and run some of them meanwhile.
    /// Returns false if the wait was refused as a cycle.
    pub(super) fn nest(&mut self, worker: WorkerId, wait: Wait) -> bool {
        self.before_wait(worker);
        self.event(Event::Nest { worker, wait: wait.clone() });
        match self.refusal() {
            Some(Refusal::HoldsResources) => return self.park(worker, wait),
            Some(_) => {
                self.note("a cycle was refused to a nested wait");
                return false;
            }
            None => {}
        }
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let running = thread.running.take().expect("it runs something");
        thread.below.push((running, wait));
        self.check_nothing_needed_is_held_back();
        self.go_on_nested(worker);
        true
    }

    /// Goes on with the topmost wait on this worker's stack: runs one more of the tasks waited for,
    /// or ends the wait, or parks.
    pub(super) fn go_on_nested(&mut self, worker: WorkerId) {
        self.tell(worker);
        let thread = &self.workers[&worker];
        let (_, wait) = thread.below.last().expect("something waits").clone();
        for at in 0..wait.tasks.len() {
            self.event(Event::RunNested { worker, at });
            if self.workers[&worker].running.is_some() {
                self.note("a task was run by one that waits for it");
                return;
            }
        }
        self.event(Event::Unnest(worker));
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let (running, _) = thread.below.pop().expect("something waits");
        thread.running = Some(running);
        thread.told = true;
        self.check_nothing_needed_is_held_back();
        if !wait.tasks.iter().all(|task| self.is_settled(*task)) {
            assert!(self.park(worker, wait), "the wait has been going on already");
        }
    }

    pub(super) fn secede(&mut self, worker: WorkerId) {
        self.before_wait(worker);
        loop {
            self.event(Event::Secede(worker));
            match self.refusal() {
                Some(_) => {
                    self.event(Event::Join(self.scheduler.group_of(worker).expect("it joined")));
                }
                None => break,
            }
        }
        self.workers.get_mut(&worker).expect("it joined").state = ThreadState::Seceded;
        self.note("seceded");
        self.take_back();
    }

    /// Ends a wait, whatever it was for, or lets a seceded task rejoin.
    pub(super) fn resume(&mut self, worker: WorkerId) {
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let rejoins = thread.state == ThreadState::Seceded;
        if thread.state != (ThreadState::Parked { seceded: true }) {
            thread.state = ThreadState::Resuming;
        }
        if rejoins {
            self.note("rejoined");
        }
        self.event(Event::Resume(worker));
        if self.refusal().is_some() {
            assert!(rejoins, "only a task that rejoins may be refused");
            self.note("a rejoin was refused");
            self.workers.get_mut(&worker).expect("it joined").state = ThreadState::Seceded;
        }
    }

    /// Ends the waits that have what they wait for.
    pub(super) fn resume_satisfied(&mut self) {
        let over: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, thread)| matches!(thread.state, ThreadState::Parked { .. }))
            .filter(|(_, thread)| {
                let wait = thread.waits_for.as_ref().expect("it waits for something");
                let mut there = wait.tasks.iter().map(|id| self.is_settled(*id));
                if wait.all { there.all(|there| there) } else { there.any(|there| there) }
            })
            .map(|(worker, _)| *worker)
            .collect();
        for worker in over {
            self.resume(worker);
        }
    }

    fn is_settled(&self, id: TaskId) -> bool {
        self.by_id.get(&id).is_none_or(|cell| self.cells[*cell].shows != Shows::Pending)
    }

    pub(super) fn detach(&mut self, worker: WorkerId) {
        self.before_wait(worker);
        let thread = self.workers.get_mut(&worker).expect("it joined");
        let (task, _) = thread.running.take().expect("it runs something");
        self.event(Event::Detach { worker, task });
        self.detached.push(task);
    }

    /// A detached task awaits these tasks. Returns false if that was refused as a cycle.
    pub(super) fn awaits(&mut self, at: usize, mut tasks: Vec<TaskId>) -> bool {
        tasks.retain(|task| !self.is_settled(*task));
        let wait = Wait { tasks: Arc::new(tasks), all: true };
        let task = self.detached[at];
        self.event(Event::Await { task, wait: wait.clone() });
        if let Some(Refusal::Cycle(path)) = self.refusal() {
            assert_eq!(path[0], task, "a cycle begins with who asks");
            self.note(match self.scheduler.cycle(task, &wait) {
                Some(_) => "a cycle was refused to async work",
                None => "async work was refused to await resources that would not come",
            });
            return false;
        }
        if !wait.tasks.is_empty() {
            self.note("async work awaited others");
        }
        true
    }

    /// Returns whether what a detached task awaits is over.
    pub(super) fn goes_on_detached(&self, at: usize) -> bool {
        let awaited = self.scheduler.awaits.get(&self.detached[at]);
        awaited.is_none_or(|wait| wait.tasks.iter().all(|task| self.is_settled(*task)))
    }

    pub(super) fn finish_detached(&mut self, at: usize) {
        let task = self.detached.swap_remove(at);
        let cell = self.by_id[&task];
        if self.cells[cell].shows == Shows::Pending {
            self.cells[cell].shows = Shows::Done;
            self.cells[cell].was_done = true;
        }
        self.event(Event::Finish { worker: None, task, outcome: Outcome::Done, took: 0 });
    }

    /// The thread of this worker is gone. What it ran fails, and what it claimed goes back.
    pub(super) fn leave(&mut self, worker: WorkerId) {
        if self.workers[&worker].running.is_some() {
            self.finish(worker, Outcome::Failed, 0);
        }
        self.tell(worker);
        let below = std::mem::take(&mut self.workers.get_mut(&worker).expect("it joined").below);
        for ((task, cell), _) in below.into_iter().rev() {
            self.note("a worker left in a nested wait");
            if self.cells[cell].shows == Shows::Pending {
                self.cells[cell].shows = Shows::Failed;
            }
            let (worker, outcome) = (Some(worker), Outcome::Failed);
            self.event(Event::Finish { worker, task, outcome, took: 0 });
        }
        // The next task of a chain may have been handed over just now. It runs nowhere.
        let thread = self.workers.remove(&worker).expect("it joined");
        if let Some((task, cell)) = thread.running {
            self.cells[cell].shows = Shows::Failed;
            let (worker, outcome) = (Some(worker), Outcome::Failed);
            self.event(Event::Finish { worker, task, outcome, took: 0 });
        }
        for (task, _) in thread.batch {
            self.event(Event::Unclaim(task));
        }
        self.event(Event::Leave(worker));
        self.take_back();
    }

    /// Closes the scheduler, and lets every worker end what it runs.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.event(Event::Close);
        self.finish_leftovers();
        assert!(self.cells.iter().all(|cell| cell.dropped || cell.shows != Shows::Pending));
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        for worker in workers {
            self.leave(worker);
        }
        while !self.detached.is_empty() {
            self.finish_detached(0);
        }
        while !self.suspended.is_empty() {
            self.wake(0, false);
        }
    }

    /// Returns the tasks that have not ended and the states of the workers, for messages.
    pub(super) fn stuck(&self) -> impl std::fmt::Debug {
        let live = self.scheduler.tasks.iter().filter(|(_, task)| !task.state.is_settled());
        let live: Vec<_> = live
            .map(|(id, task)| (id, task.state, task.inputs.iter().collect::<Vec<_>>()))
            .collect();
        let states: Vec<_> = self.workers.iter().map(|(id, t)| (*id, t.state, t.running)).collect();
        (live, states)
    }

    /// Cancels the tasks that would be ready for ever.
    pub(super) fn cancel_unrunnable(&mut self) {
        let mut unrunnable = self.ready_in_order();
        unrunnable.retain(|id| self.scheduler.is_unrunnable(*id));
        for id in unrunnable {
            self.note("a task that no group can run was cancelled");
            self.event(Event::Cancel(id));
        }
    }

    pub(super) fn finish_leftovers(&mut self) {
        while self.scheduler.has_more() {
            self.event(Event::Continue);
        }
    }
}
