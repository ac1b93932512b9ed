//! The deciding half of azolla: which task runs next, and where.
//!
//! [`Scheduler`] is a deterministic state machine for task graphs that grow while they run. The
//! driver tells it what happens ([`Event`]), and it answers what the driver is to do ([`Effect`]).
//! It knows no clock, no thread and no value: only ids, states, dependencies, priorities and
//! counts. So every schedule can be replayed, and every race is a unit test. The crate `azolla`
//! drives it.
//!
//! A task *waits* for its inputs, is *ready*, may be *claimed* by a worker, *runs*, and *settles*:
//! it is done, failed or cancelled. It is kept as long as it runs or is wanted: by a future, by a
//! task that depends on it, or by the wish that it be run in any case.
//!
//! `src/README.md` explains the subtle parts: claims, waits and settling.
//!
//! ```
//! use azolla_core::{Effect, Event, GroupId, Input, Kind, Outcome, Scheduler, Submission};
//!
//! let submission = |name: &'static str, inputs: &[Input]| {
//!     let (key, priority, parent, constraint, inputs) = (None, None, None, None, inputs.into());
//!     let (payload, kind, call) = (name, Kind(0), false);
//!     Event::Submit(Submission { payload, key, priority, parent, kind, constraint, inputs, call })
//! };
//! let mut scheduler = Scheduler::new(1); // one slot
//! let mut effects = Vec::new();
//!
//! scheduler.handle(Event::Join(GroupId(0)), &mut effects);
//! let Some(Effect::Joined(worker)) = effects.pop() else { panic!() };
//!
//! scheduler.handle(submission("parse", &[]), &mut effects);
//! let Effect::Submitted(parse) = effects[0] else { panic!() };
//! assert!(matches!(effects[1], Effect::Grant(w) if w == worker)); // a slot is free: wake up
//! scheduler.handle(submission("count", &[Input { task: parse, there: false }]), &mut effects);
//! effects.clear();
//!
//! scheduler.handle(Event::Pull(worker), &mut effects);
//! assert!(matches!(effects[0], Effect::Run { payload: "parse", .. }));
//! effects.clear();
//!
//! let outcome = Outcome::Done;
//! scheduler.handle(Event::Finish { worker: Some(worker), task: parse, outcome, took: 1000 }, &mut effects);
//! assert!(matches!(effects[0], Effect::Run { payload: "count", .. })); // handed over at once
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod calls;
mod check;
mod constraint;
mod cut;
mod cycles;
mod deadlock;
mod durations;
mod effect;
mod ensure;
mod event;
mod families;
mod few;
mod fifo;
mod fronted;
mod graph;
mod grown;
mod growth;
mod holds;
mod id;
mod kinds;
mod lingering;
mod needed;
mod on;
mod placing;
mod ready;
mod scheduler;
mod sets;
mod slab;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod todo;
mod totals;
mod view;
mod waits;
mod workers;

pub use constraint::{Amount, Constraint, Group, GroupId, ResourceId};
pub use durations::{Durations, POWERS};
pub use effect::{Effect, Refusal};
pub use event::{Event, Input, Inputs, Outcome, Submission, Wait};
pub use families::Tally;
pub use growth::{Branch, BranchId, Edge};
pub use id::{Key, Kind, Priority, TaskId, WorkerId};
pub use scheduler::Scheduler;
pub use task::{Lineage, State};
pub use view::{Counts, ScopeView, TaskView};
