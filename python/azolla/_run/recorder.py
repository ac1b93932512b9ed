"""Records which tasks run and which have run lately, while at least one reader has asked for it.

The code here holds no lock: a finalizer may run at any point, on any thread, and may call into the client.
"""

import asyncio
import pickle
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

#: How many ended runs are kept. The oldest go first.
_MOST = 100_000

#: The longest text of an error from a worker process, in characters.
_TEXT = 100_000


class Run(NamedTuple):
    """A task that is running."""

    key: Any
    #: The number of the worker thread on which the task began.
    number: int
    #: The annotations; those of a task in a worker process as a pickle, if it has any.
    notes: dict[str, Any] | bytes | None
    #: Seconds since 1970; None if the task began before the recording did.
    start: float | None

    @property
    def annotations(self) -> dict[str, Any]:
        """The task's annotations. A pickle is read only now, on the reader's thread: user code may run."""
        if isinstance(self.notes, bytes):
            return pickle.loads(self.notes)[1] or {}
        return self.notes or {}


class Kind(NamedTuple):
    """The class of a result, as it is shown."""

    name: str
    #: None if the class cannot be pickled, say since it is defined in a function.
    pickle: bytes | None


class Ended(NamedTuple):
    """A run that has ended. Runs that began before the recording are left out, since their start is unknown."""

    place: int
    run: Run
    start: float
    stop: float
    #: Python's identifier of the thread on which the run ended, in its process.
    thread: int
    #: `"OK"`, `"error"`, `"cancelled"` or `"rescheduled"`.
    status: str
    #: The result's class; None if the run failed.
    type: "type | Kind | None"
    nbytes: int
    #: The exception's `repr`; empty if the run succeeded.
    error: str


class Recorder:
    """A listener that keeps a cluster's running tasks and its latest ended runs, while a reader wants them."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._wanted_by: set[object] = set()
        self._places = count()
        #: The running tasks, by the identifier of their thread, or by the `id` of their coroutine.
        self.running: dict[int, Run] = {}
        self.rows: deque[Ended] = deque(maxlen=_MOST)

    def want(self, who: object) -> None:
        """Starts the recording on behalf of the reader `who`."""
        self._wanted_by.add(who)
        self._listeners[None] = self

    def want_no_more(self, who: object) -> None:
        """Withdraws the reader `who`. After the last reader the recording stops, and its records are dropped."""
        self._wanted_by.discard(who)
        if not self._wanted_by:
            self._listeners.pop(None, None)
            self.running.clear()
            self.rows.clear()
            if self._wanted_by:  # another thread has called `want` meanwhile
                self._listeners[None] = self

    @property
    def wanted(self) -> bool:
        """True while a reader wants the records."""
        return bool(self._wanted_by)

    def next_place(self) -> int:
        """Returns a place in the record: every run that ends from now on gets a higher one."""
        return next(self._places)

    # --- The listener's methods, called on the tasks' threads

    def begun(self, key: Any, number: int, context: Context) -> None:
        """Notes that the task of this key has begun on this thread."""
        self.running[threading.get_ident()] = Run(key, number, _annotations.of(context), time.time())

    def noted(self, key: Any, number: int, notes: bytes | None, start: int, stop: int, about: bytes) -> None:
        """Notes that a task has ended in a worker process, which tells the times in nanoseconds, and the rest in `about`, unless
        it had no memory for that, say.
        """
        if not about:
            return
        thread, status, cls, nbytes, error = pickle.loads(about)
        run = Run(key, number, notes, start / 1e9)
        of = None if cls is None else Kind(*cls)
        place = next(self._places)
        self.rows.append(Ended(place, run, start / 1e9, stop / 1e9, thread, status, of, nbytes, error))

    def detached(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Notes that the task on this thread continues as a coroutine on the cluster's event loop."""
        run = self.running.pop(threading.get_ident(), None)
        if run is not None:
            self.running[id(coroutine)] = run

    def ended(self, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any] | None = None) -> None:
        """Notes that a task has ended: the one on this thread, or the given coroutine's."""
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
    """Returns how many bytes a result takes: its own `nbytes` if that is an int, else what `sys.getsizeof` says."""
    try:
        size = getattr(value, "nbytes", None)
        return size if isinstance(size, int) else sys.getsizeof(value)
    except Exception:  # `nbytes` and `__sizeof__` may be the user's code, and raise
        return 0


def kind(cls: type) -> Kind:
    """Returns how the class of a result is shown."""
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    try:
        return Kind(name, pickle.dumps(cls))
    except Exception:
        return Kind(name, None)


def about(outcome: Any, failed: bool) -> bytes:
    """Returns what a worker process tells of a run besides its times, as a pickle: the interpreter's own types."""
    if failed:
        return pickle.dumps((threading.get_ident(), _status(outcome), None, 0, _in_words(outcome)[:_TEXT]))
    return pickle.dumps((threading.get_ident(), "OK", tuple(kind(type(outcome))), int(size(outcome)), ""))


def _status(error: object) -> str:
    if isinstance(error, Reschedule):
        return "rescheduled"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "error"


def _in_words(error: object) -> str:
    try:
        return repr(error)
    except Exception:
        return type(error).__qualname__
