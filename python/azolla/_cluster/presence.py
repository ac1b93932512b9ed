"""`Present`: the part of `Client` that waits until workers have come, and has them go."""

import asyncio
from functools import partial
from typing import Any, Protocol

from azolla._azolla import Core
from azolla._base.arguments import flag, shown, whole
from azolla._base.names import as_called
from azolla._base.time import Timeout, seconds
from azolla._cluster.staff import Workers
from azolla._cluster.workers import Worker
from azolla._run.awaiting import answer

#: How often a client looks whether workers have come, in seconds.
LOOK = 0.02


class Cluster(Protocol):
    """The part of a cluster that this module uses."""

    _has_processes: bool

    def _named(self, workers: Any) -> list[Any]: ...
    def _chosen(self, workers: Any) -> list[Worker]: ...
    def _arrived(self) -> int: ...
    async def _retired(self, chosen: list[Worker] | None, n: int | None) -> dict[str, Any]: ...


class Present(Core):
    """The part of `Client` that waits until workers have come, and has them go."""

    cluster: Cluster
    sync: Any

    def wait_for_workers(self, n_workers: int, timeout: Timeout = None) -> Any:
        """Waits until there are this many workers: of worker processes, until as many are ready.

        Args:
            n_workers: How many.
            timeout: Seconds, a `timedelta` or text after which to give up.

        Raises:
            ClosedClientError: The client is closed, or the cluster meanwhile.
            ValueError: `n_workers` is not positive; or there are fewer that are threads, and without a `timeout` this would
                never end.
            TimeoutError: There are fewer when the time is up.

        >>> client.wait_for_workers(1)
        """
        if not isinstance(n_workers, int) or n_workers <= 0:
            raise ValueError(f"n_workers must be a positive whole number, not {n_workers!r}")
        there = self.cluster._arrived()
        if there >= n_workers:
            return answer(self, None)
        self._check_open("wait_for_workers")
        if timeout is None and not self.cluster._has_processes:
            raise ValueError(f"there are {there} workers, and there will never be {n_workers}")
        limit = None if timeout is None else seconds(timeout)
        return self.sync(partial(as_called, "Client.wait_for_workers", self._wait_for_workers, n_workers, limit))

    async def _wait_for_workers(self, wanted: int, timeout: float | None) -> None:
        try:
            async with asyncio.timeout(timeout):
                while self.cluster._arrived() < wanted:
                    await asyncio.sleep(LOOK)
                    self._check_open("wait_for_workers")
        except TimeoutError:
            raise TimeoutError(f"Only {self.cluster._arrived()}/{wanted} workers arrived") from None

    def retire_workers(self, workers: Workers = None, close_workers: bool = True, **kwargs: Any) -> Any:
        """Has worker processes go, and waits until they have gone. The tasks that run there end first. Actors that are there are
        lost, and so are results that cannot be pickled; other results stay.

        Args:
            workers: The workers' addresses or names; by default those that are idle, and have no actor and no result that cannot
                be pickled.
            close_workers: Must be true: a process that gets no task is of no use.
            **kwargs: `n`: how many of the idle workers go.

        Returns:
            What was known of the workers that have gone, by their addresses.

        Raises:
            NotImplementedError: The workers are threads; `close_workers` is false; or a task in a worker process calls it.
            TypeError: Other arguments, or `n` is no whole number.
            ValueError: There is no such worker, or `n` is less than 0.

        >>> with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as processes:
        ...     retired = processes.retire_workers([1])
        ...     [worker["name"] for worker in retired.values()], list(processes.cluster.workers)
        ([1], [0])
        """
        n = kwargs.pop("n", None)
        if kwargs:
            raise TypeError(f"retire_workers() has no argument {', '.join(map(repr, kwargs))}")
        if n is not None and whole("retire_workers(): n", n) < 0:
            raise ValueError(f"retire_workers(): n must be 0 or more, not {shown(n)}")
        names = self.cluster._named(workers)
        if workers is not None and not names:
            return answer(self, {})
        if not self.cluster._has_processes:
            if names:
                raise NotImplementedError("retire_workers(): these workers are threads, and their number is fixed")
            return answer(self, {})
        if not flag("retire_workers(): close_workers", close_workers, True):
            raise NotImplementedError("close_workers=False: a process that gets no task is of no use")
        chosen = self.cluster._chosen(workers) if names else None
        self._check_open("retire_workers")
        return self.sync(partial(as_called, "Client.retire_workers", self.cluster._retired, chosen, n))
