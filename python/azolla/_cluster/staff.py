"""`Staffed`: the workers of a cluster: which there are, which of them a call names, and where they are."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from azolla._azolla import ClusterCore
from azolla._base.arguments import several, shown
from azolla._cluster.workers import Worker

#: One worker or several, by name or address.
Workers: TypeAlias = str | int | Worker | Iterable[str | int | Worker] | None


class Staffed(ClusterCore):
    """The part of `LocalCluster` that knows the workers."""

    name: str
    #: The cluster's number in this process, which its address holds.
    _number: int
    _n_workers: int
    _threads_per_worker: int
    _workers: dict[int, Worker]

    @property
    def scheduler_address(self) -> str:
        """The address at which other clients of this process can join: `Client(address)`.

        >>> Client(client.cluster.scheduler_address).cluster is client.cluster
        True
        """
        return self._address("scheduler")

    @property
    def workers(self) -> dict[int, Worker]:
        """The workers by their names.

        >>> [worker.nthreads for worker in client.cluster.workers.values()]
        [2]
        """
        return dict(self._workers)

    def _named(self, workers: Any) -> list[Any]:
        """Returns the names and addresses in an argument `workers`: one, or several. None, or an empty list, names none.

        An empty text is an error at once: it comes from a setting that is not set.
        """
        if workers is None:
            return []
        one = isinstance(workers, int | Worker)
        listed = [workers] if one else several("workers", workers, "names or addresses of workers")
        named = [worker.address if isinstance(worker, Worker) else worker for worker in listed]
        for name in named:
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise TypeError(f"workers must be names or addresses of workers, not {name!r}")
            if name == "":
                raise self._unknown(name)
        return named

    def _chosen(self, workers: Any) -> list[Worker]:
        """Returns the workers that an argument `workers` names, in its order, each once; all of them if it names none.

        A name that no worker has is an error.
        """
        return list(dict.fromkeys(map(self._worker, self._named(workers)))) or list(self._workers.values())

    def _numbers_of(self, workers: Any) -> list[int] | None:
        """Returns the numbers of the workers that an argument `workers` names; None if it names none.

        Names that no worker has are left out: tasks wait for such a worker.
        """
        names = set(self._named(workers))
        if not names:
            return None
        return [worker.name for worker in self._workers.values() if names & worker._names]

    def _worker(self, name: str | int) -> Worker:
        """Returns the worker that has this name or address."""
        for worker in self._workers.values():
            if name in worker._names:
                return worker
        raise self._unknown(name)

    def _unknown(self, name: str | int) -> ValueError:
        return ValueError(f"there is no worker {name!r}; there are {self._shown_workers()}")

    def _shown_workers(self) -> str:
        """Returns the addresses of all workers."""
        return ", ".join(worker.address for worker in self._workers.values())

    def _worker_of(self, thread: int) -> Worker:
        """Returns the worker that owns the thread of this number; the first worker if there is no such thread."""
        worker = self._worker_number(thread)
        return self._workers[worker if worker is not None else 0]

    def scale(self, n: int = 0, memory: str | None = None, cores: int | None = None) -> None:
        """Checks that there are `n` workers. Their number is fixed when the cluster is made.

        Args:
            n: How many workers.
            memory: Must be None: no worker has memory of its own.
            cores: How many tasks at once, in place of `n`; it stands for as many workers as that takes.

        Raises:
            NotImplementedError: There are more or fewer workers, or `memory` is given.

        >>> client.cluster.scale(1)
        """
        if memory is not None:
            raise NotImplementedError(f"scale(memory={memory!r}): no worker has memory of its own")
        if cores is not None:
            n = max(n, -(-cores // self._threads_per_worker))
        if n != self._n_workers:
            raise NotImplementedError(
                f"scale({n}): there are {self._n_workers} workers, and their number is fixed; "
                "make a LocalCluster with n_workers and threads_per_worker"
            )

    def _address(self, of: str) -> str:
        return f"inproc://{os.getpid()}/{self._number}/{of}"


def of_each(resources: Any, workers: int) -> list[dict[str, float]]:
    """Returns the resources of each worker: a list is taken as it is, one mapping applies to every worker."""
    each = resources if isinstance(resources, list | tuple) else [resources or {}] * workers
    if len(each) != workers:
        raise ValueError(f"resources are given for {len(each)} workers, and there are {workers}")
    for has in each:
        if not isinstance(has, Mapping) or not all(isinstance(name, str) for name in has):
            raise TypeError(f"resources must be amounts by names, such as {{'GPU': 1}}, not {shown(has)}")
    return [dict(has) for has in each]
