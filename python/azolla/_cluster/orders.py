"""`InProcesses`: what is done on every worker beside its tasks, where the workers are processes.

The processes are given orders, and `azolla._client.obeying` carries them out there. `beside.py` is the same for threads.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from azolla import _azolla
from azolla._azolla import Parcel
from azolla._cluster.beside import OnEach
from azolla._cluster.uploads import Uploads
from azolla._cluster.workers import Worker

#: How long a process that is restarted may take to leave before it is killed, in seconds.
PATIENCE = 1.0

logger = logging.getLogger("azolla")


class Cluster(Protocol):
    """The part of a cluster that is used here."""

    _plugins: dict[str, Any]
    _helpers: dict[str, Any]
    #: The orders that every process gets which starts later, and their numbers, by what they are for.
    _gear: dict[tuple[str, str], tuple[Parcel, int]]

    @property
    def workers(self) -> dict[int, Worker]: ...
    def _take_off(self, gear: int) -> None: ...


class Ordered:
    """An order that was given to workers. It must be made on an event loop.

    Without `what`, a worker answers when its process is there and fitted out.
    """

    def __init__(
        self,
        cluster: Any,
        what: Parcel | None,
        workers: Sequence[Worker],
        stays: bool = False,
        leave: float | None = None,
    ) -> None:
        self._changed = asyncio.Event()
        numbers = [worker.name for worker in workers]
        loop = asyncio.get_running_loop()
        self._orders, self.gear = _azolla.give_order(cluster, what, numbers, stays, loop, self._changed.set, leave)
        #: What has come of it on each worker that has answered.
        self.so_far: list[Any] = [None] * len(numbers)
        self._open = set(range(len(numbers)))

    async def outcomes(self) -> list[Any]:
        """Returns what has come of it on each: a result or an exception."""
        while True:
            self._changed.clear()
            for number in list(self._open):
                try:
                    answer = self._orders[number].now()
                except BaseException as error:
                    self.so_far[number] = error
                else:
                    if answer is None:
                        continue
                    self.so_far[number] = answer[0]
                self._open.discard(number)
            if not self._open:
                return self.so_far
            await self._changed.wait()

    def silent(self, workers: Sequence[Worker]) -> dict[int, _azolla.Ordered]:
        """Returns the orders to those of the workers that have not answered, by the workers' names."""
        return {workers[number].name: self._orders[number] for number in self._open}


class InProcesses:
    """Does what `azolla._cluster.beside.Means` says, in worker processes."""

    def call(self, cluster: Cluster, function: Callable[..., Any], args: Any, kwargs: Any) -> OnEach:
        return _on_each(cluster, "run", function, args, kwargs)

    def set_up(self, cluster: Cluster, name: str, plugin: Any) -> OnEach:
        return _gear(cluster, ("plugin", name), ("set_up", name, plugin), ("forget", name))

    def take_away(self, cluster: Cluster, name: str, plugin: Any) -> OnEach:
        _take_off(cluster, ("plugin", name))
        return _on_each(cluster, "tear_down", name)

    def upload(self, cluster: Cluster, file: Path, load: bool) -> OnEach | None:
        uploads = cluster._helpers.get("uploads") or cluster._helpers.setdefault("uploads", Uploads())
        copy = uploads.copy(file)
        return _gear(cluster, ("file", file.name), ("upload", copy, load), ("withdraw", copy))

    def tear_down(self, cluster: Any, patience: float) -> None:
        cluster._plugins.clear()
        # One that is not there yet has nothing to do.
        there = [worker for worker, process, *_ in cluster._figures()[0] if process is not None]
        there += list(cluster._leaving)
        left = threading.Semaphore(0)
        what = Parcel(cluster, ("leave",))
        _azolla.give_order(cluster, what, there, False, _Nobody(), left.release)  # type: ignore[arg-type]
        deadline = time.monotonic() + patience
        for _ in there:
            left.acquire(timeout=max(0.0, deadline - time.monotonic()))
        uploads: Uploads | None = cluster._helpers.get("uploads")
        if uploads is not None:
            uploads.remove()


class _Nobody:
    """Takes the place of an event loop where none runs."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        callback()


def _on_each(cluster: Any, *what: Any) -> OnEach:
    """Returns what gives an order. It is pickled now."""
    parcel = Parcel(cluster, what)

    async def on_each(workers: list[Worker]) -> list[Any]:
        return await Ordered(cluster, parcel, workers).outcomes()

    return on_each


def _gear(cluster: Any, key: tuple[str, str], what: tuple[Any, ...], undo: tuple[Any, ...]) -> OnEach:
    """Returns what gives an order that every process gets which starts later, in place of the one before. If it fails in any
    process, it is undone in all, and what was before is there again.
    """
    parcel, undoing = Parcel(cluster, what), Parcel(cluster, undo)

    async def on_each(workers: list[Worker]) -> list[Any]:
        ordered = Ordered(cluster, parcel, workers, stays=True)
        assert ordered.gear is not None, "it stays"
        try:
            outcomes = _or_raise(cluster, workers, await ordered.outcomes())
        except BaseException:
            cluster._take_off(ordered.gear)
            before = cluster._gear.get(key)
            for order in [undoing] if before is None else [undoing, before[0]]:
                await Ordered(cluster, order, list(cluster.workers.values())).outcomes()
            raise
        _take_off(cluster, key)
        cluster._gear[key] = parcel, ordered.gear
        return outcomes

    return on_each


def _take_off(cluster: Cluster, key: tuple[str, str]) -> None:
    gear = cluster._gear.pop(key, None)
    if gear is not None:
        cluster._take_off(gear[1])


def _or_raise(cluster: Cluster, workers: Sequence[Worker], outcomes: list[Any]) -> list[Any]:
    """Raises the first error, if there is one. What a worker has not done that has gone meanwhile is none."""
    there = cluster.workers
    for worker, outcome in zip(workers, outcomes, strict=True):
        if isinstance(outcome, BaseException) and not (
            isinstance(outcome, ConnectionError) and worker.name not in there
        ):
            raise outcome
    return outcomes


async def restarted(
    cluster: Any, workers: list[Worker], timeout: float | None, wait: bool, leaving: Sequence[Worker] = ()
) -> None:
    """Ends the processes of these workers and of those that are leaving, after their plugins are torn down. Waits until others
    have taken the places of the former, if `wait` is true. Those that could not be started are tried again. When the wait is
    broken off, the restart goes on.
    """
    try:
        async with asyncio.timeout(timeout):
            await end(cluster, [*workers, *leaving])
            for worker in workers:
                cluster._start_again(worker.name)
            if wait:
                # Of the process itself nothing is asked: its first task may keep the GIL.
                _or_raise(cluster, workers, await Ordered(cluster, None, workers).outcomes())
    except TimeoutError:
        raise TimeoutError(f"the time was up before {len(workers)} workers had been restarted") from None


async def end(cluster: Any, workers: list[Worker]) -> None:
    """Has the processes of these workers do what a program does at its end. They begin no task any more. Those that take too
    long are killed.
    """
    await Ordered(cluster, Parcel(cluster, ("end",)), workers, leave=PATIENCE).outcomes()


def not_fitted(worker: int, error: BaseException) -> None:
    """Logs that a plugin or a module has failed in a process that has taken the place of another."""
    logger.error("worker %s: a plugin or an uploaded module failed when its process started", worker, exc_info=error)
