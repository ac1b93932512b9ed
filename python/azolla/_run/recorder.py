"""What runs, and what has run lately: recorded while somebody wants to know.

Nothing here holds a lock: a finalizer may run at any point, on any thread, and may come back to the client.
"""

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Coroutine
from contextvars import Context
from itertools import count
from typing import Any, NamedTuple

from azolla._base import annotations as _annotations
from azolla._base.errors import Reschedule
from azolla._run.transitions import Listeners

#: How many runs that have ended are kept, the latest.
_MOST = 100_000


class Run(NamedTuple):
    """A task that runs."""

    key: Any
    #: The number of the thread on which it began.
    number: int
    annotations: dict[str, Any]
    #: Seconds since 1970; None if that was before anything was recorded.
    start: float | None


class Ended(NamedTuple):
    """A run that has ended. Such as began before anything was recorded are left out: nobody could say when."""

    place: int
    run: Run
    start: float
    stop: float
    #: What Python knows the thread by.
    thread: int
    #: `"OK"`, `"error"`, `"cancelled"` or `"rescheduled"`.
    status: str
    #: Of the result, if there is one.
    type: "type | None"
    nbytes: int
    #: The exception in words, if there is one.
    error: str


class Recorder:
    """Keeps what runs and what has run, while anybody wants it: a listener of a cluster's tasks."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._wanted_by: set[object] = set()
        self._places = count()
        #: By the threads, or the coroutines, that run them.
        self.running: dict[int, Run] = {}
        self.rows: deque[Ended] = deque(maxlen=_MOST)

    def want(self, who: object) -> None:
        """Records from now on."""
        self._wanted_by.add(who)
        self._listeners[None] = self

    def want_no_more(self, who: object) -> None:
        """Records no longer, unless others want it; then what was recorded goes."""
        self._wanted_by.discard(who)
        if not self._wanted_by:
            self._listeners.pop(None, None)
            self.running.clear()
            self.rows.clear()
            if self._wanted_by:  # somebody came meanwhile
                self._listeners[None] = self

    def next_place(self) -> int:
        """What ends from now on comes after this place."""
        return next(self._places)

    # --- What a cluster's tasks tell

    def begun(self, key: Any, number: int, context: Context) -> None:
        """The task of this key has begun on this thread."""
        self.running[threading.get_ident()] = Run(key, number, _annotations.of(context), time.time())

    def detached(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """The task on this thread goes on on the cluster's event loop."""
        run = self.running.pop(threading.get_ident(), None)
        if run is not None:
            self.running[id(coroutine)] = run

    def ended(self, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any] | None = None) -> None:
        """The task on this thread, or the coroutine, has come to its end."""
        run = self.running.pop(threading.get_ident() if coroutine is None else id(coroutine), None)
        if run is None or run.start is None:
            return
        failed = finish == "error"
        self.rows.append(
            Ended(
                place=next(self._places),
                run=run,
                start=run.start,
                stop=time.time(),
                thread=threading.get_ident(),
                status=_status(outcome) if failed else "OK",
                type=None if failed else type(outcome),
                nbytes=0 if failed else size(outcome),
                error=_in_words(outcome) if failed else "",
            )
        )


def size(value: object) -> int:
    """How many bytes a result takes, by what it says of itself or Python does."""
    try:
        size = getattr(value, "nbytes", None)
        return size if isinstance(size, int) else sys.getsizeof(value)
    except Exception:  # what an object says of itself is the user's code
        return 0


def _status(error: object) -> str:
    if isinstance(error, Reschedule):
        return "rescheduled"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "error"


def _in_words(error: object) -> str:
    try:
        return repr(error)
    except Exception:
        return type(error).__qualname__
