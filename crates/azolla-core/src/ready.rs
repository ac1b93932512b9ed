//! The ready queue: which task goes first.
//!
//! Higher priority first. Among equals, what an older root has grown comes before what a newer one
//! has, deeper work before shallower, then the children of an older parent, then the older task:
//! the order `(root, deeper first, parent, own number)`. It keeps memory low, since what has been
//! begun is finished before more is begun, at every level of nesting.
//!
//! Tasks of one parent stand in one line, and only the lines are kept ordered, so the cost of a
//! task does not grow with the number of its siblings. Removal is lazy: the queue is told that one
//! fewer of its entries counts, and skips the entry when it comes up.

use crate::fifo::Fifo;
use crate::fronted::Fronted;
use crate::id::{Priority, TaskId};
use crate::task::Siblings;
use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

pub(crate) struct ReadyQueue {
    /// None is empty, but for a single one: a queue that is filled and emptied in turn allocates nothing.
    buckets: Fronted<Reverse<Priority>, Bucket>,
    live: usize,
}

/// All that is ready at one priority.
struct Bucket {
    roots: Line,
    lines: Fronted<Siblings, Line>,
    /// Of a line that has gone, for the next.
    spare: Line,
    /// Entries whose task is still ready.
    live: usize,
    /// All entries, those to be skipped included.
    entries: usize,
}

/// Tasks of one parent, oldest first. Most become ready in the order of their numbers; those that
/// come late stand in a heap of their own.
#[derive(Default)]
struct Line {
    in_order: Fifo<(u64, TaskId)>,
    late: BinaryHeap<Reverse<(u64, TaskId)>>,
}

impl ReadyQueue {
    pub(crate) fn new() -> Self {
        Self { buckets: Fronted::new(), live: 0 }
    }

    /// How many tasks are ready.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// The highest priority at which something is ready.
    #[inline]
    pub(crate) fn best(&self) -> Option<Priority> {
        if self.live == 0 { None } else { self.buckets.first().map(|(priority, _)| priority.0) }
    }

    /// How many tasks are ready at each priority, highest first.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Priority, usize)> {
        self.buckets
            .iter()
            .filter(|(_, bucket)| bucket.live > 0)
            .map(|(priority, bucket)| (priority.0, bucket.live))
    }

    /// A task is ready, the `number`th in the line of its siblings; `None`: it is a root.
    pub(crate) fn push(
        &mut self,
        task: TaskId,
        priority: Priority,
        number: u64,
        siblings: Option<Siblings>,
    ) {
        if self.live == 0 {
            self.reuse_for(priority);
        }
        let bucket = self.buckets.get_or_insert_with(Reverse(priority), Bucket::new);
        let line = match siblings {
            None => &mut bucket.roots,
            Some(siblings) => {
                bucket.lines.get_or_insert_with(siblings, || core::mem::take(&mut bucket.spare))
            }
        };
        line.push(number, task);
        bucket.live += 1;
        bucket.entries += 1;
        self.live += 1;
    }

    /// Makes the bucket that was left empty one of this priority.
    fn reuse_for(&mut self, priority: Priority) {
        if self.buckets.first().is_some_and(|(kept, _)| kept.0 != priority)
            && let Some(empty) = self.buckets.remove_first()
        {
            self.buckets.get_or_insert_with(Reverse(priority), || empty);
        }
    }

    /// One task of this priority is no longer ready. `is_ready` tells which still are, by the number
    /// of their lineage.
    pub(crate) fn removed(&mut self, priority: Priority, is_ready: impl Fn(u64, TaskId) -> bool) {
        let Some(bucket) = self.buckets.get_mut(&Reverse(priority)) else { return };
        bucket.live -= 1;
        self.live -= 1;
        if bucket.live == 0 && self.live == 0 {
            bucket.clear();
        } else if bucket.live == 0 {
            self.buckets.remove(&Reverse(priority));
        } else if bucket.entries > 2 * bucket.live + 64 {
            bucket.retain(is_ready);
        }
    }

    /// The task that goes first, without taking it.
    pub(crate) fn peek(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) -> Option<TaskId> {
        let (_, bucket) = self.buckets.first_mut()?;
        bucket.first(is_ready).map(|(_, task)| task)
    }

    /// Takes the task that goes first. It stops being ready by this.
    pub(crate) fn pop(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) -> Option<TaskId> {
        self.pop_if(is_ready, |_| true)
    }

    /// Takes the task that goes first, if it is one of these.
    pub(crate) fn pop_if(
        &mut self,
        is_ready: impl Fn(u64, TaskId) -> bool,
        wanted: impl Fn(TaskId) -> bool,
    ) -> Option<TaskId> {
        let (_, bucket) = self.buckets.first_mut()?;
        let task = bucket.pop_if(is_ready, wanted)?;
        bucket.live -= 1;
        self.live -= 1;
        if bucket.live == 0 && self.live == 0 {
            bucket.clear();
        } else if bucket.live == 0 {
            self.buckets.remove_first();
        }
        Some(task)
    }
}

impl Bucket {
    fn new() -> Self {
        let (roots, spare) = (Line::default(), Line::default());
        Self { roots, lines: Fronted::new(), spare, live: 0, entries: 0 }
    }

    /// The entry that goes first, and whether it is a root's. Entries that no longer count and
    /// come before it are dropped.
    fn first(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) -> Option<(bool, TaskId)> {
        let root = self.roots.first(&mut self.entries, &is_ready);
        while let Some((group, line)) = self.lines.first_mut() {
            if let Some((_, task)) = line.first(&mut self.entries, &is_ready) {
                return match root {
                    // A root's own place in the order of lines: depth 0, no parent.
                    Some((number, root)) if (number, Reverse(0), 0) < *group => Some((true, root)),
                    _ => Some((false, task)),
                };
            }
            self.remove_line();
        }
        root.map(|(_, task)| (true, task))
    }

    fn pop_if(
        &mut self,
        is_ready: impl Fn(u64, TaskId) -> bool,
        wanted: impl Fn(TaskId) -> bool,
    ) -> Option<TaskId> {
        let (is_root, task) = self.first(is_ready)?;
        if !wanted(task) {
            return None;
        }
        self.entries -= 1;
        if is_root {
            self.roots.pop();
        } else if let Some((_, line)) = self.lines.first_mut() {
            line.pop();
            if line.is_empty() {
                self.remove_line();
            }
        }
        Some(task)
    }

    /// The first line, which is empty, goes.
    fn remove_line(&mut self) {
        if let Some(mut line) = self.lines.remove_first() {
            line.clear();
            self.spare = line;
        }
    }

    fn retain(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) {
        self.roots.retain(&is_ready);
        self.lines.retain(|line| {
            line.retain(&is_ready);
            !line.is_empty()
        });
        self.entries =
            self.roots.len() + self.lines.iter().map(|(_, line)| line.len()).sum::<usize>();
    }

    fn clear(&mut self) {
        self.roots.clear();
        self.lines.clear();
        self.entries = 0;
    }
}

impl Line {
    fn push(&mut self, number: u64, task: TaskId) {
        match self.in_order.last() {
            Some((last, _)) if *last > number => self.late.push(Reverse((number, task))),
            _ => self.in_order.push((number, task)),
        }
    }

    /// The first entry that counts; those before it are dropped.
    fn first(
        &mut self,
        entries: &mut usize,
        is_ready: impl Fn(u64, TaskId) -> bool,
    ) -> Option<(u64, TaskId)> {
        loop {
            let first = self.peek()?;
            if is_ready(first.0, first.1) {
                return Some(first);
            }
            self.pop();
            *entries -= 1;
        }
    }

    fn peek(&self) -> Option<(u64, TaskId)> {
        match (self.in_order.first(), self.late.peek()) {
            (Some(next), Some(Reverse(late))) => Some(*next.min(late)),
            (Some(next), None) => Some(*next),
            (None, Some(Reverse(late))) => Some(*late),
            (None, None) => None,
        }
    }

    fn pop(&mut self) {
        match (self.in_order.first(), self.late.peek()) {
            (Some(next), Some(Reverse(late))) if late < next => drop(self.late.pop()),
            (Some(_), _) => drop(self.in_order.pop()),
            (None, _) => drop(self.late.pop()),
        }
    }

    fn retain(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) {
        self.in_order.retain(|(number, task)| is_ready(*number, *task));
        self.late.retain(|Reverse((number, task))| is_ready(*number, *task));
        self.late.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties the line, and gives memory back where it is worth it.
    fn clear(&mut self) {
        self.in_order.clear();
        self.late.clear();
        self.late.shrink_to(64);
    }
}
