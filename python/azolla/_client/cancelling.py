"""What a task knows of its own cancel, and what it does about it."""

import asyncio
import time
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any

from azolla import _azolla
from azolla._base.time import Timeout, seconds


def cancelled() -> bool:
    """Returns True if the task that calls this was cancelled, or its client closed; outside tasks False.

    A long computation asks now and then, and ends early. In a worker process each call asks the program's own process, which
    takes some 10 µs.

    >>> from azolla import cancelled
    >>> def count_on():
    ...     n = 0
    ...     while not cancelled():
    ...         n += 1
    >>> endless = client.submit(count_on)
    >>> endless.cancel()
    """
    # A plain task may run a loop of its own.
    return _azolla.is_cancelled() or _is_coroutine_cancelled()


def check_cancelled() -> None:
    """Raises `Cancelled` if the task that calls this was cancelled. Within `shield()`, and outside tasks, it does nothing.

    A coroutine task is cancelled at its next `await` instead.

    Raises:
        Cancelled: The task was cancelled.
        ClosedClientError: The client was closed.

    >>> from azolla import check_cancelled
    >>> def search(numbers):
    ...     for number in numbers:
    ...         check_cancelled()
    >>> client.submit(search, range(10)).result()
    """
    _azolla.check_cancelled()


def sleep(delay: Timeout) -> Any:
    """Sleeps for so many seconds. In a task that takes no slot, and ends when the task is cancelled.

    On an event loop it returns an awaitable. A delay is given as time-outs are; None is a sleep without end.

    Raises:
        Cancelled: The task was cancelled.
        ClosedClientError: The client was closed meanwhile.
        ValueError: A delay below 0.
        TypeError: `delay` is none.

    >>> from azolla import sleep
    >>> client.gather(client.map(sleep, [0.01] * 8, pure=False))
    [None, None, None, None, None, None, None, None]
    """
    limit = None if delay is None else seconds(delay)
    if limit is not None and limit < 0:
        raise ValueError(f"sleep(): a delay is 0 or more, not {delay!r}")
    if asyncio._get_running_loop() is not None:
        return _sleep(limit)
    if not _azolla.sleep_in_task(limit):
        while limit is None:
            time.sleep(3600)
        time.sleep(limit)
    return None


async def _sleep(limit: float | None) -> None:
    if limit is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(limit)


class shield(ContextDecorator):
    """In this block waits go on though the task is cancelled: for what must come to its end once it has begun.

    `cancelled()` tells of the cancel here too. Shields nest, each `with` with a `shield()` of its own. Outside tasks the block
    does nothing else. Waits end here too when the client is closed.

    Raises:
        RuntimeError: This is a coroutine: `asyncio.shield` is for these. Or this `shield()` was entered before.

    >>> from azolla import Lock, shield
    >>> def move():
    ...     with shield(), Lock("books"):
    ...         return "moved as a whole"
    >>> client.submit(move).result()
    'moved as a whole'
    """

    def __init__(self) -> None:
        self._is_entered = False

    def __enter__(self) -> None:
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("shield() is for plain tasks: in a coroutine, await asyncio.shield(...)")
        if self._is_entered:
            raise RuntimeError("shield(): it was entered before: each `with` needs a shield() of its own")
        self._is_entered = True
        _azolla.shield_task(True)

    def __exit__(
        self, _class: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        _azolla.shield_task(False)

    def _recreate_cm(self) -> "shield":
        """Each call of a function with this decorator has a shield of its own."""
        return shield()


def _is_coroutine_cancelled() -> bool:
    coroutine = None if asyncio._get_running_loop() is None else asyncio.current_task()
    return coroutine is not None and coroutine.cancelling() > 0
