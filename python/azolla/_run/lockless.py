"""`LocklessFuture`: a future of `concurrent.futures` whose methods take no lock.

Ctrl-C may interrupt the main thread anywhere in Python code, also between the steps in which `threading.Condition` takes
its lock and gives it back. The lock then stays taken for ever. A future of the standard library has such a lock, which
the thread that waits and the thread that settles both take. An interrupted caller would stop azolla's thread.

Here each change is a single step on a dictionary or a list. Whoever waits sleeps on a queue of its own. What
`concurrent.futures.wait` and `as_completed` count is counted on the thread that called them.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from threading import get_ident
from typing import Any, Generic, TypeVar

from azolla import _azolla
from azolla._run.lending import slot_lent

R = TypeVar("R")

_DONE = (CANCELLED_AND_NOTIFIED, FINISHED)


class LocklessFuture(Future[R], Generic[R]):
    """A future whose caller may be interrupted at any point. In a task a wait for it takes no slot."""

    # The constructor of the standard library would make a condition.
    def __init__(self) -> None:
        #: How the call began (it is running, or cancelled), and its result or exception. The first to enter each counts.
        self._begun: dict[None, str] = {}
        self._ended: dict[None, tuple[Any, BaseException | None]] = {}
        #: One queue for each thread that waits. It gets an item when the future is done.
        self._sleepers: dict[queue.SimpleQueue[None], None] = {}
        #: Each callback is in a list of its own. The thread that takes it out calls it.
        self._callbacks: list[list[Callable[[Any], object]]] = []
        self._watchers: dict[Any, None] = {}
        #: What threads have seen that look at several futures as if they held the locks of all, by thread.
        self._seen: dict[int, str] = {}

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: pass its result, or an azolla Future")

    def cancel(self) -> bool:
        """Cancels the call, unless it runs or has ended."""
        if self._begun.setdefault(None, CANCELLED_AND_NOTIFIED) != CANCELLED_AND_NOTIFIED:
            return False
        self._tell()
        return True

    def cancelled(self) -> bool:
        """Returns True if the call was cancelled."""
        return self._now() == CANCELLED_AND_NOTIFIED

    def running(self) -> bool:
        """Returns True if the call runs."""
        return self._now() == RUNNING

    def done(self) -> bool:
        """Returns True if the call was cancelled or has ended."""
        return self._now() in _DONE

    def result(self, timeout: float | None = None) -> R:
        """Waits for the result, and returns it."""
        self._wait(timeout)
        try:
            if self._exception is not None:
                raise self._exception
            return self._result  # type: ignore[no-any-return]
        finally:
            del self  # the exception's traceback refers to this frame

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the call, and returns the exception that it has raised; None if it has succeeded."""
        self._wait(timeout)
        return self._exception

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Has `fn` called with this future once it is done."""
        callback = [fn]
        self._callbacks.append(callback)
        if self.done():
            self._call(callback)

    def set_running_or_notify_cancel(self) -> bool:
        """Marks the call as running. Returns False if it was cancelled or has ended."""
        return self._begun.setdefault(None, RUNNING) == RUNNING and not self._ended

    def set_result(self, result: Any) -> None:
        """Ends the call with a result.

        Raises:
            InvalidStateError: It was cancelled or has ended.
        """
        self._end((result, None))

    def set_exception(self, exception: BaseException | None) -> None:
        """Ends the call with an exception.

        Raises:
            InvalidStateError: It was cancelled or has ended.
        """
        self._end((None, exception))

    def _end(self, outcome: tuple[Any, BaseException | None]) -> None:
        if self._begun.setdefault(None, RUNNING) != RUNNING or self._ended.setdefault(None, outcome) is not outcome:
            raise InvalidStateError(f"{self._now()}: {self!r}")
        self._tell()

    def _tell(self) -> None:
        """Tells all who wait. After an interrupted call, another one tells those who are left."""
        for sleeper in list(self._sleepers):
            sleeper.put(None)
        for waiter in list(self._watchers):
            self._report_to(waiter)
        for callback in list(self._callbacks):
            self._call(callback)

    def _call(self, callback: list[Callable[[Any], object]]) -> None:
        try:
            function = callback.pop()
        except IndexError:  # another thread calls it
            return
        try:
            function(self)
        except Exception:
            logging.getLogger("concurrent.futures").exception("exception calling callback for %r", self)

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            sleeper: queue.SimpleQueue[None] = queue.SimpleQueue()
            self._sleepers[sleeper] = None
            try:
                if not self.done():
                    with slot_lent(self._awaited()), contextlib.suppress(queue.Empty):
                        sleeper.get(timeout=_limit(timeout))
            finally:
                self._sleepers.pop(sleeper, None)
        if not self.done():
            raise TimeoutError
        if self.cancelled():
            raise CancelledError

    def _awaited(self) -> list[Any]:
        """Returns the azolla future without whose end this one does not end, if there is one."""
        return []

    def _now(self) -> str:
        begun = self._begun.get(None, PENDING)
        return FINISHED if begun == RUNNING and self._ended else begun

    # --- What the standard library's functions read

    @property
    def _result(self) -> Any:  # type: ignore[override]
        return self._ended.get(None, (None, None))[0]

    @property
    def _exception(self) -> BaseException | None:  # type: ignore[override]
        return self._ended.get(None, (None, None))[1]

    @property
    def _state(self) -> str:  # type: ignore[override]
        return self._seen.get(get_ident()) or self._now()

    @property
    def _condition(self) -> "_Look":  # type: ignore[override]
        return _Look(self)

    @property
    def _waiters(self) -> "_Waiters":  # type: ignore[override]
        return _Waiters(self)

    def _report_to(self, waiter: Any) -> None:
        with contextlib.suppress(KeyError):  # another thread has reported
            del self._watchers[waiter]
            waiter.event.arrive(waiter, self)


class _Look:
    """Stands for the lock of a future. To take it stops nothing: the thread sees the future unchanged until it lets go.

    If it never does, because it was interrupted, the next look of that thread begins anew.
    """

    def __init__(self, future: LocklessFuture[Any]) -> None:
        self._future = future

    def acquire(self) -> bool:
        self._future._seen[get_ident()] = self._future._now()
        return True

    def release(self) -> None:
        self._future._seen.pop(get_ident(), None)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class _Waiters:
    """Stands for the list of those who wait by `concurrent.futures.wait` or `as_completed`."""

    def __init__(self, future: LocklessFuture[Any]) -> None:
        self._future = future

    def append(self, waiter: Any) -> None:
        if type(waiter.event) is threading.Event:
            waiter.event = _Arrivals(wants_all=getattr(waiter, "stop_on_exception", True) is False)
        if self._future._state not in _DONE:  # otherwise this thread has counted it
            if type(waiter.event) is _Arrivals:
                waiter.event.expect(self._future)
            self._future._watchers[waiter] = None
            if self._future.done():
                self._future._report_to(waiter)

    def remove(self, waiter: Any) -> None:
        self._future._watchers.pop(waiter, None)


class _Arrivals:
    """Stands for the event of a waiter. The thread that waits for it tells the waiter which futures have ended."""

    def __init__(self, wants_all: bool) -> None:
        self._wants_all = wants_all
        #: The futures without which a task that waits for all of them cannot go on.
        self._wanted: list[LocklessFuture[Any]] = []
        self._is_set = False
        self._arrived: queue.SimpleQueue[tuple[Any, LocklessFuture[Any]] | None] = queue.SimpleQueue()

    def expect(self, future: LocklessFuture[Any]) -> None:
        # A wait for the first of several may end by a future of another kind.
        if self._wants_all and _azolla.in_plain_task():
            self._wanted.append(future)

    def arrive(self, waiter: Any, future: LocklessFuture[Any]) -> None:
        self._arrived.put((waiter, future))

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._arrived.put(None)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        self._take_all()
        if not self._is_set:
            end = None if timeout is None else time.monotonic() + timeout
            with (
                slot_lent([one for future in self._wanted for one in future._awaited()]),
                contextlib.suppress(queue.Empty),
            ):
                while not self._is_set:
                    self._tell(self._arrived.get(timeout=_limit(None if end is None else end - time.monotonic())))
            self._take_all()
        return self._is_set

    def _take_all(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._tell(self._arrived.get_nowait())

    def _tell(self, arrived: tuple[Any, LocklessFuture[Any]] | None) -> None:
        if arrived is None:
            return
        waiter, future = arrived
        if future.cancelled():
            waiter.add_cancelled(future)
        elif future.exception() is not None:
            waiter.add_exception(future)
        else:
            waiter.add_result(future)


def _limit(timeout: float | None) -> float | None:
    return None if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
