"""`LocalCluster`: the workers and the event loop that its clients share.

The engine and its scheduling are native (`ClusterCore`). This class starts the threads, finds clients by number
and clusters by address, and ends them all in order: when it is closed, when it is dropped, when the interpreter ends.
"""

import asyncio
import atexit
import contextlib
import gc
import math
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Never, Protocol
from urllib.parse import urlsplit

from azolla import _azolla
from azolla._base import html as _html
from azolla._base import leave as _leave
from azolla._base import where
from azolla._base.arguments import fits, flag, positive
from azolla._base.names import as_called, named_by_itself
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._cluster import processes as _processes
from azolla._cluster.arguments import refuse
from azolla._cluster.coming_and_going import Scaled
from azolla._cluster.dashboard import Dashboarded
from azolla._cluster.everywhere import tear_down
from azolla._cluster.logs import Logging
from azolla._cluster.loops import Looped
from azolla._cluster.notes import Notes, listen
from azolla._cluster.staff import of_each
from azolla._cluster.workers import Worker
from azolla._run import worker_loop as _worker
from azolla._run.helper_threads import CallbackThread
from azolla._run.in_turn import InTurn
from azolla._run.recorder import Recorder
from azolla._run.transitions import Listeners

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client

_numbers = count(1)
#: The open clusters, by number. It is a dictionary because copying one is a single step, which no other thread can
#: interrupt.
_clusters: "dict[int, weakref.ref[LocalCluster]]" = {}

#: How long closing waits for busy threads, in seconds. A thread that is busy longer is left to end with the process.
JOIN = 1.0


class _Stoppable(Protocol):
    """An object with a thread that the cluster stops when it ends."""

    def stop(self, patience: float) -> None: ...


@says_if_never_started(
    *("cluster", "name", "_asynchronous", "_number", "_threads_per_worker", "_started", "_workers", "_in_turn"),
    *("_has_processes", "_adaptive", "_leaving"),
    *("_deadline", "_helpers", "_datasets", "_notes", "_plugins", "_gear", "_listeners", "_recorder"),
)
@named_by_itself
class LocalCluster(Dashboarded, Logging, Looped, Scaled):
    """Workers on this machine, for any number of clients: processes, or threads of this process.

    `Client()` makes a cluster of its own. A cluster that is made separately exists before its clients and after them.
    The clients share its workers and, by their keys, its tasks. A task goes on as long as any client holds a future on
    it.

    Args:
        name: What the cluster is called.
        n_workers: How many workers; by default as many processes as there are processors (with more than four, fewer of
            more threads each), or 1 worker on threads.
        threads_per_worker: How many tasks each runs at once; by default the processors, shared among the workers.
        processes: If true, as by default, each worker is a process; otherwise threads of this process.
        resources: What each worker has for its tasks to take, as amounts by names of your choice, say `{"GPU": 2}`; or
            a list of such, one for each worker.
        asynchronous: If true, `close` returns an awaitable. Make such a cluster by
            `await LocalCluster(asynchronous=True)` or in `async with`.
        dashboard_address: The dashboard's address: `":8787"` for this machine alone, `"0.0.0.0:8787"` for others too.
            If the port is taken, the dashboard takes one of the next; port 0 is any free port. None for no dashboard.
        dashboard_private: If true, the dashboard answers those alone who have `dashboard_link`, with its token.
        memory_limit: How much memory of its own each worker process may take: `"4GB"`, a number of bytes, or a share of all
            memory below 1. By default its share by its threads; None or 0 for no limit. At 80 % of it the process gets
            no more tasks, and when it has none, another takes its place; at 95 % it is killed.

    Raises:
        NotImplementedError: For a limit of memory without processes, and what has no meaning on one machine.
        TypeError: For an argument that a cluster does not have, and for a number of workers or threads that is no
            number.
        ValueError: For less than one worker or thread, and for a limit of memory that is none.

    Leaving a `with` statement closes the cluster, as `close` does.

    >>> from azolla import Client, LocalCluster
    >>> with LocalCluster(n_workers=2, threads_per_worker=1) as cluster:
    ...     with Client(cluster) as one, Client(cluster) as other:
    ...         future = one.submit(pow, 2, 10, key="kibi")
    ...         other.submit(pow, 2, 10, key="kibi").result()
    1024
    """

    def __init__(
        self,
        name: str | None = None,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        *,
        resources: Mapping[str, float] | list[Mapping[str, float]] | None = None,
        asynchronous: bool = False,
        dashboard_address: str | int | None = ":8787",
        dashboard_private: bool = False,
        memory_limit: float | str | None = "auto",
        **unknown: Never,
    ) -> None:
        refuse(LocalCluster, unknown)
        self._asynchronous = flag("LocalCluster(): asynchronous", asynchronous, False)
        private = flag("LocalCluster(): dashboard_private", dashboard_private, False)
        if _leave.ending:
            raise RuntimeError("the interpreter is coming to its end: no cluster can be made any more")
        if n_workers is not None:
            n_workers = fits("n_workers", positive("n_workers", n_workers))
        if threads_per_worker is not None:
            threads_per_worker = positive("threads_per_worker", threads_per_worker)
        self._has_processes = flag("LocalCluster(): processes", processes, True)
        if self._has_processes:
            workers, threads = _processes.sizes(n_workers, threads_per_worker)
        else:
            workers = n_workers or 1
            threads = threads_per_worker or max(1, (os.cpu_count() or 1) // workers)
        fits("n_workers * threads_per_worker", workers * threads)
        total = _processes.memory()
        self._memory_limit = _processes.memory_limit(memory_limit, threads if self._has_processes else None, total)
        amounts = of_each(resources, workers)
        self._number = next(_numbers)
        self.name = name or f"azolla-{self._number}"
        self._threads_per_worker = threads
        self._started, self._memory = time.time(), total
        self._threads: set[threading.Thread] = set()
        self._helpers: dict[str, Any] = {}
        self._log_thread, self._large = CallbackThread(f"{self.name}-log"), {}
        #: When closing stops waiting for the threads, on the clock of `time.monotonic`.
        self._deadline = math.inf
        #: The clients that have joined and not left, the latest last.
        self._clients: dict[int, weakref.ref[Client]] = {}
        self._workers = {worker: Worker(self, worker, threads, amounts[worker]) for worker in range(workers)}
        self._former, self._next = {}, workers
        self._in_turn, self._leaving, self._adaptive = InTurn(f"{self.name}-scaling"), {}, None
        self._amounts = None if isinstance(resources, list | tuple) else dict(resources or {})
        self._unrunnable: set[str] = set()
        #: The published datasets by name, the metadata and events, the workers' plugins by name, and what each process gets.
        self._datasets: dict[Any, Any] = {}
        self._notes = Notes()
        self._plugins: dict[str, Any] = {}
        self._gear: dict[tuple[str, str], Any] = {}
        #: The listeners that are told when tasks begin and end: the plugins, and at times the recorder.
        self._listeners: Listeners = {}
        self._recorder = Recorder(self._listeners)
        start = partial(_worker.start, self._threads, self._listeners)
        process = _processes.start(self._memory_limit) if self._has_processes else None
        #: What veils the numbers of tasks in their keys.
        self._veil = secrets.randbits(128)
        self._start([(threads, has) for has in amounts], start, process, weakref.ref(self), self._veil)
        _clusters[self._number] = weakref.ref(self)
        self._bind_loop()
        self._open_dashboard(dashboard_address, private)

    # --- The cluster's life

    def close(self, timeout: Timeout = None) -> Any:
        """Cancels the tasks that have not ended, and ends the cluster and its clients. Waits on their futures end.

        On threads it waits a second at the most for tasks that run, and then leaves them to themselves. Worker processes
        have that second to do what a program does at its end: they call the functions of `atexit`, and write out open
        files. As soon as all have done so they are killed, whatever runs there. Closing a cluster again does nothing. In a
        coroutine, `close` of an asynchronous cluster is awaitable.

        Args:
            timeout: Taken as Dask takes it.

        >>> cluster = LocalCluster()
        >>> cluster.close()
        >>> cluster.status
        'closed'
        """
        if self._asynchronous and asyncio._get_running_loop() is not None:
            return as_called("LocalCluster.close", self._close_async)
        self._end(JOIN)
        return None

    async def _close_async(self) -> None:
        await asyncio.to_thread(self._end, JOIN)

    def _end(self, patience: float) -> None:
        if self._forked:
            return
        # A second call, or a call on another thread, waits no longer than the first.
        deadline = self._deadline = min(self._deadline, time.monotonic() + patience)
        if not self._has_processes:
            tear_down(self, patience)
        _clusters.pop(self._number, None)
        self._close_dashboard()
        adaptive = self._adaptive
        if adaptive is not None:
            adaptive.stop("cluster-not-running")
        try:
            self._close_engine()
            if self._has_processes:
                tear_down(self, max(0.0, deadline - time.monotonic()))
        finally:
            self._close()
        if adaptive is not None:
            adaptive._join(max(0.0, deadline - time.monotonic()))
        profiler: _Stoppable | None = self._helpers.get("profiler")
        if profiler is not None:
            profiler.stop(max(0.0, deadline - time.monotonic()))
        clients, loops = list(self._open_clients()), self._loops()
        for client in clients:
            client._forget()
        for loop in loops:
            loop.stop(max(0.0, deadline - time.monotonic()))
        # Twice: a thread cannot be joined before it has started, and the worker thread that is starting it may be
        # among the threads joined in the first round.
        for thread in list(self._threads) * 2:
            if thread is not threading.current_thread():
                with contextlib.suppress(RuntimeError):
                    thread.join(max(0.0, deadline - time.monotonic()))
        _leave.abandon(self._threads)
        for client in clients:
            client._callback_thread.stop(max(0.0, deadline - time.monotonic()))
        self._stop_logging(max(0.0, deadline - time.monotonic()))
        self._join_dashboard(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> "LocalCluster":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end(JOIN)

    def __await__(self) -> Any:
        return self._itself().__await__()

    async def _itself(self) -> "LocalCluster":
        self._bind_loop()
        return self

    async def __aenter__(self) -> "LocalCluster":
        self._bind_loop()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close_async()

    def __del__(self) -> None:
        self._close_dashboard()
        # A client that was dropped with its cluster has closed it, but has stopped no loop.
        if not self._forked and "_clients" in self.__dict__:  # otherwise the constructor has failed
            _clusters.pop(self._number, None)
            self._close()
            # The threads hold no reference to the cluster and end by themselves. A finalizer must not wait for them.
            for loop in self._loops():
                loop.stop(0.0)
            self._stop_logging(0.0)

    def __reduce__(self) -> Any:
        raise TypeError("a LocalCluster cannot be pickled; call get_client() in the task instead")

    # --- Clients

    #: The class `Client`. Its module imports this one, and sets the attribute when it is imported.
    _client_class: "ClassVar[type[Client]]"

    def get_client(self) -> "Client":
        """Returns a new client of this cluster. Closing the client does not close the cluster.

        Raises:
            ClosedClientError: The cluster is closed.

        >>> with LocalCluster() as cluster, cluster.get_client() as other:
        ...     other.submit(abs, -1).result()
        1
        """
        return self._client_class(self)

    def _open_clients(self) -> "Iterator[Client]":
        """Iterates over the clients that have not left, the latest first."""
        for reference in reversed(list(self._clients.values())):
            client = reference()
            if client is not None:
                yield client

    def _client_for_tasks(self) -> "Client":
        """Returns a client for a task whose submitting client has left: the latest open one, else the cluster's own."""
        own = self._helpers.get("client")
        for client in self._open_clients():
            if client is not own and not client._closed:
                return client
        return self._own_client()

    def _own_client(self) -> "Client":
        """Returns the cluster's own client. It holds the futures in published datasets, also after a publisher leaves."""
        if "client" not in self._helpers:
            self._helpers.setdefault("client", self._client_class(self, set_as_default=False))
        own: Client = self._helpers["client"]
        return own

    def _log_event(self, topic: str | list[str] | tuple[str, ...], msg: Any) -> None:
        topics = [topic] if isinstance(topic, str) else list(topic)
        event = self._notes.log(topics, msg)
        for client in self._open_clients():
            for each in topics:
                listen(client, each, event)

    @property
    def scheduler_info(self) -> dict[str, Any]:
        """The cluster's address and its workers, as `Client.scheduler_info` returns them.

        >>> client.cluster.scheduler_info == client.scheduler_info()
        True
        """
        link = self.dashboard_link
        each, spilled = self._figures()
        figures = {number: of_process for number, *of_process in each}
        workers = list(self._workers.values())
        return {
            "type": "Scheduler",
            "id": self.name,
            "address": self.scheduler_address,
            "services": {} if link is None else {"dashboard": urlsplit(link).port},
            "started": self._started,
            "n_workers": len(workers),
            "total_threads": len(workers) * self._threads_per_worker,
            "total_memory": self._memory,
            "spilled_bytes": spilled,
            "workers": {worker.address: self._worker_info(worker, figures.get(worker.name)) for worker in workers},
        }

    def __repr__(self) -> str:
        threads = self._n_workers * self._threads_per_worker
        return (
            f"LocalCluster({self.name!r}, {self.scheduler_address!r}, workers={self._n_workers}, threads={threads}, "
            f"memory={_html.size(self._memory)}, status={self.status!r}, "
            f"dashboard={_html.without_token(self.dashboard_link)!r})"
        )

    def _repr_html_(self) -> str:
        return _html.cluster(self)


def find(address: str) -> LocalCluster:
    """Returns the open cluster of this process that has this address."""
    for reference in list(_clusters.values()):
        cluster = reference()
        if cluster is not None and cluster.scheduler_address == address:
            return cluster
    raise OSError(f"no open cluster of this process has the address {address!r}")


def _at_exit() -> None:
    """Closes all clusters when the interpreter ends.

    Every cluster first refuses new work, cancels what is queued and ends all waits. Then running tasks get a moment. In a
    worker process it would wait for the threads that run tasks: it is killed with what runs there.
    """
    if where.in_worker_process:
        return
    _leave.ending = True
    clusters = [cluster for cluster in [reference() for reference in list(_clusters.values())] if cluster is not None]
    for cluster in clusters:
        cluster._close_dashboard()
        cluster._close_engine()
    deadline = time.monotonic() + JOIN
    for cluster in clusters:
        cluster._end(max(0.0, deadline - time.monotonic()))
    # A cluster that was dropped may still be closing, on the thread where the garbage collector ran. None of its
    # threads may be in the middle of a call into Python when the interpreter goes.
    _leave.join(deadline)


def _after_fork() -> None:
    """Runs first in the child of a fork, and marks the parent's clusters as dead before anything touches them."""
    _azolla.after_fork()
    _clusters.clear()


atexit.register(_at_exit)
gc.callbacks.append(_azolla.before_collection)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_azolla.before_fork, after_in_child=_after_fork)
