//! A list of tasks that is mostly empty or short. It takes sixteen bytes, and allocates only for
//! three tasks or more.

use crate::id::TaskId;
use core::mem;
use thin_vec::{ThinVec, thin_vec};

#[derive(Clone)]
pub(crate) enum Few {
    /// One or two tasks. The second is [`TaskId::GONE`] if there is one task.
    Here(TaskId, TaskId),
    /// No task, or three or more. Also any number, if the list has been longer.
    Listed(ThinVec<TaskId>),
}

const _: () = assert!(size_of::<Few>() == 16);

impl Few {
    pub(crate) const fn new() -> Self {
        Self::Listed(ThinVec::new())
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Here(_, TaskId::GONE) => 1,
            Self::Here(..) => 2,
            Self::Listed(tasks) => tasks.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(tasks) if tasks.is_empty())
    }

    /// Returns whether one more task would need an allocation. Meant for long lists: an empty one
    /// may count as full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Here(..) => self.len() == 2,
            Self::Listed(tasks) => tasks.len() == tasks.capacity(),
        }
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<TaskId> {
        match self {
            Self::Here(first, _) => Some(*first),
            Self::Listed(tasks) => tasks.first().copied(),
        }
    }

    /// Returns the task, if there is exactly one.
    #[inline]
    pub(crate) fn only(&self) -> Option<TaskId> {
        match self {
            Self::Here(only, TaskId::GONE) => Some(*only),
            Self::Here(..) => None,
            Self::Listed(tasks) => match tasks[..] {
                [only] => Some(only),
                _ => None,
            },
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, task: TaskId) {
        match self {
            Self::Listed(tasks) if tasks.is_empty() && tasks.capacity() == 0 => {
                *self = Self::Here(task, TaskId::GONE);
            }
            Self::Here(_, second @ TaskId::GONE) => *second = task,
            Self::Here(first, second) => *self = Self::Listed(thin_vec![*first, *second, task]),
            Self::Listed(tasks) => tasks.push(task),
        }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = TaskId> {
        let (few, listed): (&[TaskId], &[TaskId]) = match self {
            Self::Here(first, TaskId::GONE) => (core::slice::from_ref(first), &[]),
            Self::Here(first, second) => {
                (core::slice::from_ref(first), core::slice::from_ref(second))
            }
            Self::Listed(tasks) => (&[], tasks),
        };
        few.iter().chain(listed).copied()
    }

    /// Keeps only the tasks for which `holds` is true.
    pub(crate) fn retain(&mut self, holds: impl Fn(TaskId) -> bool) {
        match self {
            Self::Listed(tasks) => tasks.retain(|task| holds(*task)),
            Self::Here(..) => *self = self.iter().filter(|task| holds(*task)).collect(),
        }
    }

    /// Cuts the list after the first `at` tasks, and returns the rest.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        if at >= self.len() {
            return Self::new();
        }
        match self {
            Self::Listed(tasks) => Self::Listed(tasks.split_off(at)),
            Self::Here(_, second) if at == 1 => {
                Self::Here(mem::replace(second, TaskId::GONE), TaskId::GONE)
            }
            Self::Here(..) => mem::take(self),
        }
    }
}

impl Default for Few {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<TaskId> for Few {
    #[inline]
    fn from_iter<I: IntoIterator<Item = TaskId>>(tasks: I) -> Self {
        let mut tasks = tasks.into_iter();
        let Some(first) = tasks.next() else { return Self::new() };
        let Some(second) = tasks.next() else { return Self::Here(first, TaskId::GONE) };
        let Some(third) = tasks.next() else { return Self::Here(first, second) };
        let mut listed = ThinVec::with_capacity(3 + tasks.size_hint().0);
        listed.extend([first, second, third]);
        listed.extend(tasks);
        Self::Listed(listed)
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use alloc::vec::Vec;
    use core::num::NonZeroU32;

    fn task(index: u32) -> TaskId {
        TaskId::new(index, NonZeroU32::MIN)
    }

    /// Makes a list of this length by pushing, and one by collecting.
    fn both(len: u32) -> [Few; 2] {
        let mut pushed = Few::new();
        (0..len).for_each(|index| pushed.push(task(index)));
        [pushed, (0..len).map(task).collect()]
    }

    #[test]
    fn it_holds_what_was_put_in_in_that_order() {
        for len in 0..10 {
            let expected: Vec<_> = (0..len).map(task).collect();
            for few in both(len) {
                assert_eq!(few.iter().collect::<Vec<_>>(), expected);
                assert_eq!((few.len(), few.is_empty()), (expected.len(), expected.is_empty()));
                assert_eq!(few.first(), expected.first().copied());
                assert_eq!(few.only(), (len == 1).then_some(task(0)));
            }
        }
    }

    #[test]
    fn it_is_cut_in_two_anywhere() {
        for (len, at) in (0..6).flat_map(|len| (0..8).map(move |at| (len, at))) {
            let (first, second) = (0..len.min(at), len.min(at)..len);
            for mut few in both(len) {
                let rest = few.split_off(at as usize);
                assert_eq!(
                    few.iter().collect::<Vec<_>>(),
                    first.clone().map(task).collect::<Vec<_>>()
                );
                assert_eq!(
                    rest.iter().collect::<Vec<_>>(),
                    second.clone().map(task).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn some_go_and_others_come() {
        for len in 0..6 {
            for mut few in both(len) {
                few.retain(|task| task.index() % 2 == 1);
                few.push(task(7));
                let expected = (0..len).filter(|index| index % 2 == 1).chain([7]).map(task);
                assert_eq!(few.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
        }
    }
}
