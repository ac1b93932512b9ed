"""What a cluster logs by itself: failures that no caller will see, and tasks that no worker can run.

A logging handler is the user's code, and the text of an exception and of arguments is made by the user's code too. So
failures are logged on a thread of their own, which starts when the first is there.
"""

import contextlib
import logging
import reprlib
import sys
from functools import partial
from itertools import count
from typing import Any

from azolla._process.errors import Bytes, unpack
from azolla._run.helper_threads import CallbackThread

logger = logging.getLogger("azolla")

#: The most failures that wait to be logged. What comes on top is counted.
MOST = 1000

#: The most bytes that the texts of such failures may take together, those aside that are less than `LARGE`. One may take more.
MOST_BYTES, LARGE = 2**24, 2**16

#: A failure: the task's key, its function's name, the arguments by place and by name if they are still there, and the
#: exception, or a text where the engine has broken down, or the bytes of an exception from a worker process.
Unseen = tuple[str, str, tuple[tuple[Any, ...], dict[str, Any] | None] | None, BaseException | str | Bytes]


class Logging:
    """The part of `LocalCluster` that logs."""

    name: str
    #: The thread that logs failures; None once the cluster is closed.
    _log_thread: CallbackThread | None
    #: How many failures were not logged, since too many came at once.
    _left_out = 0
    #: Of the failures that wait to be logged: how many bytes the large ones take, by their numbers.
    _large: dict[int, int]
    _numbers = count(1)
    #: The constraints that no worker can meet and that a warning has named: each is warned of once.
    _unrunnable: set[str]

    _log_event: Any
    _shown_workers: Any
    _has_processes: bool

    def _warn_unrunnable(self, workers: Any, resources: Any) -> None:
        """Warns, once for each combination, that no worker can ever run tasks submitted with these constraints."""
        asked = {"workers": workers, "resources": resources}
        what = ", ".join(f"{name}={value!r}" for name, value in asked.items() if value is not None)
        if what not in self._unrunnable:
            self._unrunnable.add(what)
            message = f"no worker of this cluster can run tasks with {what}: they wait until they are cancelled"
            if self._has_processes:
                message += ", or until the cluster is scaled and such a worker comes"
            if workers is not None:
                message += f"; the workers are {self._shown_workers() or 'none now'}"
            logger.warning(message)
            self._log_event("no-worker", {"message": message, **asked})

    def _warn_costly(self, name: str, hashing: float, task: float) -> None:
        """Warns that it takes longer to hash a pure function at its submit than to run its tasks."""
        logger.warning(
            f"to hash {name} takes {hashing * 1e3:.1f} ms at each submit, and its tasks take {task * 1e3:.1f} ms: it names "
            "or closes over large values. Pass these as futures (scatter), or submit with pure=False"
        )

    def _log_unseen(self, *unseen: Any) -> None:
        """Logs a failure that no future shows and nothing has asked for."""
        thread = self._log_thread
        if thread is None:
            return
        size = _text_bytes(unseen[-1])
        waiting = sum(self._large.copy().values()) if size >= LARGE else 0
        if thread.waiting() >= MOST or (waiting and waiting + size > MOST_BYTES):
            self._left_out += 1
            return
        number = next(self._numbers)
        if size >= LARGE:
            self._large[number] = size
        # No thread can be started any more when the interpreter is ending.
        with contextlib.suppress(RuntimeError):
            thread.post(partial(_log_unseen, self._large, number), unseen)

    def _stop_logging(self, patience: float) -> None:
        thread, self._log_thread = self._log_thread, None
        if thread is not None:
            if self._left_out:
                thread.post(_log_left_out, self._left_out)
            thread.stop(patience)


def _log_unseen(large: dict[int, int], number: int, unseen: Unseen) -> None:
    try:
        _log(*unseen)
    finally:
        large.pop(number, None)


def _log(
    key: str, name: str, call: tuple[tuple[Any, ...], dict[str, Any] | None] | None, error: BaseException | str | Bytes
) -> None:
    if isinstance(error, Bytes):
        error = unpack(error)
    what = f"{name}(...)" if call is None else f"{name}({_arguments(*call)})"
    if isinstance(error, str):
        logger.error("task %s failed, and no future shows it: %s\n%s", key, what, error)
    else:
        exc_info = (type(error), error, error.__traceback__)
        logger.error("task %s failed, and no future shows it: %s", key, what, exc_info=exc_info)


def _text_bytes(error: BaseException | str | Bytes) -> int:
    """Returns how many bytes the texts take that an exception was made with."""
    if isinstance(error, memoryview):
        return error.nbytes
    args = (error,) if isinstance(error, str | bytes) else vars(BaseException)["args"].__get__(error)
    return sum(sys.getsizeof(part) for part in args if type(part) in (str, bytes, bytearray))


def _log_left_out(failures: int) -> None:
    logger.error("%d more tasks failed, and no future shows it: there were too many at once to log each", failures)


def _arguments(call: tuple[Any, ...], kwargs: dict[str, Any] | None) -> str:
    """Returns the arguments as a call shows them, cut short."""
    shown = [_short(argument) for argument in call[1:]]
    shown += [f"{name}={_short(argument)}" for name, argument in (kwargs or {}).items()]
    text = ", ".join(shown)
    return text if len(text) <= 500 else f"{text[:500]}..."


def _short(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except BaseException:  # the value's own `__repr__` may raise anything
        return f"<{type(value).__name__}>"
