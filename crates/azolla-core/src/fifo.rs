//! A first-in, first-out queue in blocks. A long queue does not copy itself to grow, allocates
//! little more than it needs, and gives blocks back as it shrinks.

use alloc::collections::VecDeque;

pub(crate) struct Fifo<T> {
    /// The block that goes first. Empty only if the queue is.
    head: VecDeque<T>,
    /// The blocks after it. None is empty.
    rest: VecDeque<VecDeque<T>>,
}

const BLOCK: usize = 512;

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { head: VecDeque::new(), rest: VecDeque::new() }
    }
}

impl<T> Fifo<T> {
    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        let last = self.rest.back_mut().unwrap_or(&mut self.head);
        if last.len() == BLOCK {
            self.push_block(item);
        } else {
            last.push_back(item);
        }
    }

    #[inline(never)]
    fn push_block(&mut self, item: T) {
        let mut block = VecDeque::with_capacity(BLOCK);
        block.push_back(item);
        self.rest.push_back(block);
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<&T> {
        self.head.front()
    }

    #[inline]
    pub(crate) fn last(&self) -> Option<&T> {
        self.rest.back().unwrap_or(&self.head).back()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.head.pop_front();
        if self.head.is_empty()
            && let Some(next) = self.rest.pop_front()
        {
            self.head = next;
        }
        item
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.rest.iter().map(VecDeque::len).sum::<usize>()
    }

    /// Keeps only the items for which `holds` is true, and gives back the memory of the others.
    pub(crate) fn retain(&mut self, holds: impl Fn(&T) -> bool) {
        for block in core::iter::once(&mut self.head).chain(&mut self.rest) {
            block.retain(&holds);
            block.shrink_to_fit();
        }
        self.rest.retain(|block| !block.is_empty());
        if self.head.is_empty() {
            self.head = self.rest.pop_front().unwrap_or_default();
        }
    }

    /// Empties the queue, and gives back its memory if it was much.
    pub(crate) fn clear(&mut self) {
        self.head.clear();
        self.head.shrink_to(64);
        self.rest = VecDeque::new();
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use alloc::vec::Vec;

    /// Returns how many items the blocks have room for.
    fn room<T>(fifo: &Fifo<T>) -> usize {
        fifo.head.capacity() + fifo.rest.iter().map(VecDeque::capacity).sum::<usize>()
    }

    #[test]
    fn what_goes_in_first_comes_out_first_and_its_room_goes_with_it() {
        let mut fifo = Fifo::default();
        let (mut next, mut out) = (0, 0);
        for (pushed, popped) in
            [(3, 2), (BLOCK, 10), (5 * BLOCK, 5 * BLOCK + 3), (BLOCK, 100), (0, 2 * BLOCK)]
        {
            for _ in 0..pushed {
                fifo.push(next);
                next += 1;
            }
            assert_eq!((fifo.first(), fifo.last()), (Some(&out), Some(&(next - 1))));
            for _ in 0..popped.min(fifo.len()) {
                assert_eq!(fifo.pop(), Some(out));
                out += 1;
            }
            assert_eq!(fifo.len(), next - out);
            assert!(room(&fifo) <= fifo.len() + 2 * BLOCK, "{} for {}", room(&fifo), fifo.len());
        }
        assert_eq!((fifo.first(), fifo.last()), (None, None));
        assert_eq!(fifo.pop(), None);
    }

    #[test]
    fn some_are_kept_in_their_order() {
        let mut fifo = Fifo::default();
        (0..3 * BLOCK).for_each(|n| fifo.push(n));
        fifo.retain(|n| n % 7 == 0);
        let kept: Vec<_> = core::iter::from_fn(|| fifo.pop()).collect();
        assert_eq!(kept, (0..3 * BLOCK).filter(|n| n % 7 == 0).collect::<Vec<_>>());
        fifo.push(1);
        fifo.clear();
        assert_eq!((fifo.len(), fifo.pop()), (0, None));
    }
}
