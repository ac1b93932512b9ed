"""How a wait lends the slot of its task, and how a coroutine waits.

While a coroutine waits, others on its loop get a turn. A plain task may run an event loop of its own, by `asyncio.run`
for example. While a coroutine on that loop awaits something of azolla, the task's thread sleeps in the loop. The task
lends its slot from the first such wait until the last one has ended. So the slot is free for the tasks that the
coroutines wait for.
"""

import asyncio
import contextlib
import types
from asyncio import _get_running_loop as _running_loop
from collections.abc import Generator, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from azolla import _azolla

#: How many times a coroutine that need not wait goes on at once, while no other is ready. Then the loop looks after its
#: timers and sockets: to do so each time would cost more than the rest of an `await`.
_BUDGET = 128

_spent = 0


@contextlib.contextmanager
def slot_lent(futures: Any = ()) -> Iterator[None]:
    """Lends the slot of the calling task within a `with` statement. The task keeps its resources, as in any wait.

    It does nothing outside tasks, and in a task that has seceded.

    Args:
        futures: What the task waits for, all of them, where that is known: the engine refuses a wait that would never end.

    Raises:
        WaitCycleError: The task would wait for itself, or for what needs the resources that it keeps.
    """
    loan = _azolla.lend(list(futures))
    try:
        yield
    finally:
        if loan is not None:
            _azolla.end_loan(loan)


def others_wait() -> bool:
    """Returns true if a coroutine that need not wait must let the others of its loop run.

    A coroutine that polls would starve them otherwise.
    """
    global _spent
    if getattr(_running_loop(), "_ready", None):
        return True
    # Other threads may count at the same time. An increment that is lost delays a turn a little.
    _spent += 1
    if _spent < _BUDGET:
        return False
    _spent = 0
    return True


@types.coroutine
def turn() -> Generator[None, Any, None]:
    """Lets the other coroutines of the loop run, if need be. Awaited by whatever need not wait."""
    if others_wait():
        yield


@types.coroutine
def pause(waiter: "asyncio.Future[None]", futures: Any = ()) -> Generator[Any, None, None]:
    """Awaits `waiter`. On the thread of a plain task the task lends its slot meanwhile.

    Where `waiter` completes once these futures have ended, and nothing else runs on the loop, the engine is told that the
    task waits for them.
    """
    if not _azolla.in_plain_task():
        yield from waiter
        return
    loop = waiter.get_loop()
    lending = _loops.get(loop)
    if lending is None:
        lending = _loops[loop] = _Lending()
    # `all_tasks` looks at the tasks of all loops. A second wait is a second task.
    known = futures if futures and lending.waits == 0 and len(asyncio.all_tasks(loop)) == 1 else []
    # A task that has seceded lends nothing. The engine is told what it waits for all the same.
    told = not lending.begin(known) and bool(known)
    try:
        if told:
            _azolla.awaits(known)
        yield from waiter
    finally:
        if told:
            _azolla.awaits([])
        lending.end()


class _Lending:
    """The waits of the coroutines on one loop, while the loop runs on the thread of a plain task."""

    def __init__(self) -> None:
        self.waits = 0
        #: The loan of the task's slot for these waits; None if there is none.
        self._loan: int | None = None

    def begin(self, futures: Any) -> bool:
        """Returns true if the slot is lent. A task that has seceded has none to lend."""
        self._loan = _azolla.lend(futures, self._loan)
        self.waits += 1
        return self._loan is not None

    def end(self) -> None:
        self.waits -= 1
        if self.waits == 0 and self._loan is not None:
            loan, self._loan = self._loan, None
            # A coroutine that was dropped may end its wait on another thread, by the garbage collector. That thread has
            # not lent this, and the slot stays lent until the task ends.
            _azolla.end_loan(loan)


_loops: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Lending]" = WeakKeyDictionary()
