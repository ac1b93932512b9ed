"""Dask's functions for use inside tasks, besides `get_client` and `secede`: `worker_client`, `print` and `warn`."""

import builtins
import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from azolla import _azolla
from azolla._base import where
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._client.functions import get_client, get_worker
from azolla._cluster import workers as _workers
from azolla._process.parts import dumps


@contextlib.contextmanager
def worker_client(timeout: Timeout = None, separate_thread: bool = True) -> Iterator[Client]:
    """Gives the client that runs the task in which this is called. Within the `with` statement the task holds no slot.

    Waiting takes no slot in any case. This is for other code that takes long and computes nothing.

    Args:
        timeout: Taken as Dask takes it; nothing is waited for.
        separate_thread: If true, the task secedes on entry and rejoins at the end. A task that has seceded before stays
            seceded.

    Raises:
        ValueError: This is not called in a task.

    >>> def grow(n):
    ...     with worker_client() as client:
    ...         return sum(client.gather(client.map(abs, range(-n, 0))))
    >>> client.submit(grow, 4).result()
    10
    """
    try:
        get_worker()
    except ValueError:
        raise ValueError("worker_client() was called outside a task") from None
    has_seceded = separate_thread and _azolla.secede()
    try:
        yield get_client()
    finally:
        if has_seceded:
            _azolla.rejoin()


def print(*args: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False) -> None:
    """The builtin `print`; in a task of a worker process, that of the program's own process.

    So the output comes where the program's own goes: into a cell of a notebook, say, or where `sys.stdout` leads by then.
    It comes once: Dask's `print` writes it in the worker as well. What goes to another file, the task writes itself.

    >>> _ = client.submit(print, "from a task").result()
    from a task
    """
    stream = _stream(sys.stdout if file is None else file) if where.in_worker_process else None
    if stream is None or _workers.current() is None:
        builtins.print(*args, sep=sep, end=end, file=file, flush=flush)
        return
    text = io.StringIO()
    builtins.print(*args, sep=sep, end=end, file=text)
    _ask("print", stream, text.getvalue(), flush)


def _stream(file: Any) -> str | None:
    """Returns the name of the stream, if this is one that the process has from its start."""
    for name in ("stdout", "stderr"):
        if file is not None and file is getattr(sys, f"__{name}__"):
            return name
    return None


def _ask(*what: Any) -> None:
    from azolla._client.in_process import ask

    ask(*what)


def warn(
    message: str | Warning,
    category: type[Warning] | None = UserWarning,
    stacklevel: int = 1,
    source: Any = None,
) -> None:
    """`warnings.warn`; in a task of a worker process, that of the program's own process.

    So the program's filters hold, and it sees the warning with the line of the task. It comes once: Dask's `warn` warns in
    the worker as well.

    Args:
        message: What to warn of.
        category: The warning's class.
        stacklevel: Which caller the warning is attributed to; 1 is the caller of this function.
        source: The object that was destroyed, for a `ResourceWarning`. It stays in its process.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("the disk is nearly full")
    >>> str(caught[0].message)
    'the disk is nearly full'
    """
    asks = _explicitly(message, category, stacklevel) if where.in_worker_process and _workers.current() else None
    if asks is None:
        warnings.warn(message, category, stacklevel=stacklevel + 1, source=source)
    else:
        _ask("warn", *asks)


def _explicitly(message: Any, category: Any, stacklevel: int) -> tuple[Any, ...] | None:
    """Returns what `warnings.warn_explicit` takes for a warning that the caller's caller gives. None if it is none, or cannot
    travel.
    """
    category = type(message) if isinstance(message, Warning) else category or UserWarning
    try:
        dumps((message, category))
        if not issubclass(category, Warning):
            return None
    except Exception:
        return None
    try:
        frame = sys._getframe(max(1, stacklevel) + 1)
    except ValueError:  # there are not as many callers
        return message, category, "sys", 1, "sys"
    return message, category, frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__") or "<string>"
