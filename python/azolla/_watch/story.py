"""The stories of single tasks: their transitions and the times of these, in the form that Dask gives them."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from azolla._azolla import Core, Future
from azolla._run.awaiting import answer

if TYPE_CHECKING:
    from azolla._cluster.local import LocalCluster

#: Where the transition was made (the scheduler or a worker's address), the task's key, the state before, the state
#: after, an empty dictionary (Dask's recommendations), the cause, and the time.
Row = tuple[str, Any, str | None, str, dict[Any, Any], str, float | None]

#: The engine's observations. Each gives the task's new state, in Dask's word where Dask has one, and the cause.
_TOLD = {
    "submitted": ("waiting", "submitted"),
    "ready": ("queued", "inputs-there"),
    "begun": ("processing", "pulled"),
    "parked": ("parked", "waits"),
    "seceded": ("long-running", "secedes"),
    "resumed": ("processing", "goes-on"),
    "detached": ("coroutine", "gave-a-coroutine"),
    "again": ("queued", "run-again"),
    "finished": ("memory", "task-finished"),
    "failed": ("erred", "task-erred"),
    "cancelled": ("cancelled", "cancelled"),
    "retried": ("waiting", "retried"),
    "dropped": ("forgotten", "not-wanted"),
}

#: The states of `_tasks` that a story names differently.
_STATES = {"ready": "queued", "executing": "processing"}


class Stories(Core):
    """The part of `Client` that tells the stories of single tasks."""

    cluster: "LocalCluster"

    def story(self, *keys_or_stimuli: Any, on_error: str = "raise") -> Any:
        """Returns what has happened to tasks: their transitions, with the times.

        The first call begins the record, which goes on until the cluster is closed, and holds the last 100,000
        transitions. Before the first call nothing is recorded, and nothing is paid; afterwards every task pays about a
        microsecond. For a task without a record, one row gives its state, with no time.

        Args:
            *keys_or_stimuli: Futures, or keys of tasks. A key will do even if no future on the task is left.
            on_error: Taken as Dask takes it: there are no other processes that could fail to answer.

        Returns:
            Rows in the order of time, in Dask's form: `"scheduler"` or the worker's address; the key; the state before,
            and the state after; an empty dictionary; what caused the transition; and the time (seconds since 1970).
            Unknown values are None. The states are Dask's (`waiting`, `queued`, `processing`, `memory`, `erred`,
            `long-running`, `forgotten`) and azolla's own: `parked` (it waits for others, and its slot is lent),
            `coroutine` (it runs on the event loop) and `cancelled`.

        Raises:
            ClosedClientError: The client is closed.
            TypeError: An argument is neither a future nor a key.
            ValueError: `on_error` is neither `"raise"` nor `"ignore"`.

        >>> client.story()
        []
        >>> future = client.submit(pow, 2, 10, key="kibi")
        >>> future.result()
        1024
        >>> [(start, finish) for _, _, start, finish, _, _, _ in client.story(future)]
        [('released', 'waiting'), ('waiting', 'queued'), ('queued', 'processing'), ('processing', 'memory')]
        """
        if on_error not in ("raise", "ignore"):
            raise ValueError(f"on_error must be 'raise' or 'ignore', not {on_error!r}")
        self._check_open("story")
        keys = [each.key if isinstance(each, Future) else each for each in keys_or_stimuli]
        return answer(self, self._told(keys))

    def _told(self, keys: list[Any]) -> list[Row]:
        elapsed, seen, kept = self._story(keys)
        # It is computed once and kept, so that every story gives the same time for the same transition.
        began: float = self.cluster._helpers.setdefault("began", time.time() - elapsed)
        stands: dict[int, str] = {}
        rows: list[Row] = []
        for place, (at, task, what, worker), parent in seen:
            state, why = _TOLD[what]
            start = stands.get(task, "released" if what == "submitted" else None)
            if start == state:
                continue
            stands[task] = state
            who = "scheduler" if worker is None else self.cluster._worker_of(worker).address
            why = why if parent is None else f"{why}-by-{parent}"
            rows.append((who, keys[place], start, state, {}, why, began + at))
        return [*self._not_recorded(keys, kept, stands), *rows]

    def _not_recorded(self, keys: list[Any], kept: Iterable[tuple[int, int, str]], told: dict[int, str]) -> list[Row]:
        silent = {task: (keys[place], _STATES.get(state, state)) for place, task, state in kept if task not in told}
        return [("scheduler", key, None, state, {}, "not-recorded", None) for key, state in silent.values()]
