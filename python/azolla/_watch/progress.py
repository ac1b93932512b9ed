"""`progress`: a bar that moves while futures end, in a console and in a notebook."""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

from azolla import _azolla
from azolla._azolla import Future
from azolla._base import leave as _leave
from azolla._base.futures import futures_in

#: The shortest time between two drawings of the bar, in seconds.
_INTERVAL = 0.1
_WIDTH = 24
#: How many groups are shown by name. The largest are.
_GROUPS = 20


def progress(
    *futures: Any,
    notebook: bool | None = None,
    multi: bool = True,
    complete: bool = True,
    group_by: Callable[[Any], str] | str = "prefix",
) -> None:
    """Shows how many futures have ended, by name, and how long the rest may take, until all have ended.

    In a console this returns once all have ended. In a notebook it returns at once, and the bars go on moving. It looks
    into lists again each time, so the total moves as futures are added to them. The time left is a range, from measured
    durations and measured growth. Where it is unknown it is not shown; while the client has other work too, only its
    upper end is shown.

    Args:
        *futures: Futures, nested as for `gather`, or Dask collections.
        notebook: If true, draw for a notebook; by default, true if this runs in one.
        multi: If true, each group has a bar of its own in a notebook.
        complete: If true, futures that have ended when this is called count too.
        group_by: What makes a group: `"prefix"`, the name of the tasks' function, or a function of a key.

    Raises:
        ValueError: `group_by` is neither of the two.
        ImportError: With `notebook=True`, if there is no IPython.

    >>> progress(client.map(abs, range(-10, 0)), notebook=False)  # doctest: +ELLIPSIS
    <BLANKLINE>
    ...10/10...
    """
    if group_by != "prefix" and not callable(group_by):
        raise ValueError(f"group_by must be 'prefix' or a function of a key, not {group_by!r}")
    name = group_by if callable(group_by) else prefix
    before = set() if complete else {id(future) for future in futures_in(futures) if future.done()}
    counts = _Counts(futures, name if multi else lambda key: "all", before)
    if notebook or (notebook is None and _in_notebook()):
        _draw_in_notebook(counts)
    else:
        _draw_in_console(counts)


class _Counts:
    """Counts, for each group, the futures that have ended, those among them without a result, and all."""

    def __init__(self, futures: Any, name: Callable[[Any], str], left_out: set[int]) -> None:
        self._futures, self._name, self._left_out = futures, name, left_out
        self._begin = time.monotonic()
        #: How long the last count took, in seconds. The more it takes, the less often the futures are counted.
        self._took = 0.0

    def now(self) -> dict[str, list[int]]:
        begin, groups = time.monotonic(), dict[str, list[int]]()
        for future in futures_in(self._futures):
            if id(future) not in self._left_out:
                group = groups.setdefault(self._name(future.key), [0, 0, 0])
                status = future.status
                group[0] += status != "pending"
                group[1] += status not in ("pending", "finished")
                group[2] += 1
        self._took = time.monotonic() - begin
        return groups

    def wait(self) -> bool:
        """Waits a moment for the futures, and returns true if some have not ended."""
        pending: list[Future[Any]] = [future for future in futures_in(self._futures) if not future.done()]
        if pending:
            try:
                _azolla.wait(pending, max(_INTERVAL, 10 * self._took))
            except TimeoutError:
                return True
        return any(not future.done() for future in futures_in(self._futures))

    def times(self) -> str:
        """Returns how much time has passed, and an estimate of the time left if there is one."""
        elapsed = f"{time.monotonic() - self._begin:.1f} s"
        pending = [future for future in futures_in(self._futures) if not future.done()]
        client = pending[0].client if pending else None
        if client is None:
            return elapsed
        live, left = _azolla.time_left(client.cluster)
        if left is None:
            return elapsed
        low, high = left
        if high < 0.1:
            return f"{elapsed}, {duration(high)} left"
        if live > len(pending):
            return f"{elapsed}, up to {duration(high)} left"
        return f"{elapsed}, {duration(low)} to {duration(high)} left"


def duration(seconds: float) -> str:
    """Returns a number of seconds as text for people.

    >>> from azolla._watch.progress import duration
    >>> duration(0.004), duration(3.21), duration(75), duration(7400)
    ('< 0.1 s', '3.2 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 0.1:
        return "< 0.1 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def prefix(key: Any) -> str:
    """Returns the name that a key begins with: the part before its digest or number.

    >>> from azolla._watch.progress import prefix
    >>> prefix("inc-0123456789abcdef0123456789abcdef"), prefix(("sum-0123abcd", 0)), prefix("mine")
    ('inc', 'sum', 'mine')
    """
    while isinstance(key, tuple) and key:
        key = key[0]
    return re.sub(r"(-[0-9a-f]{4,})+$", "", str(key)) or str(key)


def _draw_in_console(counts: _Counts) -> None:
    before = 0
    try:
        while True:
            more = counts.wait()
            line = _line(counts.now(), counts.times())
            if sys.stdout.isatty():
                # A line that wraps could not be overwritten.
                line = line[: shutil.get_terminal_size().columns - 1]
            sys.stdout.write(f"\r{line:{before}}")
            sys.stdout.flush()
            before = len(line)
            if not more:
                return
    finally:
        sys.stdout.write("\n")


def _line(groups: dict[str, list[int]], times: str) -> str:
    done, failed, total = (sum(group[i] for group in groups.values()) for i in range(3))
    filled = _WIDTH * done // total if total else _WIDTH
    bar = "#" * filled + " " * (_WIDTH - filled)
    failures = f" | {failed} failed" if failed else ""
    names = ", ".join(f"{name} {done}/{total}" for name, done, _, total in _largest(groups)) if len(groups) > 1 else ""
    return f"[{bar}] | {done}/{total}{failures} | {times}{' | ' if names else ''}{names}"


def _largest(groups: dict[str, list[int]]) -> list[tuple[str, int, int, int]]:
    rows = [(name, done, failed, total) for name, (done, failed, total) in groups.items()]
    return sorted(rows, key=lambda row: -row[3])[:_GROUPS]


def _draw_in_notebook(counts: _Counts) -> None:
    # Every front end draws display handles. Widgets would need an extension and show nothing more.
    from IPython.display import HTML, display

    shown: Any = display(HTML(_bars(counts.now(), counts.times())), display_id=True)  # type: ignore[no-untyped-call]

    def draw() -> None:
        more = True
        while more:
            more = counts.wait()
            if shown is not None:
                shown.update(HTML(_bars(counts.now(), counts.times())))  # type: ignore[no-untyped-call]

    _leave.start(threading.Thread(target=draw, name="azolla-progress", daemon=True))


#: The colours of finished and failed futures: the dashboard's, legible on light and on dark pages.
_FINISHED, _FAILED = "#2e8b57", "#d9534f"


def _bars(groups: dict[str, list[int]], times: str) -> str:
    done, failed, total = (sum(group[i] for group in groups.values()) for i in range(3))
    rows = _largest(groups) if len(groups) > 1 else []
    name = next(iter(groups)) if len(groups) == 1 else "all"
    table = _bar(name, done, failed, total) + "".join(_bar(*row) for row in rows)
    more = f", and {len(groups) - _GROUPS} names more" if len(groups) > _GROUPS else ""
    return f'<table style="min-width:24em">{table}</table><div>{escape(times)}{more}</div>'


def _bar(name: str, done: int, failed: int, total: int) -> str:
    finished, failures = (100 * part / max(1, total) for part in (done - failed, failed))
    note = f', <b style="color:{_FAILED}">{failed} failed</b>' if failed else ""
    return (
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="width:14em"><div role="progressbar" aria-valuenow="{done}" aria-valuemin="0" aria-valuemax="{total}" '
        f'style="display:flex;height:.7em;border-radius:.35em;overflow:hidden;background:#8884">'
        f'<div style="width:{finished:.1f}%;background:{_FINISHED}"></div>'
        f'<div style="width:{failures:.1f}%;background:{_FAILED}"></div></div></td>'
        f'<td style="text-align:left">{done}/{total}{note}</td></tr>'
    )


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
