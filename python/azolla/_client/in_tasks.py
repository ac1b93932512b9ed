"""Dask's functions for use inside tasks, besides `get_client` and `secede`: `worker_client`, `print` and `warn`."""

import builtins
import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from azolla import _azolla
from azolla._base import where
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._client.functions import get_client, get_worker


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
        where.check("worker_client()")
        raise ValueError("worker_client() was called outside a task") from None
    has_seceded = separate_thread and _azolla.secede()
    try:
        yield get_client()
    finally:
        if has_seceded:
            _azolla.rejoin()


def print(*args: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False) -> None:
    """The builtin `print`. Dask's own `print` shows in the client what a worker prints; here they share a process.

    >>> _ = client.submit(print, "from a task").result()
    from a task
    """
    builtins.print(*args, sep=sep, end=end, file=file, flush=flush)


def warn(
    message: str | Warning,
    category: type[Warning] | None = UserWarning,
    stacklevel: int = 1,
    source: Any = None,
) -> None:
    """`warnings.warn`. Dask's own `warn` shows in the client what a worker warns of; here they share a process.

    Args:
        message: What to warn of.
        category: The warning's class.
        stacklevel: Which caller the warning is attributed to; 1 is the caller of this function.
        source: The object that was destroyed, for a `ResourceWarning`.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("the disk is nearly full")
    >>> str(caught[0].message)
    'the disk is nearly full'
    """
    warnings.warn(message, category, stacklevel=stacklevel + 1, source=source)
