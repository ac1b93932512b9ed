//! Groups of slots come, and retire.
//!
//! A retired group begins nothing. What has begun there ends there, and its workers leave one by one. The group keeps its
//! number, so a task that may run only there waits for ever, as it does for a group that is yet to come.

use crate::constraint::{Group, GroupId};
use crate::effect::Effect;
use crate::id::{TaskId, WorkerId};
use crate::scheduler::Scheduler;
use crate::task::State;
use crate::workers::Hold;
use alloc::vec::Vec;

impl<P: Clone> Scheduler<P> {
    pub(crate) fn on_add_group(&mut self, group: &Group) {
        self.workers.add_group(group);
        self.sets.refit(&self.workers.groups);
        self.waits_changed();
    }

    pub(crate) fn on_retire_group(&mut self, id: GroupId, effects: &mut Vec<Effect<P>>) {
        if self.workers.groups.get(id.index()).is_none_or(|group| group.is_retired) {
            return;
        }
        let (sleepers, is_gone) = self.workers.retire_group(id);
        self.let_suspended_move(id, effects);
        self.sets.refit(&self.workers.groups);
        self.waits_changed();
        effects.extend(sleepers.into_iter().map(Effect::Summon));
        if is_gone {
            effects.push(Effect::Gone(id));
        }
    }

    /// A worker of a retired group has nothing left to do, and leaves.
    pub(crate) fn retire(&mut self, id: WorkerId, effects: &mut Vec<Effect<P>>) {
        effects.push(Effect::Retire(id));
        self.on_leave(id, effects);
    }

    /// The suspended tasks that keep resources of this group give them back, and take them anew where they go on.
    fn let_suspended_move(&mut self, from: GroupId, effects: &mut Vec<Effect<P>>) {
        let suspended = |id: &TaskId| match self.tasks.get(*id)?.state {
            State::Suspended => Some((*id, false)),
            State::Ready => Some((*id, true)),
            _ => None, // async work, which ends by itself
        };
        let here = self.workerless.iter().filter(|(_, (group, _))| *group == from);
        let mut moved: Vec<_> = here.filter_map(|(id, _)| suspended(id)).collect();
        moved.sort_unstable_by_key(|(id, _)| id.to_bits());
        for (id, is_ready) in moved {
            if is_ready {
                // This takes the task out of the queue, as a pop would.
                self.set_state(id, State::Waiting { unfinished: 0 });
            }
            if let Some((group, held)) = self.workerless.remove(&id) {
                self.set_constraint(id, held);
                self.move_stock(group, Hold::Kept(held), Hold::Nothing);
                self.sets.let_go(held);
                self.grant_rejoining(group);
            }
            if is_ready {
                self.set_ready(id, effects);
            }
        }
    }
}
