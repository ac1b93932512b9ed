"""`progress`: a bar that moves while futures end, in a console and in a notebook."""

import re
import sys
import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

from azolla import _azolla, _leave
from azolla._azolla import Future
from azolla._functions import futures_of

#: How often the bar is drawn, in seconds.
_INTERVAL = 0.1
_WIDTH = 40


def progress(
    *futures: Any,
    notebook: bool | None = None,
    multi: bool = True,
    complete: bool = True,
    group_by: Callable[[Any], str] | str = "prefix",
) -> None:
    """Shows how many futures have ended, until all have.

    In a console this returns once they have ended; in a notebook at once, and the bars go on moving. Lists are looked
    into anew each time, so the total moves as futures are added to them.

    Args:
        *futures: Futures, nested as for `gather`, or Dask collections.
        notebook: Whether to draw for a notebook; by default, whether this runs in one.
        multi: In a notebook, whether each group has a bar of its own.
        complete: Whether those that have ended when this is called count.
        group_by: What makes a group: `"prefix"`, the name of the tasks' function, or a function of a key.

    Raises:
        ValueError: `group_by` is neither.
        ImportError: `notebook=True`, and there is no IPython.

    >>> progress(client.map(abs, range(-10, 0)), notebook=False)  # doctest: +ELLIPSIS
    <BLANKLINE>
    ...10/10...
    """
    if group_by != "prefix" and not callable(group_by):
        raise ValueError(f"group_by must be 'prefix' or a function of a key, not {group_by!r}")
    name = group_by if callable(group_by) else prefix
    before = set() if complete else {id(future) for future in futures_of(futures) if future.done()}
    counts = _Counts(futures, name if multi else lambda key: "all", before)
    if notebook or (notebook is None and _in_notebook()):
        _draw_in_notebook(counts)
    else:
        _draw_in_console(counts)


class _Counts:
    """How many futures of each group have ended, and failed, of how many."""

    def __init__(self, futures: Any, name: Callable[[Any], str], left_out: set[int]) -> None:
        self._futures, self._name, self._left_out = futures, name, left_out
        self._begin = time.monotonic()

    def now(self) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for future in futures_of(self._futures):
            if id(future) not in self._left_out:
                group = groups.setdefault(self._name(future.key), [0, 0, 0])
                status = future.status
                group[0] += status != "pending"
                group[1] += status not in ("pending", "finished")
                group[2] += 1
        return groups

    def wait(self) -> bool:
        """Whether some have not ended after a moment."""
        pending: list[Future[Any]] = [future for future in futures_of(self._futures) if not future.done()]
        if pending:
            try:
                _azolla.wait(pending, _INTERVAL)
            except TimeoutError:
                return True
        return any(not future.done() for future in futures_of(self._futures))

    def seconds(self) -> float:
        return time.monotonic() - self._begin


def prefix(key: Any) -> str:
    """The name that a key begins with: what stands before its digest or number.

    >>> from azolla._progress import prefix
    >>> prefix("inc-0123456789abcdef0123456789abcdef"), prefix(("sum-0123abcd", 0)), prefix("mine")
    ('inc', 'sum', 'mine')
    """
    while isinstance(key, tuple) and key:
        key = key[0]
    return re.sub(r"(-[0-9a-f]{4,})+$", "", str(key)) or str(key)


def _draw_in_console(counts: _Counts) -> None:
    try:
        while True:
            more = counts.wait()
            groups = counts.now().values()
            done, failed, total = (sum(group[i] for group in groups) for i in range(3))
            filled = _WIDTH * done // total if total else _WIDTH
            bar = "#" * filled + " " * (_WIDTH - filled)
            failures = f" | {failed} failed" if failed else ""
            sys.stdout.write(f"\r[{bar}] | {done}/{total}{failures} | {counts.seconds():.1f} s")
            sys.stdout.flush()
            if not more:
                return
    finally:
        sys.stdout.write("\n")


def _draw_in_notebook(counts: _Counts) -> None:
    # Display handles are drawn by every front end; widgets need an extension of it, and show no more.
    from IPython.display import HTML, display

    def bars() -> Any:
        rows = [
            f"<tr><th>{escape(name)}</th><td><progress value={done} max={total}></progress></td>"
            f"<td>{done}/{total}{f', {failed} failed' if failed else ''}</td></tr>"
            for name, (done, failed, total) in counts.now().items()
        ]
        return HTML(f"<table>{''.join(rows)}</table><p>{counts.seconds():.1f} s</p>")  # type: ignore[no-untyped-call]

    shown: Any = display(bars(), display_id=True)  # type: ignore[no-untyped-call]

    def draw() -> None:
        more = True
        while more:
            more = counts.wait()
            if shown is not None:
                shown.update(bars())

    _leave.start(threading.Thread(target=draw, name="azolla-progress", daemon=True))


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
