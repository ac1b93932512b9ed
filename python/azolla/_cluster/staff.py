"""`Staffed`: the workers of a cluster: which there are, which of them a call names, and where they are."""

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from azolla._azolla import ClusterCore
from azolla._base.arguments import several, shown
from azolla._cluster.workers import Worker

#: One worker or several, by name or address.
Workers: TypeAlias = str | int | Worker | Iterable[str | int | Worker] | None


#: The greatest number that a worker can have.
MOST = 2**16 - 2


class Staffed(ClusterCore):
    """The part of `LocalCluster` that knows the workers."""

    name: str
    #: The cluster's number in this process, which its address holds.
    _number: int
    _threads_per_worker: int
    _has_processes: bool
    #: How many bytes of memory each process may take; 0 for any number.
    _memory_limit: int
    #: By their names. The dictionary is never changed, but replaced, so that any thread can go through it.
    _workers: dict[int, Worker]
    #: Those that have gone, and the name of the next one.
    _former: dict[int, Worker]
    _next: int
    _threads: "set[threading.Thread]"

    @property
    def _n_workers(self) -> int:
        return len(self._workers)

    @property
    def status(self) -> str:
        """`"running"` or `"closed"`.

        >>> client.cluster.status
        'running'
        """
        return "closed" if self._closed else "running"

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

        Tasks wait for a worker that is yet to come, or has gone. Names that no worker will have are left out.
        """
        names = set(self._named(workers))
        if not names:
            return None
        numbers = [worker.name for worker in self._workers.values() if names & worker._names]
        if not self._has_processes:
            return numbers
        known = frozenset[str | int]().union(*(worker._names for worker in self._workers.values()))
        return numbers + [number for name in names - known if (number := self._number_of(name)) is not None]

    def _number_of(self, name: str | int) -> int | None:
        """Returns the number of a worker that is not there but may have been or may come; None if there is no such number."""
        text = str(name).removeprefix(self._address(""))
        return int(text) if text.isdecimal() and str(int(text)) == text and int(text) <= MOST else None

    def _worker(self, name: str | int) -> Worker:
        """Returns the worker that has this name or address."""
        for worker in self._workers.values():
            if name in worker._names:
                return worker
        raise self._unknown(name)

    def _unknown(self, name: str | int) -> ValueError:
        return ValueError(f"there is no worker {name!r}; there are {self._shown_workers() or 'none now'}")

    def _shown_workers(self) -> str:
        """Returns the addresses of all workers."""
        return ", ".join(worker.address for worker in self._workers.values())

    def _worker_of(self, thread: int) -> Worker:
        """Returns the worker that owns the thread of this number; the first worker if there is no such thread."""
        number = self._worker_number(thread) or 0
        workers = {**self._former, **self._workers}
        return workers[number]

    def _check_fixed(self, n: int, memory: str | None, cores: int | None) -> None:
        """Raises an error unless there are so many workers: those that are threads are fixed when the cluster is made."""
        if memory is not None:
            raise NotImplementedError(f"scale(memory={memory!r}): without processes no worker has memory of its own")
        if cores is not None:
            n = max(n, -(-cores // self._threads_per_worker))
        if n != len(self._workers):
            raise NotImplementedError(
                f"scale({n}): there are {len(self._workers)} workers, which are threads, and their number is fixed; "
                "make a LocalCluster with n_workers and threads_per_worker"
            )

    def _worker_info(self, worker: Worker, figures: list[Any] | None) -> dict[str, Any]:
        of_process = {}
        if figures is not None:
            pid, starts, memory, stored = figures
            of_process = {"pid": pid, "starts": starts, "metrics": {"memory": memory, "managed_bytes": stored}}
        return {
            "type": "Worker",
            "id": worker.name,
            "name": worker.name,
            "nthreads": worker.nthreads,
            "resources": dict(worker.resources),
            "memory_limit": self._memory_limit,
            "status": self.status,
            **of_process,
        }

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
