"""`Scaled`: the workers of a cluster of worker processes that come and go while it runs. `scaling.py` decides which.

A worker that goes gets no task any more. When its tasks have ended its process leaves, as at the end of the cluster. A thread
sees it off, since that may take as long as its tasks take.

What a worker comes or goes by has several steps: in the engine, in the fleet of processes and here. So workers come and go in
turn, on threads that no signal reaches.
"""

import asyncio
import math
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future as Ended
from functools import partial
from typing import Any

from azolla._base import leave as _leave
from azolla._base.threads import LastingThread
from azolla._cluster import orders as _orders
from azolla._cluster import scaling as _scaling
from azolla._cluster.adaptive import Adaptive
from azolla._cluster.scaling import Standing, Work
from azolla._cluster.staff import Staffed
from azolla._cluster.workers import Worker
from azolla._run.in_turn import InTurn

#: How long the thread that sees a worker off waits until it looks again whether its tasks have ended: at first, and at most.
LOOKS = (0.001, 0.05)


class Leaving:
    """A worker that goes. `ended` is done when its process has ended."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.ended: Ended[None] = Ended()


class Scaled(Staffed):
    """The part of `LocalCluster` that has workers come and go."""

    _asynchronous: bool
    #: By this workers come and go.
    _in_turn: InTurn
    #: The workers that go, by their names, until their processes have ended. To copy it is a single step.
    _leaving: dict[int, Leaving]
    #: What a worker that comes has for its tasks to take; None if each was given its own.
    _amounts: dict[str, float] | None
    _adaptive: Adaptive | None
    _client_for_tasks: Any
    _log_event: Any

    def scale(self, n: int = 0, memory: str | None = None, cores: int | None = None) -> Any:
        """Has worker processes come or go, until there are `n`.

        It returns at once. Workers that come have the next numbers as names. Those whose processes are not there yet go first,
        then idle ones, and of these the latest. A worker that goes gets no task any more, and leaves when its tasks have ended.
        Its actors are lost, and so are results that cannot be pickled; other results stay. A worker whose process could not be
        started does not count, and goes. In a coroutine, `scale` of an asynchronous cluster is awaitable. Ctrl-C during the
        call does not undo it.

        Args:
            n: How many workers.
            memory: How much memory the workers may take, in place of `n`; it stands for as many workers as that takes.
            cores: How many tasks at once, in place of `n`, as with `memory`. Of several, the one that takes most workers counts.

        Raises:
            ClosedClientError: The cluster is closed.
            NotImplementedError: The workers are threads, and there are more or fewer; a task in a worker process calls it; or
                `memory` is given, and the memory of the workers is not limited.
            TypeError: `n` is no whole number, or `cores` no number.
            ValueError: `n` or `cores` is less than 0; there cannot be so many workers; or workers come, and `resources` were
                given for each apart.

        >>> with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as processes:
        ...     processes.scale(2)
        ...     [worker.name for worker in processes.workers.values()]
        [0, 1]
        """
        if not self._has_processes:
            self._check_fixed(n, memory, cores)
            return self._at_once()
        number = _scaling.wanted(n, memory, cores, self._threads_per_worker, self._memory_limit)
        self._check_open("scale")
        self._in_turn.do(partial(self._have, number))
        return self._at_once()

    def adapt(
        self,
        Adaptive: type[Adaptive] = Adaptive,
        minimum: float = 0,
        maximum: float = math.inf,
        minimum_cores: int | None = None,
        maximum_cores: int | None = None,
        minimum_memory: str | None = None,
        maximum_memory: str | None = None,
        **kwargs: Any,
    ) -> Adaptive:
        """Has worker processes come and go with the work, until the cluster is closed or the answer's `stop` is called.

        There are as many workers as finish the work at hand in `target_duration`, if tasks go on taking as long as those of
        their functions have. Only workers are closed that have no task, no actor and no result that cannot be pickled. A second
        call replaces the first.

        Args:
            Adaptive: The class of the answer.
            minimum: The least workers.
            maximum: The most workers.
            minimum_cores: The least tasks at once, in place of `minimum`.
            maximum_cores: The most tasks at once, in place of `maximum`.
            minimum_memory: The least memory of all workers, in place of `minimum`.
            maximum_memory: The most memory of all workers, in place of `maximum`.
            **kwargs: What `Adaptive` takes besides: `interval`, `wait_count` and `target_duration`.

        Raises:
            ClosedClientError: The cluster is closed.
            NotImplementedError: The workers are threads, or a task in a worker process calls it.
            TypeError: An argument that is no number or length of time, or that `Adaptive` does not have.
            ValueError: Numbers that cannot be, or `resources` were given for each worker apart.

        >>> with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as processes:
        ...     processes.adapt(minimum=1, maximum=2)
        <Adaptive running minimum=1 maximum=2>
        """
        if not self._has_processes:
            raise NotImplementedError("adapt(): these workers are threads, and their number is fixed")
        self._check_open("adapt")
        least, most = (minimum, minimum_cores, minimum_memory), (maximum, maximum_cores, maximum_memory)
        minimum, maximum = _scaling.bounds(least, most, self._threads_per_worker, self._memory_limit)
        self._check_more()
        return Adaptive(self, minimum=minimum, maximum=maximum, **kwargs)

    async def _retired(self, chosen: list[Worker] | None, n: int | None) -> dict[str, Any]:
        """Has workers go, by default `n` of those that are idle, and waits until they have gone. Returns what is known of them."""

        def retire() -> tuple[list[Leaving], dict[str, Any]]:
            if chosen is None:
                idle = [worker for worker in self._standings() if worker.is_idle]
                names = _scaling.first_to_go(idle, len(idle) if n is None else n)
            else:
                names = [worker.name for worker in chosen]
            info: Any = self  # a `LocalCluster`
            known = info.scheduler_info["workers"]
            return self._let_go(names), known

        going, known = await asyncio.wrap_future(self._in_turn.call(retire))
        await gone(going)
        return {leaving.worker.address: known[leaving.worker.address] for leaving in going}

    def _adapt_by(self, adaptive: Adaptive) -> None:
        """Has this one look at the work from now on, in place of another."""

        def replace() -> None:
            _leave.start(adaptive._thread)
            before, self._adaptive = self._adaptive, adaptive
            if before is not None:
                before.stop()

        self._in_turn.do(replace)

    def _at_once(self) -> Any:
        """Returns what an asynchronous cluster awaits in a coroutine, though it is done."""
        if self._asynchronous and asyncio._get_running_loop() is not None:
            return _Done()
        return None

    def _standings(self) -> list[Standing]:
        """Returns how each worker stands."""
        numbers = list(self._workers)
        known = (self._at_work(numbers), self._staying(numbers), self._ready(numbers), self._failed(numbers))
        each = zip(numbers, *known, strict=True)
        # Futures may hold what has gone with a process.
        return [
            Standing(tasks, 0 if failed else staying, ready, -number, failed)
            for number, tasks, staying, ready, failed in each
        ]

    def _target(self, workers: Sequence[Standing], duration: float) -> int:
        """Returns how many workers do the work at hand in so many seconds."""
        tasks, seconds = self._work(_scaling.UNKNOWN)
        stored = sum(stored for *_, stored in self._figures()[0])
        work = Work(tasks, seconds, stored, self._memory_limit * len(workers))
        return _scaling.target(work, workers, self._threads_per_worker, duration)

    def _arrived(self) -> int:
        """Returns how many workers are there: of processes, those that are ready and fitted out."""
        return sum(self._ready(list(self._workers))) if self._has_processes else len(self._workers)

    # --- In turn

    def _have(self, number: int) -> None:
        """Has workers come or go, until there are so many. Those that could not be started go."""
        standings = self._standings()
        failed = [worker for worker in standings if worker.has_failed]
        surplus = len(standings) - len(failed) - number
        if surplus < 0:
            self._check_more()
        self._let_go(_scaling.first_to_go(standings, len(failed) + max(0, surplus)))
        self._grow(number)

    def _check_more(self) -> dict[str, float]:
        """Returns what a worker that comes has for its tasks to take. Raises ValueError if that is not known."""
        if self._amounts is None:
            raise ValueError("resources were given for each worker apart, and a worker that comes has none")
        return dict(self._amounts)

    def _grow(self, number: int) -> None:
        """Has workers come until there are so many."""
        while len(self._workers) < number:
            # A worker is known before its process may ask for it.
            worker = Worker(self, self._next, self._threads_per_worker, self._check_more())
            self._workers = {**self._workers, worker.name: worker}
            try:
                self._add(worker.nthreads, worker.resources)
            except BaseException:
                self._workers = {name: it for name, it in self._workers.items() if it is not worker}
                raise
            finally:
                self._next = self._places()

    def _let_go(self, names: Iterable[int]) -> list[Leaving]:
        """Has workers go. Returns at once."""
        going = []
        for name in names:
            worker = self._workers.get(name)
            if worker is None:
                continue
            leaving = Leaving(worker)
            thread = LastingThread(partial(_see_off, weakref.ref(self), leaving), f"{self.name}-leaving-{name}")
            # A worker that no thread would see off stays. The thread waits until the worker is retired.
            _leave.start(thread)
            self._threads.add(thread)
            self._leaving[name] = leaving
            self._workers = {other: it for other, it in self._workers.items() if other != name}
            self._former[name] = worker
            self._retire(name)
            going.append(leaving)
        return going


class _Done:
    """What is awaited though it is done. It may be dropped too."""

    def __await__(self) -> Iterator[None]:
        yield from ()


async def gone(leaving: Iterable[Leaving]) -> None:
    """Waits until the processes of these workers have ended."""
    for each in leaving:
        await asyncio.shield(asyncio.wrap_future(each.ended))


def _see_off(cluster: "weakref.ref[Scaled]", leaving: Leaving) -> None:
    """Waits until a worker that goes has no task any more, and has its process leave. Ends when the cluster is closed."""
    name, pause = leaving.worker.name, LOOKS[0]
    if leaving.ended.done():
        return
    try:
        while (its := cluster()) is not None and not its._closed and not its._is_idle(name):
            del its  # so that it may go
            time.sleep(pause)
            pause = min(2 * pause, LOOKS[1])
        if its is not None and not its._closed:
            asyncio.run(_orders.end(its, [leaving.worker]))
    finally:
        # The end of the cluster tells the processes to leave that are still here.
        if its is not None and not its._closed:
            its._leaving.pop(name, None)
            its._threads.discard(threading.current_thread())
        leaving.ended.set_result(None)
