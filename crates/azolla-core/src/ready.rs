//! The ready queue: it decides which ready task goes first.
//!
//! A higher priority goes first. Among equal priorities the order is `(root, deeper first, parent,
//! own number)`: work that grew from an older root comes first, then deeper work, then the children
//! of an older parent, then the older task. This order keeps memory low. At every level of nesting,
//! work that has begun is finished before more begins.
//!
//! All tasks of one parent share one line, and only the lines are sorted. So the cost of a task
//! does not grow with the number of its siblings.
//!
//! Removal is lazy. When a task stops being ready, the queue only counts one live entry fewer. It
//! skips the stale entry when that comes up, and sweeps when stale entries are the majority.

use crate::fifo::Fifo;
use crate::fronted::Fronted;
use crate::id::{Priority, TaskId};
use crate::task::Siblings;
use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

pub(crate) struct ReadyQueue {
    /// No bucket is empty, except that an empty queue keeps one. So a queue that is filled and
    /// emptied over and over allocates nothing.
    buckets: Fronted<Reverse<Priority>, Bucket>,
    live: usize,
}

/// The ready tasks of one priority.
struct Bucket {
    roots: Line,
    lines: Fronted<Siblings, Line>,
    /// The memory of a removed line, for the next new one.
    spare: Line,
    /// Entries whose task is still ready.
    live: usize,
    /// All entries, including stale ones.
    entries: usize,
}

/// The tasks of one parent, or all roots, oldest first. Most tasks become ready in the order of
/// their numbers. Those that become ready after a younger sibling go into a heap.
#[derive(Default)]
struct Line {
    in_order: Fifo<(u64, TaskId)>,
    late: BinaryHeap<Reverse<(u64, TaskId)>>,
}

impl ReadyQueue {
    pub(crate) fn new() -> Self {
        Self { buckets: Fronted::new(), live: 0 }
    }

    /// Returns how many tasks are ready.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Returns the highest priority of a ready task.
    #[inline]
    pub(crate) fn best(&self) -> Option<Priority> {
        if self.live == 0 { None } else { self.buckets.first().map(|(priority, _)| priority.0) }
    }

    /// Returns how many tasks are ready at each priority, highest first.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Priority, usize)> {
        self.buckets
            .iter()
            .filter(|(_, bucket)| bucket.live > 0)
            .map(|(priority, bucket)| (priority.0, bucket.live))
    }

    /// Adds a task. `number` is its position in the line of its `siblings`; a root has `None` and
    /// stands in the line of roots.
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

    /// Gives the one bucket that an empty queue keeps this priority.
    fn reuse_for(&mut self, priority: Priority) {
        if self.buckets.first().is_some_and(|(kept, _)| kept.0 != priority)
            && let Some(empty) = self.buckets.remove_first()
        {
            self.buckets.get_or_insert_with(Reverse(priority), || empty);
        }
    }

    /// One task of this priority is no longer ready. `is_ready` says of an entry, by the number
    /// under which it was pushed, whether it still counts.
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

    /// Returns the task that goes first, and leaves it in the queue.
    pub(crate) fn peek(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) -> Option<TaskId> {
        let (_, bucket) = self.buckets.first_mut()?;
        bucket.first(is_ready).map(|(_, task)| task)
    }

    /// Takes the task that goes first. The queue no longer counts it, so the caller must set its
    /// state.
    pub(crate) fn pop(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) -> Option<TaskId> {
        self.pop_if(is_ready, |_| true)
    }

    /// As [`pop`](Self::pop), if `wanted` holds for the task that goes first.
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

    /// Returns the task that goes first, and whether it is a root. Drops the stale entries before
    /// it.
    fn first(&mut self, is_ready: impl Fn(u64, TaskId) -> bool) -> Option<(bool, TaskId)> {
        let root = self.roots.first(&mut self.entries, &is_ready);
        while let Some((group, line)) = self.lines.first_mut() {
            if let Some((_, task)) = line.first(&mut self.entries, &is_ready) {
                return match root {
                    // Compared with lines, a root has depth 0 and no parent.
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

    /// Removes the first line, which is empty.
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

    /// Returns the first live entry. Drops the stale entries before it.
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

    /// Empties the line, and returns memory to the allocator if it holds much.
    fn clear(&mut self) {
        self.in_order.clear();
        self.late.clear();
        self.late.shrink_to(64);
    }
}
