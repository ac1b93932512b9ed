"""`CallersLoop`: the event loop that awaited an asynchronous client. The client's coroutine tasks run on it.

The loop belongs to the program, which may stop or close it at any time. What was posted to a loop that is closed is
given up, so that no wait for it goes on for ever. The code here holds no lock: a finalizer may run at any point.
"""

import asyncio
import queue
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from azolla import _azolla

#: A timer that never fires, in seconds. The loop drops it when it is closed.
_NEVER = 3e8


class _Posted(NamedTuple):
    give_up: Callable[[], object]
    ended: Callable[["asyncio.Task[Any]"], object]
    #: True for a coroutine task, which the engine cancels when the cluster ends.
    is_task: bool


class CallersLoop:
    """An event loop of the program, and what one client has posted to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        #: Python's identifier of the thread on which the loop ran last.
        self.ident: int | None = None
        self._numbers = count()
        self._posted: dict[int, _Posted] = {}
        #: The timer of the guard. Only the loop keeps it, while something has been begun there.
        self._guard: weakref.ref[asyncio.TimerHandle] | None = None
        #: Gets an item for each end, once a closing thread waits for the ends.
        self._ends: queue.SimpleQueue[None] | None = None

    def post(
        self,
        begin: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any]"],
        give_up: Callable[[], object],
        ended: Callable[["asyncio.Task[Any]"], object],
        is_task: bool,
    ) -> bool:
        """Has the loop call `begin`, which must return an asyncio task, and `ended` with that task at its end.

        Returns false if the loop is closed.

        If the loop is closed before that task ends, `give_up` is called instead, on the thread that closes it.
        """
        call = _Call(self, next(self._numbers), begin)
        self._posted[call.number] = _Posted(give_up, ended, is_task)
        try:
            self.loop.call_soon_threadsafe(call)
        except RuntimeError:
            del self._posted[call.number]
            return False
        return True

    def _run(self, number: int, begin: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any]"]) -> None:
        if number not in self._posted:
            return
        if self._guard is None:
            _azolla.coroutines_run_here()
            self.ident = threading.get_ident()
            self._guard = weakref.ref(self.loop.call_later(_NEVER, _Guard(self)))
        begin(self.loop).add_done_callback(partial(self._over, number))

    def _over(self, number: int, task: "asyncio.Task[Any]") -> None:
        posted = self._posted.pop(number, None)
        if posted is not None:
            posted.ended(task)
        if not self._posted and self._guard is not None:
            guard, self._guard = self._guard(), None
            if guard is not None:
                guard.cancel()
        if self._ends is not None:
            self._ends.put(None)

    def _give_up(self, number: int) -> None:
        posted = self._posted.pop(number, None)
        if posted is not None:
            posted.give_up()

    def give_up(self) -> None:
        """Gives up all that has not ended."""
        for number in list(self._posted):
            self._give_up(number)

    def stop(self, patience: float) -> None:
        """Ends what was posted, for a cluster that has closed. The loop goes on.

        The engine has cancelled the coroutine tasks. They get up to `patience` seconds to end, unless this thread is
        the one that runs the loop, or the loop stands still.
        """
        self._ends = queue.SimpleQueue()
        for number, posted in list(self._posted.items()):
            if not posted.is_task:
                self._give_up(number)
        deadline = time.monotonic() + patience
        if self.loop.is_running() and asyncio._get_running_loop() is not self.loop:
            while self._posted and (left := deadline - time.monotonic()) > 0:
                try:
                    self._ends.get(timeout=left)
                except queue.Empty:
                    break
        self.give_up()


class _Call:
    """A callback of the loop. If the loop drops it without a call, it is given up."""

    __slots__ = ("_begin", "_to", "number")

    def __init__(
        self, to: CallersLoop, number: int, begin: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any]"]
    ) -> None:
        self._to, self.number = to, number
        self._begin: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any]] | None = begin

    def __call__(self) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            self._to._run(self.number, begin)

    def __del__(self) -> None:
        if self._begin is not None:
            self._to._give_up(self.number)


class _Guard:
    """The callback of a timer that never fires. A loop that is closed drops it, and so it notices the end of the loop."""

    __slots__ = ("_of",)

    def __init__(self, of: CallersLoop) -> None:
        self._of = of

    def __call__(self) -> None:
        """Does nothing."""

    def __del__(self) -> None:
        if self._of.loop.is_closed():
            self._of.give_up()
