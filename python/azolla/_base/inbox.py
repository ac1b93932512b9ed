"""`Inbox`: a queue whose reader looks at an item before it takes the item out.

An exception can come up in the reader's thread at any point (`threads.py`). What a reader has only looked at is still there
when the thread goes on. Nothing here takes a lock.
"""

import queue
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """What other threads hand to one that takes it in order."""

    def __init__(self) -> None:
        #: The reader takes the first out by `del items[0]`: no exception can come up between this step and a call.
        self.items: deque[T] = deque()
        self._arrived: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, item: T) -> None:
        self.items.append(item)
        self._arrived.put(None)

    def first(self) -> T:
        """Waits for an item, and returns the first. It stays in the inbox."""
        while not self.items:
            self._arrived.get()
        return self.items[0]
