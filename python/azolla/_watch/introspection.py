"""The part of `Client` that describes its cluster: the tasks, where they run, and the results that they hold."""

import importlib.metadata
import linecache
import locale
import os
import platform
import struct
import sys
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Never

from azolla import _azolla
from azolla._azolla import Core
from azolla._base.arguments import several, shown, whole
from azolla._base.futures import futures_in
from azolla._base.names import as_called, function_of
from azolla._base.stacks import Place, of_threads, own
from azolla._cluster.answers import answers
from azolla._run.awaiting import answer
from azolla._run.recorder import size
from azolla._watch.stacks import TASKS, coroutines

if TYPE_CHECKING:
    from azolla._cluster.local import LocalCluster
    from azolla._cluster.staff import Workers

#: The states of tasks that are on a worker's thread: begun, and not ended.
_ON_THREADS = ("executing", "parked", "long-running")


class Introspection(Core):
    """The part of `Client` that describes its cluster."""

    cluster: "LocalCluster"
    sync: Any

    def who_has(self, futures: Any = None) -> Any:
        """Returns the workers that have the results of tasks, by the tasks' keys.

        Results stay with the cluster, so each is at hand for every worker. One that cannot be pickled, or an actor, is with its
        worker process alone.

        Args:
            futures: Futures, nested as for `gather`; by default all tasks that have a result.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> one = client.submit(abs, -1, key="one")
        >>> one.result()
        1
        >>> client.who_has([one]) == {"one": list(client.nthreads())}
        True
        """
        there = self._places()
        if futures is not None:
            there = {future.key: there.get(future.key, []) for future in futures_in(futures)}
        return answer(self, there)

    def has_what(self, workers: "Workers" = None) -> Any:
        """Returns the keys of the results that each worker has. Each has them all, since results stay with the
        cluster, but for those that stay in their worker process (`who_has`).

        Args:
            workers: The workers' addresses or names; by default all.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> one = client.submit(abs, -1, key="one")
        >>> one.result()
        1
        >>> list(client.has_what().values())
        [['one']]
        """
        places = self._places()
        chosen = self._addresses(workers)
        return answer(self, {address: [key for key, there in places.items() if address in there] for address in chosen})

    def processing(self, workers: "Workers" = None) -> Any:
        """Returns the keys of the tasks that each worker has begun, including tasks that wait in the middle.

        A ready task belongs to no worker yet: a worker takes the first task in the order when it can begin one.
        Coroutine tasks run on the cluster's event loop. They count as the first worker's, and `get_worker` returns that
        worker in them.

        Args:
            workers: The workers' addresses or names; by default all.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> list(client.processing().values())
        [[]]
        """
        begun: dict[str, list[Any]] = {address: [] for address in self._addresses(workers)}
        for key, state, thread in self._tasks():
            if state in _ON_THREADS or state == "coroutine":
                worker = self.cluster._worker_of(thread or 0).address
                if worker in begun:
                    begun[worker].append(key)
        return answer(self, begun)

    def nbytes(self, keys: Iterable[Any] | None = None, summary: bool = True) -> Any:
        """Returns how many bytes results take, as they report it themselves (`nbytes`) or Python does
        (`sys.getsizeof`).

        Args:
            keys: The keys of tasks; by default all that have a result.
            summary: If true, add up the tasks of each function, by its name.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> data = client.scatter({"data": b"0123456789"})
        >>> client.nbytes(["data"]) == {"data": sys.getsizeof(b"0123456789")}
        True
        """
        wanted = None if keys is None else set(several("nbytes(): keys", keys, "keys"))
        sizes: dict[Any, int] = {}
        for key, value, packed in self._results():
            if wanted is None or key in wanted:
                name = function_of(key) if summary else key
                sizes[name] = sizes.get(name, 0) + (size(value) if packed is None else packed)
        return answer(self, sizes)

    def call_stack(self, futures: Any = None, keys: Iterable[Any] | None = None) -> Any:
        """Returns the lines of the stacks of running tasks, by worker and key, from the task's own function inwards.

        The stack of a coroutine task ends where it awaits. The result leaves out tasks that have no frame of their own
        yet, and tasks that are in a native function. It leaves out a worker process that does not answer, since such a
        function keeps the GIL.

        Args:
            futures: Futures, nested as for `gather`; by default all tasks that run.
            keys: Keys of tasks, beside those of `futures`.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> client.call_stack()
        {}
        """
        wanted = None
        if futures is not None or keys is not None:
            wanted = {future.key for future in futures_in(futures)} | set(
                several("call_stack(): keys", keys or (), "keys")
            )
        if self.cluster._has_processes:
            return self.sync(partial(as_called, "Client.call_stack", self._stacks_of_processes, wanted))
        threads = {thread.name: thread.ident for thread in list(self.cluster._threads)}
        stacks: dict[str, dict[Any, list[str]]] = {}
        for key, state, number in self._tasks():
            if state in _ON_THREADS and number is not None and (wanted is None or key in wanted):
                thread = threads.get(f"azolla-{number}") or 0
                lines = _lines(own(of_threads([thread]).get(thread, []), TASKS))
                # The task may have ended meanwhile, and its thread may be running another.
                if lines and self._still_there(key, number):
                    stacks.setdefault(self.cluster._worker_of(number).address, {})[key] = lines
        for task, places in coroutines(self.cluster):
            if wanted is None or task.key in wanted:
                stacks.setdefault(self.cluster._worker_of(0).address, {})[task.key] = _lines(places)
        return answer(self, stacks)

    async def _stacks_of_processes(self, wanted: set[Any] | None) -> dict[str, dict[Any, list[str]]]:
        stacks: dict[str, dict[Any, list[str]]] = {}
        found = await answers(self.cluster, list(self.cluster.workers.values()), "stacks")
        for address, tasks in found.items():
            keys = _azolla.keys_of(self, [number for number, _ in tasks])
            for key, (_, places) in zip(keys, tasks, strict=True):
                if key is not None and (wanted is None or key in wanted):
                    stacks.setdefault(address, {})[key] = [_line(*place) for place in places]
        return stacks

    def _still_there(self, key: Any, number: int) -> bool:
        return any(other == key and thread == number for other, _, thread in self._tasks())

    def get_versions(self, check: bool = False, packages: Iterable[str] | None = None) -> Any:
        """Returns the versions of Python and of packages. Scheduler, workers and client use the same installation.

        Args:
            check: Taken as Dask takes it: there is nothing that could differ.
            packages: More packages to name.

        >>> sorted(client.get_versions())
        ['client', 'scheduler', 'workers']
        """
        names = ["azolla", "dask", "distributed", "cloudpickle", "numpy", "pandas", *(packages or ())]
        own = {
            "host": {
                "python": ".".join(map(str, sys.version_info)),
                "python-bits": struct.calcsize("P") * 8,
                "OS": platform.system(),
                "OS-release": platform.release(),
                "machine": platform.machine(),
                "processor": platform.processor(),
                "byteorder": sys.byteorder,
                "LC_ALL": os.environ.get("LC_ALL", "None"),
                "LANG": os.environ.get("LANG", "None"),
                "encoding": locale.getpreferredencoding(False),
            },
            "packages": {"python": platform.python_version()} | {name: _version(name) for name in names},
        }
        return answer(self, {"scheduler": own, "workers": dict.fromkeys(self._addresses(None), own), "client": own})

    def nthreads(self, workers: "Workers" = None) -> Any:
        """Returns how many tasks each worker runs at once, by the workers' addresses.

        Args:
            workers: The workers' addresses or names; by default all.

        >>> sum(client.nthreads().values())
        2
        """
        return answer(self, {worker.address: worker.nthreads for worker in self.cluster._chosen(workers)})

    def ncores(self, workers: "Workers" = None) -> Any:
        """Returns what `nthreads` returns.

        >>> client.ncores() == client.nthreads()
        True
        """
        return self.nthreads(workers)

    def _places(self) -> dict[Any, list[str]]:
        """Returns the addresses of the workers that have each result, by the keys."""
        of_each = {worker.name: [worker.address] for worker in self.cluster._workers.values()}
        of_all = [address for [address] in of_each.values()]
        rows = ((key, worker) for key, state, worker in self._tasks() if state == "memory")
        return {key: list(of_all) if worker is None else of_each.get(worker, []) for key, worker in rows}

    def _addresses(self, workers: "Workers") -> list[str]:
        return [worker.address for worker in self.cluster._chosen(workers)]

    # --- Questions that have no answer within one process

    def get_worker_logs(self, n: int | None = None, workers: Any = None, nanny: bool = False) -> Never:
        """There are no such logs.

        Raises:
            NotImplementedError: Workers keep no logs: their tasks log where this process does, or to its standard error.
                `forward_logging` has this process's loggers handle what those of worker processes do.

        >>> client.get_worker_logs()
        Traceback (most recent call last):
        NotImplementedError: get_worker_logs(): ...
        """
        raise NotImplementedError(
            "get_worker_logs(): workers keep no logs; their tasks log where this process does, or to its standard error; "
            "forward_logging() brings what worker processes log"
        )

    def get_scheduler_logs(self, n: int | None = None) -> Never:
        """There are no such logs.

        Raises:
            NotImplementedError: The scheduler is native, and writes no log.

        >>> client.get_scheduler_logs()
        Traceback (most recent call last):
        NotImplementedError: get_scheduler_logs(): ...
        """
        raise NotImplementedError("get_scheduler_logs(): the scheduler is native, and writes no log")

    def write_scheduler_file(self, scheduler_file: str) -> Never:
        """There is no such file, since another process could do nothing with it.

        Raises:
            NotImplementedError: The cluster cannot be reached from other processes.

        >>> client.write_scheduler_file("file")
        Traceback (most recent call last):
        NotImplementedError: write_scheduler_file(): ...
        """
        raise NotImplementedError("write_scheduler_file(): this cluster cannot be reached from other processes")

    def rebalance(self, futures: Any = None, workers: "Workers" = None, **kwargs: Any) -> Any:
        """Does nothing: all results are at hand on every worker.

        Raises:
            ValueError: There is no such worker.

        >>> client.rebalance()
        """
        self.cluster._chosen(workers)  # raises for an unknown one
        return answer(self, None)

    def replicate(
        self, futures: Any, n: int | None = None, workers: "Workers" = None, branching_factor: int = 2, **kwargs: Any
    ) -> Any:
        """Does nothing: all results are at hand on every worker.

        Raises:
            ValueError: `n` is less than one, or there is no such worker.

        >>> client.replicate([])
        """
        if n is not None and whole("replicate(): n", n) < 1:
            raise ValueError(f"Can not use replicate to delete data: n is {shown(n)}")
        self.cluster._chosen(workers)  # raises for an unknown one
        return answer(self, None)


def _lines(places: Iterable[Place]) -> list[str]:
    return [_text(place.code.co_filename, place.line, place.code.co_name, place.globals) for place in places]


def _line(file: str, line: int, name: str, module: Any) -> str:
    """Returns a line of a stack in a worker process. The code of its module is read here: notebooks have theirs in memory."""
    here = sys.modules.get(module) if isinstance(module, str) else None
    return _text(file, line, name, None if here is None else vars(here))


def _text(file: str, line: int, name: str, names: dict[str, Any] | None) -> str:
    code = linecache.getline(file, line, names).strip()
    return f'  File "{file}", line {line}, in {name}\n\t{code}\n'


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
